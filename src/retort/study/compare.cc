#include "retort/study/compare.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "retort/common/error.h"
#include "retort/common/log.h"
#include "retort/common/recipe.h"
#include "retort/study/compare_rates.h"
#include "retort/study/evaluate.h"
#include "retort/trainer/run_folder.h"
#include "retort/trainer/score_pairs.h"
#include "retort/trainer/train.h"
#include "retort/trainer/trained_model.h"

namespace retort {
namespace {

/// Judged rows of one compared row: the model and its teacher, one a seed.
struct SeedRows {
  std::vector<JudgedRow> models, teachers;
};

const CompareData& of_seed(std::span<const CompareData> data, int32_t seed) {
  return data[data.size() == 1 ? 0 : static_cast<size_t>(seed)];
}

fs::path run_folder(const CompareOptions& options, const std::string& label, int32_t seed) {
  return options.out / label / fmt::format("seed{}", options.first_seed + seed);
}

ScoringOptions scoring_of(const CompareRow& row) {
  ScoringOptions scoring;
  std::string pairs = "logged";
  Fields fields(Json{{"rows", {{"scores", row.scores}}}}, "rows.scores");
  fields.read("pairs", pairs);
  fields.read_duration("lag", scoring.lag);
  fields.read("rows", scoring.rows);
  int32_t negatives = -1;
  fields.read("negatives", negatives);
  fields.read("batch", scoring.batch);
  fields.read("batches", scoring.batches);
  fields.read("candidates", scoring.candidates);
  fields.read("order", scoring.order);
  fields.finish();
  if (negatives >= 0) scoring.negatives = negatives;
  scoring.pairs = ScorePairs::parse(pairs);
  return scoring;
}

/// The file that the run this row comes after scores for it, made unless an earlier call did; rows
/// that ask for the same share it. Beside it, last, what was scored.
fs::path scores_of(const CompareOptions& options, const CompareRow& row, int32_t seed) {
  const std::string asked = row.scores.dump();
  return run_folder(options, row.after, seed) / "scores" /
         fmt::format("{}-{}.parquet", row.scores.value("pairs", "logged"),
                     sha256(asked).substr(0, 8));
}

void make_scores(const CompareOptions& options, const CompareRow& row, int32_t seed,
                 const Dataset& dataset) {
  const fs::path file = scores_of(options, row, seed), about = file.string() + ".json";
  if (fs::exists(about)) return;
  ScoringOptions scoring = scoring_of(row);
  scoring.seed = options.first_seed + static_cast<uint64_t>(seed);
  scoring.device = options.device;
  log_info("compare", "{} scores for {}, seed {}", row.after, row.label, *scoring.seed);
  fs::create_directories(file.parent_path());
  fs::remove(file);
  const ScoringResult result =
      score_pairs(run_folder(options, row.after, seed), dataset, scoring, file);
  write_file(about, to_json(result).dump(2) + "\n");
}

/// The paths are absolute, so that the run is resumed from whatever folder the command is called
/// in.
Json recipe_of(const CompareOptions& options, const CompareRow& row, int32_t seed) {
  Json recipe = row.recipe;
  if (row.after.empty()) return recipe;
  recipe["distill"]["run"] = fs::weakly_canonical(run_folder(options, row.after, seed)).string();
  if (!row.scores.is_null())
    recipe["scores"]["file"] = fs::weakly_canonical(scores_of(options, row, seed)).string();
  return recipe;
}

/// Trains what is not finished; the trainer refuses a run begun otherwise. Returns the learning
/// rates that were chosen, by label.
Json train_all(std::span<const CompareRow> rows, std::span<const CompareData> data,
               const CompareOptions& options) {
  Json rates = Json::object();
  for (int32_t seed = 0; seed < options.seeds; ++seed) {
    const Dataset& dataset = *of_seed(data, seed).dataset;
    const auto train_run = [&](const Json& recipe, const fs::path& run) {
      TrainOptions training;
      training.run = run;
      training.resume = fs::exists(run);
      training.device = options.device;
      training.seed = options.first_seed + seed;
      training.go_on = "the same command goes on from there";
      fs::create_directories(run.parent_path());
      train(recipe, dataset, training);
    };
    for (const CompareRow& row : rows) {
      log_info("compare", "{}, seed {}", row.label, options.first_seed + seed);
      if (!row.scores.is_null()) make_scores(options, row, seed, dataset);
      Json recipe = recipe_of(options, row, seed);
      const fs::path run = run_folder(options, row.label, seed);
      if (seed == 0 && !options.learning_rates.empty()) {
        recipe = with_best_rate(recipe, options.learning_rates, run.parent_path(), run, train_run);
        rates[row.label] = recipe["optimizer"]["learning_rate"];
      }
      if (rates.contains(row.label)) recipe["optimizer"]["learning_rate"] = rates[row.label];
      train_run(recipe, run);
    }
  }
  return rates;
}

std::string teacher_name(std::span<const CompareRow> rows, const std::vector<SeedRows>& judged,
                         size_t row) {
  size_t chosen = rows.size();
  for (size_t at = rows.size(); at-- > 0;) {
    if (!judged[at].teachers.empty()) chosen = at;
  }
  for (size_t at = 0; at < rows.size(); ++at) {
    if (rows[at].label == "dmtl" && !judged[at].teachers.empty()) chosen = at;
  }
  return row == chosen ? "teacher" : "teacher_" + rows[row].label;
}

/// What a model costs: seconds of its training steps, and of the scores that were made for it, and
/// the most memory that training held.
void add_cost(JudgedRow& judged, const CompareRow& row, const CompareOptions& options,
              int32_t seed) {
  const auto add = [&](const char* name, const Json& number, double scale = 1) {
    if (!number.is_number()) return;
    const double value = number.get<double>() * scale;
    judged.metrics.push_back({name, {value, value, value}, {}});
  };
  const Json info = read_json(RunPaths(run_folder(options, row.label, seed)).info);
  add("train_seconds", info.at("result").value("train_seconds", Json()));
  add("train_megabytes", info.at("result").value("peak_bytes", Json()), 1e-6);
  if (!row.scores.is_null())
    add("score_seconds", read_json(scores_of(options, row, seed).string() + ".json").at("seconds"));
}

/// The distance to the ranking model that a student without one of its own learned from.
void compare_with_mentor(Judge& judge, JudgedRow& judged, const TrainedModel& model,
                         const CompareRow& row, const CompareOptions& options, int32_t seed) {
  if (row.after.empty() || model.teacher() != nullptr) return;
  const TrainedModel mentor(run_folder(options, row.after, seed), judge.dataset(), options.device);
  if (mentor.teacher() != nullptr)
    judge.against_ranker(judged, model.student(), *mentor.teacher(), -1);
}

/// A judge for each of the data.
using Judges = std::vector<std::unique_ptr<Judge>>;

SeedRows judge_seeds(const CompareRow& row, const CompareOptions& options, const Judges& judges) {
  SeedRows judged;
  for (int32_t seed = 0; seed < options.seeds; ++seed) {
    log_info("compare", "judging {}, seed {}", row.label, options.first_seed + seed);
    Judge& judge = *judges[judges.size() == 1 ? 0 : static_cast<size_t>(seed)];
    const TrainedModel model(run_folder(options, row.label, seed), judge.dataset(), options.device);
    judged.models.push_back(judge_student(judge, row.label, model));
    compare_with_mentor(judge, judged.models.back(), model, row, options, seed);
    add_cost(judged.models.back(), row, options, seed);
    if (model.teacher() != nullptr) {
      judged.teachers.push_back(judge.teacher("teacher", *model.teacher()));
    }
  }
  return judged;
}

Judges judges_of(std::span<const CompareData> data, const EvaluateOptions& options) {
  Judges judges;
  for (const CompareData& one : data) {
    EvaluateOptions own = options;
    own.click_bait = one.click_bait;
    judges.push_back(std::make_unique<Judge>(*one.dataset, own));
  }
  return judges;
}

/// Baselines and extra rows, which no seed of training changes: one value for each of the data.
std::vector<SummaryRow> judge_untrained(std::span<const CompareData> data,
                                        const CompareOptions& options, const Judges& judges) {
  std::vector<std::vector<JudgedRow>> rows;  // [rows][data]
  for (size_t i = 0; i < data.size(); ++i) {
    std::vector<JudgedRow> own;
    if (options.evaluate.baselines) own = judges[i]->baselines();
    for (const ExtraRow& row : data[i].extra) own.push_back(judges[i]->extra(row));
    rows.resize(own.size());
    for (size_t row = 0; row < own.size(); ++row) rows[row].push_back(std::move(own[row]));
  }
  std::vector<SummaryRow> sums;
  for (const auto& row : rows) sums.push_back(summarise(row));
  return sums;
}

/// The means as plain rows, for the warnings.
std::vector<std::string> warnings_of_means(const std::vector<SummaryRow>& rows) {
  std::vector<JudgedRow> means;
  for (const SummaryRow& row : rows) {
    JudgedRow mean{row.name, row.kind, {}};
    for (const SummaryMetric& metric : row.metrics) {
      mean.metrics.push_back({metric.name, {metric.mean, metric.low, metric.high}, {}});
    }
    means.push_back(std::move(mean));
  }
  return warnings_of(means);
}

/// The row `dmtl`, else the first model, against every other model.
std::vector<Difference> differences_of(const std::vector<SummaryRow>& rows) {
  const SummaryRow* reference = &rows.front();
  for (const SummaryRow& row : rows) {
    if (row.kind == RowRole::kModel && row.name == "dmtl") reference = &row;
  }
  std::vector<Difference> all;
  for (const SummaryRow& row : rows) {
    if (row.kind != RowRole::kModel || &row == reference) continue;
    const auto found = differences(*reference, row);
    all.insert(all.end(), found.begin(), found.end());
  }
  return all;
}

/// An earlier comparison of other models in the same folder is about to be replaced.
void warn_of_lost_rows(const fs::path& file, const CompareResult& result) {
  if (!fs::exists(file)) return;
  const Json before = Json::parse(read_file(file), nullptr, false);
  if (!before.is_object() || !before.contains("models")) return;
  std::string lost;
  for (const auto& [name, metrics] : before["models"].items())
    if (std::ranges::none_of(result.rows, [&](const SummaryRow& row) { return row.name == name; }))
      lost += (lost.empty() ? "" : ", ") + name;
  if (!lost.empty())
    log_warning("compare", "{}: is replaced, and with it the rows {}; their runs stay",
                file.string(), lost);
}

std::string cell_of(const SummaryMetric& metric) {
  if (std::isnan(metric.mean)) return "-";
  if (std::isnan(metric.deviation)) return fmt::format("{:.4f}", metric.mean);
  return fmt::format("{:.4f} ({:.4f})", metric.mean, metric.deviation);
}

}  // namespace

std::string describe_data(const CompareResult& result) {
  if (result.datasets == 1) return describe(result.about);
  return fmt::format("Every seed has a world and a log of its own; of the first:\n{}",
                     describe(result.about));
}

std::string describe_rates(const CompareResult& result) {
  std::string text;
  for (const auto& [label, rate] : result.learning_rates.items())
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", label, rate.get<double>());
  return text.empty() ? text : "Learning rates, chosen on validation: " + text + ".\n";
}

CompareResult compare(std::span<const CompareRow> rows, const Dataset& dataset,
                      const CompareOptions& options) {
  const CompareData data{&dataset};
  return compare(rows, std::span(&data, 1), options);
}

CompareResult compare(std::span<const CompareRow> all, std::span<const CompareData> data,
                      const CompareOptions& options) {
  check_labels({all.begin(), all.end()});
  std::vector<CompareRow> rows;
  for (const CompareRow& row : all)
    if (row.shown) rows.push_back(row);
  if (rows.empty()) fail<ConfigError>("compare: no recipe is named, or no row is shown");
  if (options.seeds < 1)
    fail<ConfigError>("compare: seeds must be 1 or more, not {}", options.seeds);
  check(data.size() == 1 || data.size() == static_cast<size_t>(options.seeds),
        "compare: {} datasets for {} seeds", data.size(), options.seeds);
  const Judges judges = judges_of(data, options.evaluate);
  fs::create_directories(options.out);
  CompareResult result;
  result.learning_rates = train_all(all, data, options);

  std::vector<SeedRows> judged;
  for (const CompareRow& row : rows) judged.push_back(judge_seeds(row, options, judges));
  result.seeds = options.seeds;
  result.datasets = static_cast<int32_t>(data.size());
  for (const SeedRows& row : judged) result.rows.push_back(summarise(row.models));
  for (size_t at = 0; at < rows.size(); ++at) {
    if (judged[at].teachers.empty()) continue;
    result.rows.push_back(summarise(judged[at].teachers));
    result.rows.back().name = teacher_name(rows, judged, at);
  }
  for (SummaryRow& row : judge_untrained(data, options, judges))
    result.rows.push_back(std::move(row));
  result.about = judges.front()->about();
  result.differences = differences_of(result.rows);
  result.warnings = warnings_of_means(result.rows);
  if (!options.results.empty()) {
    warn_of_lost_rows(options.out / options.results, result);
    write_file(options.out / options.results, to_json(result).dump(2) + "\n");
  }
  return result;
}

Json to_json(const CompareResult& result) {
  Json json;
  json["evaluation"] = result.about;
  json["seeds"] = result.seeds;
  json["datasets"] = result.datasets;
  json["models"] = Json::object();
  json["kinds"] = Json::object();
  for (const SummaryRow& row : result.rows) {
    json["models"][row.name] = to_json(row);
    json["kinds"][row.name] = name_of(row.kind);
    if (!row.details.empty()) json["details"][row.name] = row.details;
  }
  json["differences"] = Json::array();
  for (const Difference& difference : result.differences) {
    json["differences"].push_back({{"metric", difference.metric},
                                   {"row", difference.row},
                                   {"other", difference.other},
                                   {"value", difference.users.value},
                                   {"low", difference.users.low},
                                   {"high", difference.users.high},
                                   {"verdict", difference.verdict()}});
    if (!difference.seeds) continue;
    json["differences"].back()["low_seeds"] = difference.seeds->low;
    json["differences"].back()["high_seeds"] = difference.seeds->high;
  }
  json["warnings"] = result.warnings;
  if (!result.learning_rates.empty()) json["learning_rates"] = result.learning_rates;
  return json;
}

std::string table(const CompareResult& result) {
  std::vector<TableRow> rows;
  std::vector<std::string> metrics;
  for (const SummaryRow& row : result.rows) {
    rows.push_back({row.name, row.kind});
    for (const SummaryMetric& metric : row.metrics) {
      if (std::find(metrics.begin(), metrics.end(), metric.name) == metrics.end()) {
        metrics.push_back(metric.name);
      }
    }
  }
  std::string text = metric_tables(rows, metrics, [&](size_t row, const std::string& name) {
    const SummaryMetric* metric = result.rows[row].find(name);
    return metric == nullptr ? std::string() : cell_of(*metric);
  });
  text +=
      fmt::format("Mean (deviation) over {} seed{}.\n", result.seeds, result.seeds == 1 ? "" : "s");
  for (const Difference& difference : result.differences) {
    const Interval& over = difference.seeds.value_or(difference.users);
    text += fmt::format("{}: {} - {} = {:+.4f} [{:+.4f}, {:+.4f}]{}, {}.\n", difference.metric,
                        difference.row, difference.other, over.value, over.low, over.high,
                        difference.seeds ? fmt::format(" by user [{:+.4f}, {:+.4f}]",
                                                       difference.users.low, difference.users.high)
                                         : "",
                        difference.verdict());
  }
  text += describe_data(result) + describe_rates(result);
  for (const std::string& warning : result.warnings) text += "Warning: " + warning + ".\n";
  return text;
}

}  // namespace retort
