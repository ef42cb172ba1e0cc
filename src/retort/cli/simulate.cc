#include "retort/sim/simulate.h"

#include <memory>

#include <CLI/CLI.hpp>

#include "retort/cli/command.h"
#include "retort/common/recipe.h"

namespace retort {
namespace {

struct Flags {
  std::string recipe, preset, out;
};

Answer run(const Flags& flags, const CommonFlags& common) {
  const Json recipe = load_recipe(find_recipe(flags.recipe, "data"), flags.preset, common.set);
  const SimulateResult result = simulate(recipe, {.out = flags.out, .seed = common.seed});
  Answer answer;
  answer.json = {{"path", result.folder.string()}, {"world", result.summary}};
  answer.text = fmt::format("A world and its log are in {}, the truth in {}.\n",
                            result.folder.string(), (result.folder / "truth").string());
  return answer;
}

Action add(CLI::App& app, const CommonFlags& common) {
  auto flags = std::make_shared<Flags>();
  app.add_option("RECIPE", flags->recipe, "a data recipe with a table [world]: name or file")
      ->required();
  app.add_option("--preset", flags->preset, "a preset of the recipe: the size of the world");
  app.add_option("--out", flags->out, "the folder to make")->required();
  return [flags, &common] { return run(*flags, common); };
}

}  // namespace

Command simulate_command() {
  return {{.name = "simulate",
           .summary = "a world and the log of a service in it, with the truth beside it",
           .examples = "  retort simulate feed --out world\n"
                       "  retort simulate feed --out world2 --seed 2 --set world.users=2000\n"
                       "  retort simulate long_video --preset tiny --out platform\n",
           .reads_recipe = true},
          &add};
}

}  // namespace retort
