#include "retort/study/daily.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "retort/bundle/bundle_writer.h"
#include "retort/common/error.h"
#include "retort/common/log.h"
#include "retort/common/recipe.h"
#include "retort/common/text.h"
#include "retort/dataset/builder.h"
#include "retort/dataset/columns.h"
#include "retort/study/evaluate.h"
#include "retort/study/summary.h"
#include "retort/trainer/publish.h"
#include "retort/trainer/run_folder.h"
#include "retort/trainer/score_pairs.h"
#include "retort/trainer/train.h"
#include "retort/trainer/trained_model.h"

namespace retort {
namespace {

/// Names of what is in a folder, without extensions, ascending: days.
std::vector<std::string> days_in(const fs::path& folder) {
  std::vector<std::string> days;
  if (!fs::is_directory(folder)) return days;
  for (const auto& entry : fs::directory_iterator(folder))
    if (!entry.path().filename().string().starts_with("."))
      days.push_back(entry.path().stem().string());
  std::ranges::sort(days);
  return days;
}

bool finished(const fs::path& run) {
  return fs::exists(RunPaths(run).info) && read_json(RunPaths(run).info).at("status") == "finished";
}

double value_of(const JudgedRow& row, const std::string& metric) {
  const MetricValue* found = row.find(metric);
  if (found == nullptr || std::isnan(found->interval.value))
    fail<ConfigError>("recipe key 'gate.metric' = \"{}\": '{}' has no such value", metric,
                      row.name);
  return found->interval.value;
}

Json to_json(const Interval& interval) {
  return {{"value", interval.value}, {"low", interval.low}, {"high", interval.high}};
}

class Day {
 public:
  Day(const DailyRecipe& recipe, const DailyOptions& options)
      : recipe_(recipe),
        options_(options),
        range_(parse_days(options.day, "--day")),
        result_file_(options.out / "days" / (options.day + ".json")) {
    if (!range_.single()) fail<ConfigError>("--day {}: one day, as 2024-03-05", options.day);
    for (const std::string& day : days_in(options.out / "days")) {
      if (day > options.day)
        fail<ConfigError>("--day {}: {} is done already; days are run in order", options.day, day);
      const Json done = read_json(options.out / "days" / (day + ".json"));
      if (day < options.day) yesterday_ = day;
      if (day < options.day && done.at("published") == true) incumbent_ = day;
    }
    result_["day"] = options.day;
  }

  Json run() {
    if (fs::exists(result_file_)) {
      Json done = read_json(result_file_);
      done["repeated"] = true;
      return done;
    }
    step("append", [this] { add_day(); });
    step("score", [this] { score(); });
    step("train", [this] { train_models(); });
    step("evaluate", [this] { judge(); });
    step("publish", [this] { publish(); });
    fs::create_directories(result_file_.parent_path());
    write_json(result_file_, result_);
    clean();
    return result_;
  }

 private:
  fs::path place(const char* what, const std::string& day) const {
    return options_.out / what / day;
  }
  fs::path dataset() const { return place("datasets", options_.day); }
  fs::path run_of(const std::string& day) const { return place("runs", day); }
  fs::path scores() const { return place("scores", options_.day + ".parquet"); }

  template <class Do>
  void step(const char* name, const Do& action) {
    const auto begin = std::chrono::steady_clock::now();
    log_info("daily", "{}: {}", options_.day, name);
    action();
    result_["seconds"][name] =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }

  void add_day() {
    if (fs::exists(dataset())) return;
    IngestOptions ingest_options{.from = options_.from, .out = dataset()};
    ingest_options.keep_log = true;
    if (yesterday_.empty()) {
      ingest_options.days = DayRange{.until = range_.until};
    } else {
      ingest_options.days = range_;
      ingest_options.append = place("datasets", yesterday_);
    }
    fs::create_directories(dataset().parent_path());
    ingest(load_recipe(find_recipe(recipe_.data, "data"), recipe_.data_preset, recipe_.data_sets),
           ingest_options);
  }

  /// Yesterday's teacher, which has not seen them, scores the rows that today's student learns
  /// from.
  void score() {
    if (recipe_.scores.teacher.empty() || yesterday_.empty() || fs::exists(scores())) return;
    const Dataset rows(dataset());
    ScoringOptions scoring;
    if (recipe_.train.warm_start && recipe_.train.days == "new")
      scoring.since = rows.manifest().at("lineage").back().at("trained_until").get<int64_t>();
    scoring.seed = options_.seed;
    scoring.pairs = ScorePairs::parse(recipe_.scores.pairs);
    scoring.device = options_.device;
    fs::create_directories(scores().parent_path());
    score_pairs(place("teachers", yesterday_), rows, scoring, scores());
  }

