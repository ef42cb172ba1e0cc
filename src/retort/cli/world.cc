#include <memory>

#include <CLI/CLI.hpp>

#include "retort/cli/command.h"
#include "retort/common/file.h"
#include "retort/common/recipe.h"
#include "retort/study/sweep.h"

namespace retort {
namespace {

constexpr const char* kExamples =
    "  retort world sweep dmtl --out sweep\n"
    "  retort world sweep dmtl --preset tiny --seeds 1 --threads 1 --out sweep-tiny --json\n";

struct Flags {
  std::string recipe, preset, out;
  std::optional<int32_t> seeds;
};

Answer sweep(const Flags& flags, const CommonFlags& common) {
  const SweepPlan plan =
      read_sweep_plan(find_recipe(flags.recipe, "sweep"), flags.preset, common.set);
  CompareOptions options;
  options.out = flags.out;
  options.seeds = flags.seeds.value_or(plan.compare.seeds);
  options.first_seed = common.seed.value_or(1);
  options.device = common.device;
  options.evaluate.baselines = false;
  fs::create_directories(options.out);
  const SweepResult result = run_sweep(plan, options);
  const Json json = to_json(plan, result);
  const std::string name = plan.compare.name + "-sweep";
  write_file(options.out / (name + ".json"), json.dump(2) + "\n");
  write_file(options.out / (name + ".svg"), sweep_svg(plan, result));
  return {json, table(plan, result) +
                    fmt::format("Picture: {}\n", (options.out / (name + ".svg")).string())};
}

Action add(CLI::App& app, const CommonFlags& common) {
  auto flags = std::make_shared<Flags>();
  CLI::App* command = app.add_subcommand(
      "sweep", "in which worlds an order of models holds: maps over two dimensions at a time");
  app.require_subcommand(1);
  command->fallthrough();
  command->footer(std::string("Examples:\n") + kExamples);
  command->add_option("RECIPE", flags->recipe, "of recipes/sweep, or a file")->required();
  command->add_option("--out", flags->out, "the folder of worlds, runs and results; resumed")
      ->required();
  command->add_option("--preset", flags->preset, "tiny: minutes instead of hours");
  command->add_option("--seeds", flags->seeds, "runs of each model in each cell")
      ->check(CLI::Range(1, 10000));
  return [flags, &common] { return sweep(*flags, common); };
}

}  // namespace

Command world_command() { return {world_help(), &add}; }

}  // namespace retort
