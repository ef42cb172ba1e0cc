// Judges scorers on one split of a dataset: the metrics of its frozen rows and of its catalogue,
// with bootstrap intervals by user. Whatever depends on the dataset alone is computed once.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "retort/common/json.h"
#include "retort/dataset/dataset.h"
#include "retort/dataset/loader.h"
#include "retort/metric/bootstrap.h"
#include "retort/metric/catalogue.h"
#include "retort/metric/towers.h"

namespace retort {

struct EvaluateOptions {
  Split split = Split::kTest;
  int64_t limit = 0;             // at most so many positives and events; 0 = all
  BootstrapOptions bootstrap{};  // intervals by user
  bool catalogue = true;         // false: row metrics only
  bool baselines = true;
  Ties ties = Ties::kMid;  // of ranks in the catalogue; AUCs count ties half
  int32_t batch = 4096;    // rows scored in one call
  int32_t ece_bins = 15;
  bool wrecall = false;         // judge wrecall@K whatever the protocol says
  int64_t nktd_requests = 200;  // requests whose candidates are ranked; 0 = all
  // Over the dataset's protocol, which is used where these are absent:
  std::optional<int64_t> alive_window{};  // microseconds; 0 = all items
  std::optional<bool> exclude_seen{};
  std::optional<std::vector<int32_t>> recall_at{};
  std::optional<double> beta{};  // over the model's own
  /// [items of the dataset] 1: click-bait, as a simulated world knows; empty: unknown. Adds
  /// click_bait@K, K the largest of recall_at.
  std::vector<uint8_t> click_bait{};
  /// N of nktd@N, 0 = none. By default a tenth of the candidates, from 20 to 300, where seconds are
  /// a long-term value ([attribution], or the protocol says so), else none.
  std::optional<int32_t> nktd_at{};

  /// Throws ConfigError naming the value.
  void validate() const;
};

/// kExtra: a row that is no rival, such as the oracle.
enum class RowRole { kModel, kTeacher, kBaseline, kExtra };
std::string_view name_of(RowRole kind);

struct MetricValue {
  std::string name;  // key in JSON, "recall@20"
  Interval interval;
  std::vector<double> replicates;  // [resamples]; empty for coverage and ece
};

/// All metrics of one scorer, in the order they are shown.
struct JudgedRow {
  std::string name;
  RowRole kind = RowRole::kModel;
  std::vector<MetricValue> metrics;
  /// What charts show, of models and teachers: {"calibration": see to_json of ReliabilityBin,
  /// "auc_by_popularity", "auc_by_activity": see auc_by_group, keys are training clicks}.
  Json details = Json::object();
  /// nullptr if the row does not have it.
  const MetricValue* find(std::string_view metric) const;
};

/// A row that the caller supplies, such as the oracle of a simulated world. `pairs` may be null
/// and `candidates` empty; what they point to must outlive the judging.
struct ExtraRow {
  std::string name;
  const PairScorer* pairs = nullptr;
  CandidateScorer candidates;
};

/// The split's clicks with the frozen negatives of the dataset's protocol.
LoaderOptions frozen_rows(const Dataset& dataset, const EvaluateOptions& options);

/// The rows judged are the split's positives with the frozen negatives of the dataset's protocol;
/// the events are its clicks. The user's id of a row decides its bootstrap weight.
class Judge {
 public:
  /// `dataset` must outlive the judge. Throws DataError if the split has no clicks.
  Judge(const Dataset& dataset, EvaluateOptions options);
  ~Judge();

  /// A candidate generation model. `beta` corrects the catalogue's scores only: AUCs are those of
  /// the plain inner product. `is_logit`: sigmoid(score) is a probability, so that `ece` counts.
  JudgedRow towers(const std::string& name, const Towers& towers, double beta, bool is_logit);
  /// Adds nktd@N and nktd_ranker@N (on the ranker's best N), means over requests, to a model's row;
  /// nothing where N is 0. `fusion`: see RankerScore.
  void against_ranker(JudgedRow& row, const Towers& towers, const PairScorer& ranker,
                      double fusion);
  /// A ranking model: AUCs only, auc_click by the task "click", the others by "read".
  JudgedRow teacher(const std::string& name, const PairScorer& teacher);
  JudgedRow extra(const ExtraRow& row);
  /// One row a baseline.
  std::vector<JudgedRow> baselines();

  const EvaluateOptions& options() const;
  const Dataset& dataset() const;
  /// What was judged: dataset, split, counts, protocol, stated options.
  Json about() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace retort