  /// Trains a day's run below `folder`, from yesterday's where the recipe is the same.
  void train_run(const char* folder, const std::string& name, bool warm,
                 std::vector<std::string> sets) {
    const fs::path run = place(folder, options_.day);
    if (finished(run)) return;
    TrainOptions training;
    training.run = run;
    training.resume = fs::exists(run);
    training.device = options_.device;
    training.go_on = "the same command goes on from there";
    if (warm) {
      training.warm_start = place(folder, yesterday_);
      sets.push_back("train.days=" + recipe_.train.days);
    }
    training.seed = options_.seed;
    fs::create_directories(run.parent_path());
    train(load_recipe(find_recipe(name), recipe_.preset, sets), Dataset(dataset()), training);
  }

  void train_models() {
    const bool warm = recipe_.train.warm_start && !yesterday_.empty();
    std::vector<std::string> sets = recipe_.sets;
    if (recipe_.scores.teacher.empty()) return train_run("runs", recipe_.model, warm, sets);
    train_run("teachers", recipe_.scores.teacher, warm, sets);
    if (!fs::exists(scores())) return train_run("runs", recipe_.scores.first, false, sets);
    sets.push_back("scores.file=" + fs::absolute(scores()).string());
    const bool learned_from_scores =
        !yesterday_.empty() && fs::exists(place("scores", yesterday_ + ".parquet"));
    train_run("runs", recipe_.model, warm && learned_from_scores, sets);
  }

  SummaryRow judged(Judge& judge, const std::string& day, const Dataset& rows) const {
    const TrainedModel model(run_of(day), rows, options_.device);
    const JudgedRow row = judge_student(judge, day, model);
    value_of(row, recipe_.gate.metric);
    return summarise({&row, 1});
  }

  void judge() {
    const Dataset rows(dataset());
    const std::string& metric = recipe_.gate.metric;
    Judge judge(rows, {.catalogue = metric.find('@') != std::string::npos || metric == "mrr"});
    const SummaryRow today = judged(judge, options_.day, rows);
    const SummaryMetric& own = *today.find(recipe_.gate.metric);
    Json& gate = result_["gate"];
    gate = {{"metric", recipe_.gate.metric},
            {"today", to_json(Interval{own.mean, own.low, own.high})}};
    if (own.mean < recipe_.gate.at_least)
      refuse("{:.4f} is below gate.at_least = {}", own.mean, recipe_.gate.at_least);
    if (!incumbent_.empty()) {
      const SummaryRow published = judged(judge, incumbent_, rows);
      const SummaryMetric& theirs = *published.find(recipe_.gate.metric);
      gate["published"] = to_json(Interval{theirs.mean, theirs.low, theirs.high});
      gate["published_day"] = incumbent_;
      gate["difference"] = to_json(user_difference(own, theirs));
      if (own.mean < theirs.mean - recipe_.gate.tolerance)
        refuse("{:.4f} is worse than the {:.4f} of what is published ({}) on the same rows",
               own.mean, theirs.mean, incumbent_);
    }
    for (const JudgedRow& baseline : judge.baselines()) {
      if (std::ranges::find(recipe_.gate.beats, baseline.name) == recipe_.gate.beats.end())
        continue;
      const double value = value_of(baseline, recipe_.gate.metric);
      gate["baselines"][baseline.name] = value;
      if (own.mean < value)
        refuse("{:.4f} loses to {} with {:.4f}", own.mean, baseline.name, value);
    }
    for (const std::string& name : recipe_.gate.beats)
      if (!gate.contains("baselines") || !gate["baselines"].contains(name))
        fail<ConfigError>("recipe key 'gate.beats': there is no baseline '{}'", name);
  }

  template <class... Args>
  void refuse(fmt::format_string<Args...> format, Args&&... args) {
    if (result_.contains("reason")) return;
    result_["reason"] =
        recipe_.gate.metric + " of " + fmt::format(format, std::forward<Args>(args)...);
  }

  /// The version of this run, if it was published before the day could be marked as done.
  std::optional<int64_t> published_version(const fs::path& bundles) const {
    const std::string digest = dataset_digest(Dataset(dataset()));
    const std::vector<int64_t> versions = bundle_versions(bundles);
    if (versions.empty()) return std::nullopt;
    const Json manifest = read_manifest(bundles / std::to_string(versions.back()), /*deep=*/false);
    if (manifest.at("provenance").value("dataset_digest", "") != digest) return std::nullopt;
    return versions.back();
  }

  void publish() {
    result_["published"] = !result_.contains("reason");
    if (result_.at("published") == false) return;
    const fs::path bundles = options_.out / "bundles";
    std::optional<int64_t> version = published_version(bundles);
    if (!version) {
      PublishOptions publishing{.dataset = dataset(), .embeddings = recipe_.publish.embeddings};
      publishing.index = {{"name", recipe_.publish.index}};
      publishing.device = options_.device;
      version = publish_run(run_of(options_.day), bundles, publishing).version;
    }
    result_["version"] = *version;
  }

