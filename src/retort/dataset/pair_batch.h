// Batches of pairs that no log has: a user at a moment with items of one's choosing, to be scored.
#pragma once

#include <cstdint>
#include <span>

#include "retort/dataset/assembler.h"

namespace retort {

/// A user at a moment and the items that are paired with him then.
struct PairGroup {
  UserMoment user;
  std::span<const int32_t> items;
};

/// One row a pair, one user row a group; features as of the group's moment and without dropout,
/// labels 0. The buffers of `batch` are reused.
void assemble_pairs(const Assembler& assembler, std::span<const PairGroup> groups, Batch& batch);

}  // namespace retort
