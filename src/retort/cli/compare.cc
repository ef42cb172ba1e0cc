#include "retort/study/compare.h"

#include <algorithm>
#include <deque>
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
  bool new_worlds = false;
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

/// Where a dataset is, and the simulated world it came of, if it did.
struct Source {
  fs::path dataset, world;
};

/// A dataset that is compared on, with what its world knows.
class Material {
 public:
  explicit Material(const Source& source) : dataset_(source.dataset), data_{.dataset = &dataset_} {
    data_.extra = oracle_rows(source.world, dataset_, oracle_);
    if (oracle_) data_.click_bait = oracle_->click_bait(dataset_);
  }
  const CompareData& data() const { return data_; }

 private:
  Dataset dataset_;
  std::unique_ptr<OracleRows> oracle_;
  CompareData data_;
};

/// `data` is the name of its recipe, "" for any.
CompareResult compare_on(const ComparePlan& plan, const std::string& data,
                         const std::vector<Source>& sources, const Flags& flags,
                         const CommonFlags& common, CompareOptions options) {
  std::deque<Material> materials;
  std::vector<CompareData> all;
  for (const Source& source : sources) all.push_back(materials.emplace_back(source).data());
  options.learning_rates =
      flags.learning_rates.empty() ? plan.learning_rates : flags.learning_rates;
  options.device = common.device;
  options.evaluate = judging_options(flags.judging, {});
  want_metrics(plan, *all.front().dataset, options.evaluate);
  return compare(rows_for(plan, data), all, options);
}

/// The dataset of a data recipe in `out`, made if it is missing; its world in `world_out`.
Source source_of(const Json& recipe, const Flags& flags, const fs::path& world_out,
                 const fs::path& out) {
  Source source;
  if (flags.from.empty()) source.world = make_world(recipe, world_out);
  source.dataset =
      make_dataset(recipe, source.world.empty() ? fs::path(flags.from) : source.world, out);
  if (!flags.judging.truth.empty()) source.world = flags.judging.truth;
  return source;
}

/// A world and a dataset for each seed, in options.out/worlds.
std::vector<Source> sources_of_seeds(const ComparePlan& plan, const std::string& data,
                                     const Flags& flags, const CompareOptions& options) {
  std::vector<Source> sources;
  for (int32_t i = 0; i < options.seeds; ++i) {
    const uint64_t seed = options.first_seed + static_cast<uint64_t>(i);
    const Json recipe = data_recipe(
        plan, data,
        {fmt::format("world.seed={}", seed), fmt::format("world.log_seed={}", seed + 1)});
    const fs::path folder = options.out / "worlds" / fmt::format("seed{}", seed);
    sources.push_back(source_of(recipe, flags, folder, folder));
  }
  return sources;
}

/// Throws ConfigError where the plan, or the flag, asks for worlds that nothing can simulate.
void check_new_worlds(const ComparePlan& plan, const Flags& flags) {
  if (!flags.dataset.empty() || !flags.from.empty() || !flags.judging.truth.empty())
    fail<ConfigError>(
        "compare: with a world for each seed (--new-worlds) every log is simulated, so that "
        "--dataset, --from and --truth do not fit");
  for (const std::string& data : plan.data)
    if (!data_recipe(plan, data).contains("world"))
      fail<ConfigError>("compare: --new-worlds: the data recipe '{}' simulates nothing", data);
}

Answer run(const Flags& flags, const CommonFlags& common) {
  ComparePlan plan = plan_of(flags, common);
  const fs::path out = flags.out;
  if (flags.dataset.empty() && plan.data.empty())
    fail<ConfigError>("compare: --dataset is needed: '{}' names no data recipe", plan.name);
  if (!flags.dataset.empty() && plan.data.size() > 1)
    fail<ConfigError>("compare: '{}' is for the data recipes {}, so that --dataset does not fit",
                      plan.name, fmt::join(plan.data, ", "));
  const bool new_worlds = plan.new_worlds || flags.new_worlds;
  if (new_worlds) check_new_worlds(plan, flags);
  if (plan.data.empty()) plan.data = {""};
  fs::create_directories(out);
  const bool one_world = flags.dataset.empty() && flags.from.empty() && has_one_world(plan);
  std::vector<DataResult> measured;
  for (const std::string& data : plan.data) {
    CompareOptions options;
    options.out = plan.data_folders ? out / data : out;
    options.seeds = flags.seeds.value_or(plan.seeds);
    if (common.seed) options.first_seed = *common.seed;
    if (plan.data_folders || !plan.metrics.empty()) options.results.clear();
    std::vector<Source> sources;
    if (new_worlds)
      sources = sources_of_seeds(plan, data, flags, options);
    else if (!flags.dataset.empty())
      sources = {{flags.dataset, flags.judging.truth}};
    else
      sources = {
          source_of(data_recipe(plan, data), flags, one_world ? out : options.out, options.out)};
    measured.push_back({data, compare_on(plan, data, sources, flags, common, options)});
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
      ->check(CLI::Range(1, 10000));
  app.add_flag("--new-worlds", flags->new_worlds,
               "each seed in a simulated world of its own, of that seed: OUT/worlds/seedK");
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