  /// Days long past give their room back; today's, and what is published, stay.
  void clean() const {
    const std::string& kept = result_.at("published") == true ? options_.day : incumbent_;
    for (const char* what : {"datasets", "runs", "teachers", "scores"}) {
      const std::vector<std::string> days = days_in(options_.out / what);
      const auto old = static_cast<int64_t>(days.size()) - 1 - recipe_.keep_days;
      for (int64_t i = 0; i < old; ++i) {
        const std::string& day = days[static_cast<size_t>(i)];
        if (day != kept)
          fs::remove_all(place(what, std::string(what) == "scores" ? day + ".parquet" : day));
      }
    }
  }

  const DailyRecipe& recipe_;
  const DailyOptions& options_;
  const DayRange range_;
  const fs::path result_file_;
  std::string yesterday_, incumbent_;  // days; empty: none
  Json result_;
};

}  // namespace

DailyRecipe read_daily_recipe(const Json& recipe) {
  DailyRecipe daily;
  Fields root(recipe, "");
  root.read("name", daily.name);
  root.read("data", daily.data);
  root.read("model", daily.model);
  root.read("data_preset", daily.data_preset);
  root.read("preset", daily.preset);
  root.read("data_sets", daily.data_sets);
  root.read("sets", daily.sets);
  root.read("keep_days", daily.keep_days);
  for (const char* table : {"train", "scores", "gate", "publish"}) root.sub(table);
  root.finish();
  Fields train(recipe, "train");
  train.read("warm_start", daily.train.warm_start);
  train.read_choice("days", daily.train.days, {"new", "all"});
  train.finish();
  Fields scores(recipe, "scores");
  scores.read("teacher", daily.scores.teacher);
  scores.read("pairs", daily.scores.pairs);
  scores.read("first", daily.scores.first);
  scores.finish();
  Fields gate(recipe, "gate");
  gate.read("metric", daily.gate.metric);
  gate.read("tolerance", daily.gate.tolerance);
  gate.read("at_least", daily.gate.at_least);
  gate.read("beats", daily.gate.beats);
  gate.finish();
  Fields publish(recipe, "publish");
  publish.read("index", daily.publish.index);
  publish.read("embeddings", daily.publish.embeddings);
  publish.finish();
  for (const auto& [key, value] : {std::pair("data", &daily.data), {"model", &daily.model}})
    if (value->empty())
      fail<ConfigError>("recipe key '{}' is missing: the name or file of a recipe", key);
  if (const auto& scoring = daily.scores; !scoring.teacher.empty()) {
    ScorePairs::parse(scoring.pairs);
    if (scoring.first.empty())
      fail<ConfigError>(
          "recipe key 'scores.first' is missing: the model of the day without scores");
  } else if (!scoring.pairs.empty() || !scoring.first.empty()) {
    fail<ConfigError>("recipe key 'scores.teacher' is missing: whose scores are meant?");
  }
  if (!(daily.gate.tolerance >= 0))
    fail<ConfigError>("recipe key 'gate.tolerance': 0 or more is expected, not {}",
                      daily.gate.tolerance);
  if (daily.keep_days < 1)
    fail<ConfigError>("recipe key 'keep_days': {} leaves nothing to begin tomorrow from; 1 or more",
                      daily.keep_days);
  return daily;
}

Json run_day(const DailyRecipe& recipe, const DailyOptions& options) {
  return Day(recipe, options).run();
}

std::string describe_day(const Json& result) {
  const std::string day = result.at("day").get<std::string>();
  const Json& gate = result.at("gate");
  const auto metric = gate.at("metric").get<std::string>();
  const auto interval = [](const Json& json) {
    return fmt::format("{:.4f} [{:.4f}, {:.4f}]", json.at("value").get<double>(),
                       json.at("low").get<double>(), json.at("high").get<double>());
  };
  std::string text =
      fmt::format("{}{}\n  {} {}\n", day, result.value("repeated", false) ? " was done before" : "",
                  metric, interval(gate.at("today")));
  if (gate.contains("difference"))
    text +=
        fmt::format("  against what was published on {}: {}\n",
                    gate.at("published_day").get<std::string>(), interval(gate.at("difference")));
  if (gate.contains("baselines"))
    for (const auto& [name, value] : gate.at("baselines").items())
      text += fmt::format("  {} {:.4f}\n", name, value.get<double>());
  if (result.at("published") == true)
    return text + fmt::format("  published as version {}\n", result.at("version").dump());
  return text + fmt::format("  NOT published: {}\n", result.at("reason").get<std::string>());
}

}  // namespace retort
