// Users' lists of a file of scores, as a step needs them: K items of each list, N of the rest, and
// the features of all of them once.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "retort/common/rng.h"
#include "retort/dataset/assembler.h"
#include "retort/dataset/score_store.h"
#include "retort/loss/losses.h"
#include "retort/nn/tensor_batch.h"
#include "retort/trainer/train_recipe.h"

namespace retort {

class ScoreLists {
 public:
  /// `with_rest`: some loss compares with items outside the lists. `store` has made its lists.
  ScoreLists(const Dataset& dataset, const ScoreStore& store, const ScoreOptions::Lists& options,
             bool with_rest, torch::Device device);

  /// Fills what ScoredInputs says of lists but their items' vectors, and returns the features of
  /// those items. `draws` of the step decides what is drawn: by the user row's number in the batch.
  /// Source: K by rank as RRD samples, DE-RRD, sec. 4.2. Shapes: as ScoredInputs says.
  SideTensors fill(const Batch& batch, const Rng& draws, ScoredInputs& scored) const;

 private:
  struct Places;
  std::vector<int32_t> choose(int64_t size, const Rng& draws) const;
  std::vector<int32_t> draw_rest(int32_t user, const Rng& draws) const;

  const Dataset& dataset_;
  const ScoreStore& store_;
  const ScoreOptions::Lists options_;
  const int64_t rest_;
  const bool moving_;
  const Assembler assembler_;
  const torch::Device device_;
};

}  // namespace retort
