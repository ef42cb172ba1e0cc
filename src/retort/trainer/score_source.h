// Where the scores that a student learns from come from ([scores] of a recipe): a file of them, a
// frozen run that scores what comes, or the run where the file knows nothing.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "retort/model/models.h"
#include "retort/trainer/score_lists.h"

namespace retort {

class ScoreSource {
 public:
  /// Reads the file, if there is one. `ranker` is the frozen run's, nullptr if the recipe names
  /// none; it must outlive this. Throws ConfigError for what the recipe cannot have, as ScoreStore
  /// for its file.
  ScoreSource(const TrainRecipe& recipe, const Dataset& dataset, RankingModel* ranker,
              torch::Device device);

  /// "scored_read", ..: the logits there are.
  const std::vector<std::string>& logits() const { return logits_; }
  /// Model versions of the file.
  int64_t snapshots() const { return store_ ? std::ssize(store_->snapshots()) : 0; }

  /// Adds the rows' logits, NaN where unknown, to `inputs`, which has those of the frozen run.
  void add_rows(const Batch& batch, LossInputs& inputs) const;
  /// Adds lists and pairs, whichever a loss needs. `encode` makes item vectors.
  void add_beyond_rows(const Batch& batch, const torch::Tensor& row_items, const Rng& draws,
                       const std::function<torch::Tensor(const SideTensors&)>& encode,
                       LossInputs& inputs) const;

  /// What coverage() gives: shares of rows with a score, of user rows with a list, of pairs of a
  /// batch's user rows and items with a score in the file; of those that losses ask for.
  const std::vector<std::string>& coverage_names() const { return coverage_names_; }
  std::vector<double> coverage(const Batch& batch, const LossInputs& inputs) const;

  /// What the file knows of the positives that `rows` trains on, in a sentence. Throws DataError if
  /// it is nothing.
  std::string describe(const LoaderOptions& rows) const;

 private:
  struct Pairs;
  Pairs stored_pairs(const Batch& batch) const;
  void add_pairs(const Batch& batch, LossInputs& inputs) const;
  void rescore_pairs(const Batch& batch, Pairs& pairs) const;

  const Dataset& dataset_;
  const ScoreOptions options_;
  RankingModel* ranker_;
  torch::Device device_;
  bool rows_, pairs_;               // asked for
  std::vector<std::string> names_;  // without the prefix
  std::vector<std::string> logits_, coverage_names_;
  std::optional<ScoreStore> store_;  // none: all from the ranker
  std::optional<ScoreLists> lists_;
  Assembler assembler_;
};

}  // namespace retort
