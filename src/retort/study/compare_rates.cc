#include "retort/study/compare_rates.h"

#include <algorithm>

#include "retort/common/error.h"
#include "retort/common/log.h"
#include "retort/common/recipe.h"
#include "retort/trainer/run_folder.h"

namespace retort {
namespace {

Json with_rate(Json recipe, double rate) {
  recipe["optimizer"]["learning_rate"] = rate;
  return recipe;
}

/// Whether a lower value of the metric is the better one.
bool is_loss(const std::string& metric) { return metric == "loss"; }

void check_choice(const Json& choice, const std::vector<double>& rates, const fs::path& file) {
  std::vector<double> tried;
  for (const Json& entry : choice.at("validation"))
    tried.push_back(entry.at("learning_rate").get<double>());
  if (tried != rates)
    fail<ConfigError>(
        "{}: the choice was among the learning rates {}, now {} are asked for; "
        "compare into another folder",
        file.string(), fmt::join(tried, ", "), fmt::join(rates, ", "));
}

}  // namespace

Json with_best_rate(const Json& recipe, const std::vector<double>& rates, const fs::path& folder,
                    const fs::path& first, const TrainRun& train_run) {
  if (rates.empty()) return recipe;
  const fs::path file = folder / "learning_rate.json";
  if (fs::exists(file)) {
    const Json choice = read_json(file);
    check_choice(choice, rates, file);
    const double chosen = choice.at("chosen");
    const fs::path run = folder / "rates" / fmt::format("{}", chosen);
    if (!fs::exists(first)) fs::rename(run, first);  // cut off between the file and the name
    return with_rate(recipe, chosen);
  }
  Json choice{{"validation", Json::array()}};
  double best = 0;
  for (const double rate : rates) {
    if (!(rate > 0)) fail<ConfigError>("learning_rates: a rate must be above 0, not {}", rate);
    const fs::path run = folder / "rates" / fmt::format("{}", rate);
    log_info("compare", "{}, learning rate {}", folder.filename().string(), rate);
    train_run(with_rate(recipe, rate), run);
    const Json result = read_json(RunPaths(run).info).at("result");
    const double value = result.at("best_metric");
    choice["metric"] = result.at("metric");
    choice["validation"].push_back({{"learning_rate", rate}, {"value", value}});
    const bool better = is_loss(choice["metric"]) ? value < best : value > best;
    if (choice["validation"].size() > 1 && !better) continue;
    best = value;
    choice["chosen"] = rate;
  }
  write_file(file, choice.dump(2) + "\n");
  fs::rename(folder / "rates" / fmt::format("{}", choice["chosen"].get<double>()), first);
  return with_rate(recipe, choice["chosen"]);
}

}  // namespace retort
