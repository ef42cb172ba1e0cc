// The oracle as a row of the evaluation table: the ceiling of what any model can score on a
// dataset that was ingested from a simulated feed.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "retort/dataset/dataset.h"
#include "retort/dataset/sampler/negative_sampler.h"
#include "retort/metric/catalogue.h"
#include "retort/metric/towers.h"
#include "retort/sim/oracle.h"

namespace retort {

/// Which truth ranks the catalogue.
enum class OracleRanking {
  kBestRead,   // p*_z: the score that is best for AUC; it divides popularity out
  kReadMass,   // w_ui p_long: the most probable next reads of this log, the ceiling of Recall@K
  kClickMass,  // w_ui: the most probable next clicks of this log
};

/// Bayes scores of the dataset's own protocol: n negatives a click and the very law they are drawn
/// by (Dataset::protocol), the dataset's read threshold, the world's state on the day of the row.
/// "click": PMI = ln(w_ui / w_u.) - ln q_i; "read": p*_z = sigma(PMI - ln n) p_long;
/// "read_given_click": p_long. Scores are finite: an item not yet born gets -1e6 (or 0), one that
/// is never drawn as a negative +1e6 (or p_long). Source: methods A9.1, E2. Thread-safe.
class OracleScorer : public PairScorer {
 public:
  /// Both must outlive the scorer. Throws DataError where the dataset holds a user or an item that
  /// the world does not know.
  OracleScorer(const Oracle& oracle, const Dataset& dataset);

  void score(const Batch& batch, std::string_view task, std::span<float> out) const override;
  /// For rank_catalogue; the scorer must outlive it.
  CandidateScorer candidates(OracleRanking ranking) const;

 private:
  double pmi(int32_t user, int32_t item, int64_t time) const;
  double best_read(int32_t user, int32_t item, int64_t time) const;
  double click_mass(int32_t user, int32_t item, int64_t time) const;
  double read_mass(int32_t user, int32_t item, int64_t time) const;
  double p_long(int32_t user, int32_t item, int64_t time) const;

  const Oracle& oracle_;
  const Dataset& dataset_;
  std::unique_ptr<NegativeSampler> negatives_;
  std::vector<int32_t> user_, item_;  // numbers in the world
};

/// Scores every task by another scorer's "click": of the truth, the ceiling of whoever knows what
/// is clicked and nothing of reading (methods E2: PMI).
class ClicksAlone : public PairScorer {
 public:
  /// `scorer` must outlive this.
  explicit ClicksAlone(const PairScorer& scorer) : scorer_(scorer) {}
  void score(const Batch& batch, std::string_view /*task*/, std::span<float> out) const override {
    scorer_.score(batch, "click", out);
  }

 private:
  const PairScorer& scorer_;
};

}  // namespace retort
