// What one figure of a row hides: the AUC of reads inside groups of rows, by how popular the item
// is and how active the user. Used by the judge.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "retort/common/json.h"
#include "retort/metric/auc.h"
#include "retort/metric/bootstrap.h"
#include "retort/metric/calibration.h"

namespace retort {

struct RowGroups {
  struct Group {
    int64_t from = 0, to = 0;   // keys of its rows
    std::vector<int64_t> rows;  // ascending
  };
  std::vector<Group> groups;  // by key, ascending
};

/// Groups of about N / count rows by ascending key. Rows of one key share a group, so that groups
/// may be larger, and fewer. @param keys [N]
RowGroups group_rows(std::span<const int64_t> keys, int32_t count);

/// [{"from", "to", "rows", "value", "low", "high"}]: auc_read of each group's rows (Hanley & McNeil
/// 1982, see metric/auc.h) with its 95% interval by user; null where a class is missing.
/// @param scores [N]  @param kinds [N]  @param users [N] in the bootstrap's numbers
Json auc_by_group(const RowGroups& groups, std::span<const float> scores,
                  std::span<const RowKind> kinds, std::span<const int32_t> users,
                  const Bootstrap& bootstrap);

/// [{"rows", "lowest", "highest", "mean_predicted", "share_positive"}]
Json to_json(std::span<const ReliabilityBin> bins);

}  // namespace retort
