#include "retort/study/compare.h"

#include <memory>

#include <CLI/CLI.hpp>

#include "retort/cli/judging.h"
#include "retort/common/error.h"
#include "retort/common/log.h"
#include "retort/common/recipe.h"
#include "retort/dataset/builder.h"
#include "retort/sim/simulate.h"

namespace retort {
namespace {

struct Flags {
  std::vector<std::string> recipes;
  std::string preset, dataset, from, out;
  std::optional<int32_t> seeds;
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

/// The plan's own dataset, made below `out` unless an earlier call did; a simulated world's truth
/// comes with it.
void make_dataset(const ComparePlan& plan, Flags& flags) {
  if (plan.data.empty())
    fail<ConfigError>("compare: --dataset is needed: '{}' names no data recipe", plan.name);
  const Json recipe = load_recipe(find_recipe(plan.data, "data"), "", {});
  const fs::path world = fs::path(flags.out) / "world", dataset = fs::path(flags.out) / "dataset";
  const bool simulated = recipe.contains("world") && flags.from.empty();
  fs::create_directories(flags.out);
  if (simulated && !fs::exists(world)) simulate(recipe, {.out = world, .seed = {}});
  if (simulated && flags.judging.truth.empty()) flags.judging.truth = world.string();
  if (!fs::exists(dataset)) {
    const fs::path from = simulated ? world : fs::path(flags.from);
    const IngestResult result = ingest(recipe, {.from = from, .out = dataset, .seed = {}});
    log_info("compare", "{}", describe(result));
  }
  flags.dataset = dataset.string();
}

Answer run(Flags flags, const CommonFlags& common) {
  const ComparePlan plan = plan_of(flags, common);
  if (flags.dataset.empty()) make_dataset(plan, flags);
  const Dataset dataset(flags.dataset);
  CompareOptions options;
  options.out = flags.out;
  options.seeds = flags.seeds.value_or(plan.seeds);
  options.device = common.device;
  options.evaluate = judging_options(flags.judging, {});
  if (common.seed) options.first_seed = *common.seed;
  std::unique_ptr<OracleRow> oracle;
  options.extra = oracle_rows(flags.judging.truth, dataset, oracle);
  const CompareResult result = compare(plan.rows, dataset, options);
  return {to_json(result), table(result)};
}

Action add(CLI::App& app, const CommonFlags& common) {
  auto flags = std::make_shared<Flags>();
  app.add_option("RECIPES", flags->recipes,
                 "model recipes, or one recipe of recipes/compare/ that names all")
      ->required();
  app.add_option("--dataset", flags->dataset, "what `retort ingest` made");
  app.add_option("--out", flags->out, "the folder of the runs and of compare.json")->required();
  app.add_option("--seeds", flags->seeds, "runs of each recipe; 3 by default")
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
