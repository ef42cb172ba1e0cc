// The latents of a simulated world on disk: DIR/truth/, a folder of columns under a manifest with
// digests. Only the oracle reads it; ingest and the feature builders never do.
#pragma once

#include <vector>

#include "retort/common/file.h"
#include "retort/sim/world.h"

namespace retort {

/// Sums over the exposures of each day, of which the oracle needs one look-up a pair. The click
/// mass of a pair is w_ui(d) = act_u e_u(i) sigma(eta), that of an examined slot.
struct Masses {
  std::vector<double> normaliser;  // [D, U] of the policy's softmax
  std::vector<double> user;        // [D, U] w_u.
  std::vector<double> item;        // [D, I] w_.i, 0 before birth
  std::vector<double> total;       // [D]
};

struct Truth {
  World world;
  Masses masses;
};

/// Fills the folder (it must exist) and closes it with a manifest.
void write_truth(const fs::path& folder, const World& world, const Masses& masses);

/// Throws DataError if a file is missing, altered or of another size than the options say.
Truth read_truth(const fs::path& folder);

}  // namespace retort
