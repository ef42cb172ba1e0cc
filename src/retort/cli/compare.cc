#include "retort/study/compare.h"

#include <algorithm>
#include <memory>

#include <CLI/CLI.hpp>

#include "retort/cli/judging.h"
#include "retort/common/error.h"
#include "retort/common/log.h"
#include "retort/common/recipe.h"
#include "retort/study/compare_data.h"
#include "retort/study/compare_plot.h"
#include "retort/study/compare_table.h"

namespace retort {
namespace {

struct Flags {
  std::vector<std::string> recipes;
  std::string preset, dataset, from, out;
  std::optional<int32_t> seeds;
  std::vector<double> learning_rates;
  JudgingFlags judging;
};

/// The plan that the arguments name: one recipe of recipes/compare/ (or a file with [[rows]]), or
/// model recipes.
ComparePlan plan_of(const Flags& flags, const CommonFlags& common) {
  const std::vector<std::string> plans = recipe_names("compare");
  const std::string& first = flags.recipes.front();
  const bool known = std::find(plans.begin(), plans.end(), first) != plans.end();
  if (known || (first.ends_with(".toml") && is_compare_plan(load_recipe(first, "", {})))) {
    if (flags.recipes.size() > 1)
      fail<ConfigError>("compare: '{}' is a whole comparison and stands alone", first);
    return read_compare_plan(find_recipe(first, "compare"), flags.preset, common.set);
  }
  ComparePlan plan;
  plan.name = "compare";
  plan.rows = compare_rows(flags.recipes, flags.preset, common.set);
  return plan;
}

/// Whether the plan's data recipes are all of one world.
bool has_one_world(const ComparePlan& plan) {
  const auto world = [&](const std::string& data) {
    return data_recipe(plan, data).value("world", Json());
  };
  return std::ranges::all_of(
      plan.data, [&](const auto& data) { return world(data) == world(plan.data.front()); });
}

/// One dataset: trained, judged. `data` is the name of its recipe, "" for any.
CompareResult compare_on(const ComparePlan& plan, const std::string& data, const fs::path& folder,
                         const Flags& flags, const CommonFlags& common, CompareOptions options) {
  const Dataset dataset(folder);
  options.seeds = flags.seeds.value_or(plan.seeds);
  options.learning_rates =
      flags.learning_rates.empty() ? plan.learning_rates : flags.learning_rates;
  options.device = common.device;
  options.evaluate = judging_options(flags.judging, {});
  want_metrics(plan, dataset, options.evaluate);
  if (common.seed) options.first_seed = *common.seed;
  std::unique_ptr<OracleRow> oracle;
  options.extra = oracle_rows(flags.judging.truth, dataset, oracle);
  if (oracle) options.evaluate.click_bait = oracle->click_bait(dataset);
  return compare(rows_for(plan, data), dataset, options);
}

Answer run(const Flags& flags, const CommonFlags& common) {
  ComparePlan plan = plan_of(flags, common);
  const fs::path out = flags.out;
  fs::create_directories(out);
  if (!flags.dataset.empty()) {
    if (plan.data.size() > 1)
      fail<ConfigError>("compare: '{}' is for the data recipes {}, so that --dataset does not fit",
                        plan.name, fmt::join(plan.data, ", "));
    if (plan.data.empty()) plan.data = {""};
  } else if (plan.data.empty()) {
    fail<ConfigError>("compare: --dataset is needed: '{}' names no data recipe", plan.name);
  }
  const bool simulates = flags.dataset.empty() && flags.from.empty();
  const bool one_world = simulates && has_one_world(plan);
  std::vector<DataResult> measured;
  for (const std::string& data : plan.data) {
    CompareOptions options;
    options.out = plan.data_folders ? out / data : out;
    if (plan.data_folders || !plan.metrics.empty()) options.results.clear();
    fs::path dataset = flags.dataset, world;
    if (simulates) world = make_world(data_recipe(plan, data), one_world ? out : options.out);
    if (dataset.empty())
      dataset = make_dataset(data_recipe(plan, data), world.empty() ? fs::path(flags.from) : world,
                             options.out);
    Flags own = flags;
    if (own.judging.truth.empty()) own.judging.truth = world.string();
    measured.push_back({data, compare_on(plan, data, dataset, own, common, options)});
  }
  if (!plan.data_folders && plan.metrics.empty())
    return {to_json(measured.front().result), table(measured.front().result)};
  const Json json = plan_json(plan, measured);
  write_file(out / (plan.name + ".json"), json.dump(2) + "\n");
  for (const auto& [name, svg] : plan_plots(plan, measured)) write_file(out / name, svg);
  return {json, plan_table(plan, measured)};
}

Action add(CLI::App& app, const CommonFlags& common) {
  auto flags = std::make_shared<Flags>();
  app.add_option("RECIPES", flags->recipes,
                 "model recipes, or one recipe of recipes/compare/ that names all")
      ->required();
  app.add_option("--dataset", flags->dataset, "what `retort ingest` made");
  app.add_option("--out", flags->out, "the folder of the runs and of the results as JSON")
      ->required();
  app.add_option("--seeds", flags->seeds, "runs of each recipe; 3 by default")
      ->check(CLI::PositiveNumber);
  app.add_option("--learning-rates", flags->learning_rates,
                 "as in 3e-4,1e-3,3e-3: every row takes the one that is best on validation with "
                 "the first seed")
      ->delimiter(',')
      ->check(CLI::PositiveNumber);
  app.add_option("--preset", flags->preset, "tiny, small or paper, for every recipe");
  app.add_option("--from", flags->from,
                 "where the log of a comparison's data recipe is; default: RETORT_DATA");
  add_judging_flags(app, flags->judging);
  return [flags, &common] { return run(*flags, common); };
}

}  // namespace

Command compare_command() { return {compare_help(), &add}; }

}  // namespace retort
