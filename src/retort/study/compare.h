// `retort compare`: trains every row with every seed, judges all on the same rows and resamples,
// and sums up. Needs libtorch (the trainer).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "retort/common/file.h"
#include "retort/common/json.h"
#include "retort/study/compare_recipe.h"
#include "retort/study/judge.h"
#include "retort/study/summary.h"

namespace retort {

struct CompareOptions {
  fs::path out;                          // runs are out/LABEL/seedK
  std::string results = "compare.json";  // file in `out`; empty: none
  int32_t seeds = 3;
  /// Each row takes the one that is best for it on validation with the first seed; empty: its own.
  std::vector<double> learning_rates;
  uint64_t first_seed = 1;  // seeds first_seed, first_seed + 1, ..
  std::string device = "auto";
  EvaluateOptions evaluate;
};

/// What runs train on and are judged by.
struct CompareData {
  const Dataset* dataset = nullptr;
  std::vector<ExtraRow> extra{};
  std::vector<uint8_t> click_bait{};  // see EvaluateOptions
};

struct CompareResult {
  Json about;
  int32_t seeds = 0;
  int32_t datasets = 1;                 // 1, or one a seed; `about` is then of the first
  std::vector<SummaryRow> rows;         // models, teachers, baselines, extra rows
  std::vector<Difference> differences;  // dmtl (else the first row) against each other model
  std::vector<std::string> warnings;
  Json learning_rates = Json::object();  // by label, where they were chosen
};

/// Runs that exist are resumed; finished ones are not trained again. Throws ConfigError if a run in
/// `out` was begun with another recipe, seed or dataset. A row that comes `after` another gets
/// that row's run of the same seed as its recipe's `distill.run`, and with `scores` a file of that
/// run's ranking model as `scores.file`; a student without a ranking model is compared with that
/// one. The row `teacher` is that of `dmtl` or, without it, of the first row that has one; other
/// teachers are called teacher_LABEL.
/// `data`: one for all seeds, or one for each, in their order; ArgumentError otherwise.
CompareResult compare(std::span<const CompareRow> rows, std::span<const CompareData> data,
                      const CompareOptions& options);
CompareResult compare(std::span<const CompareRow> rows, const Dataset& dataset,
                      const CompareOptions& options);

/// As to_json of EvaluateResult, each metric with "deviation" and "seeds" beside, "details" of each
/// seed; "datasets"; "differences": [{"metric", "row", "other", "value", "low", "high" (by user),
/// "low_seeds", "high_seeds" (of several seeds), "verdict"}].
Json to_json(const CompareResult& result);
/// What was judged.
std::string describe_data(const CompareResult& result);
/// A line of the learning rates that were chosen; empty if none were.
std::string describe_rates(const CompareResult& result);
/// Mean and deviation over seeds, paired differences, warnings.
std::string table(const CompareResult& result);

}  // namespace retort
