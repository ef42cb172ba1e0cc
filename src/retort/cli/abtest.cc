#include "retort/study/abtest.h"

#include <memory>

#include <CLI/CLI.hpp>

#include "retort/cli/command.h"
#include "retort/common/file.h"
#include "retort/common/recipe.h"

namespace retort {
namespace {

struct Flags {
  std::string recipe, preset, world, bundles, out;
};

Answer run(const Flags& flags, const CommonFlags& common) {
  Json resolved = load_recipe(find_recipe(flags.recipe, "abtest"), flags.preset, common.set);
  if (!flags.world.empty()) resolved["world"] = flags.world;
  AbTestRecipe recipe = read_abtest_recipe(resolved, flags.bundles);
  if (common.seed) recipe.bootstrap.seed = *common.seed;
  const fs::path out = flags.out;
  fs::create_directories(out);
  const AbTestResult result = run_abtest(recipe);
  const Json json = to_json(result);
  write_file(out / "abtest.json", json.dump(2) + "\n");
  return {json, table(result)};
}

Action add(CLI::App& app, const CommonFlags& common) {
  auto flags = std::make_shared<Flags>();
  app.add_option("RECIPE", flags->recipe, "of recipes/abtest/, by name, or a file")->required();
  app.add_option("--world", flags->world,
                 "what `retort simulate long_video` wrote; default: the recipe's");
  app.add_option("--bundles", flags->bundles,
                 "the folder in which the recipe's bundles are; default: the current one");
  app.add_option("--preset", flags->preset, "a preset of the recipe");
  app.add_option("--out", flags->out, "the folder of the result, abtest.json")->required();
  return [flags, &common] { return run(*flags, common); };
}

}  // namespace

Command abtest_command() {
  return {{.name = "abtest",
           .summary = "replays an online test of bundles in a simulated world",
           .examples = "  retort abtest long_video --world platform --bundles bundles --out test\n"
                       "  retort abtest my-arms.toml --out test --json\n"
                       "  retort abtest my-arms.toml --out test --set channels.personalised=80\n",
           .reads_recipe = true},
          &add};
}

}  // namespace retort
