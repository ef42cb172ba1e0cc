#include "retort/study/compare.h"

#include <algorithm>
#include <memory>

#include <CLI/CLI.hpp>

#include "retort/cli/judging.h"
#include "retort/common/error.h"
#include "retort/common/log.h"
#include "retort/common/recipe.h"
#include "retort/dataset/builder.h"
#include "retort/sim/simulate.h"
#include "retort/study/compare_plot.h"
#include "retort/study/compare_table.h"
#include "retort/trainer/run_folder.h"

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

/// The resolved data recipe, with the plan's preset for data, else with that of all where it has
/// it.
Json data_recipe(const ComparePlan& plan, const std::string& data) {
  const fs::path file = find_recipe(data, "data");
  std::string preset = plan.data_preset;
  if (preset.empty() && has_preset(file, plan.preset)) preset = plan.preset;
  return load_recipe(file, preset, {});
}

/// Throws ConfigError if what is in `folder` came of other values of the table [world].
void check_world(const fs::path& folder, const Json& made_of, const Json& recipe) {
  const Json asked = recipe.value("world", Json::object());
  for (const auto& [key, value] : asked.items()) {
    if (!made_of.contains(key) || made_of[key] == value) continue;
    fail<ConfigError>(
        "{}: was made with world.{} = {}, and now {} is asked for; compare with the same preset, "
        "or into another folder",
        folder.string(), key, made_of[key].dump(), value.dump());
  }
}

/// Whether the plan's data recipes are all of one world.
bool has_one_world(const ComparePlan& plan) {
  const auto world = [&](const std::string& data) {
    return data_recipe(plan, data).value("world", Json());
  };
  return std::ranges::all_of(
      plan.data, [&](const auto& data) { return world(data) == world(plan.data.front()); });
}

/// The data recipe's world, made below `out` unless an earlier call did; empty if its log is not
/// simulated.
fs::path make_world(const Json& recipe, const fs::path& out) {
  if (!recipe.contains("world")) return {};
  fs::path world = out / "world";
  if (fs::exists(world)) {
    check_world(world, read_json(world / "world.json").at("options"), recipe);
    return world;
  }
  fs::create_directories(out);
  simulate(recipe, {.out = world, .seed = {}});
  return world;
}

/// Below `out`, ingested unless an earlier call did.
fs::path make_dataset(const ComparePlan& plan, const std::string& data, const fs::path& from,
                      const fs::path& out) {
  fs::path dataset = out / "dataset";
  const Json recipe = data_recipe(plan, data);
  if (fs::exists(dataset)) {
    const Json manifest = read_json(dataset / "manifest.json");
    check_world(dataset, manifest["recipe"].value("world", Json::object()), recipe);
    return dataset;
  }
  fs::create_directories(out);
  const IngestResult result = ingest(recipe, {.from = from, .out = dataset, .seed = {}});
  log_info("compare", "{}", describe(result));
  return dataset;
}

/// One dataset: trained, judged. `data` is the name of its recipe, "" for any.
CompareResult compare_on(const ComparePlan& plan, const std::string& data, const fs::path& folder,
                         const Flags& flags, const CommonFlags& common, CompareOptions options) {
  const Dataset dataset(folder);
  options.seeds = flags.seeds.value_or(plan.seeds);
  options.device = common.device;
  options.evaluate = judging_options(flags.judging, {});
  want_metrics(plan, dataset, options.evaluate);
  if (common.seed) options.first_seed = *common.seed;
  std::unique_ptr<OracleRow> oracle;
  options.extra = oracle_rows(flags.judging.truth, dataset, oracle);
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
      dataset = make_dataset(plan, data, world.empty() ? fs::path(flags.from) : world, options.out);
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
  app.add_option("--preset", flags->preset, "tiny, small or paper, for every recipe");
  app.add_option("--from", flags->from,
                 "where the log of a comparison's data recipe is; default: RETORT_DATA");
  add_judging_flags(app, flags->judging);
  return [flags, &common] { return run(*flags, common); };
}

}  // namespace

Command compare_command() { return {compare_help(), &add}; }

}  // namespace retort
