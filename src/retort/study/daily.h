// The day's work of a feed: add the day to the dataset, score, train from yesterday's run, judge
// beside what is published, and publish unless it is worse. Every step leaves a file of its own
// that appears whole, so that the call may be repeated, after Ctrl-C or a crash, until it says
// done.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "retort/common/file.h"
#include "retort/common/json.h"

namespace retort {

/// A recipe of recipes/daily/; docs/daily.md says what each key means.
struct DailyRecipe {
  std::string name, data, model;
  std::string data_preset, preset;           // of the data recipe, of the model recipe
  std::vector<std::string> data_sets, sets;  // as --set takes them
  struct {
    bool warm_start = true;
    std::string days = "new";  // new | all: what a warm start learns from
  } train;
  struct {
    std::string teacher;  // a recipe with a ranking model, trained daily too; empty: no scores
    std::string pairs;    // logged | in-batch | top-N: what yesterday's teacher scores
    std::string first;    // the model of the day without scores
  } scores;
  struct {
    std::string metric = "auc_read";
    double tolerance = 0;  // so much below the published model's is not worse
    double at_least = 0;
    std::vector<std::string> beats;  // baselines it must not lose to: popularity_1d, co_click
  } gate;
  struct {
    std::string index = "exact", embeddings = "fp32";
  } publish;
  int64_t keep_days = 2;  // datasets and runs before today's; what is published is always kept
};
/// Throws ConfigError naming the key.
DailyRecipe read_daily_recipe(const Json& recipe);

struct DailyOptions {
  fs::path from;    // where the data recipe's paths start
  fs::path out;     // datasets, runs, teachers, scores, days: DAY ..; bundles/VERSION
  std::string day;  // 2024-03-05
  std::string device = "auto";
  uint64_t seed = 1;
};

/// {"day", "published", "version" or "reason", "gate": {..}, "seconds": {STEP: s}}; "repeated":
/// true where the day was done before. Throws ConfigError for a day before one that is done, and
/// what ingest, score, train, evaluate and publish throw.
Json run_day(const DailyRecipe& recipe, const DailyOptions& options);
/// The same for people.
std::string describe_day(const Json& result);

}  // namespace retort
