#include "retort/study/abtest.h"

#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "retort/cli/command.h"
#include "retort/common/error.h"
#include "retort/common/file.h"
#include "retort/common/recipe.h"
#include "retort/study/feed_test.h"
#include "retort/study/feed_test_seeds.h"

namespace retort {
namespace {

struct Flags {
  std::string recipe, preset, world, log, bundles, out;
  std::vector<std::string> tests;
};

/// Writes what is answered.
Answer answer(const fs::path& out, const Json& json, const std::string& text) {
  fs::create_directories(out);
  write_file(out / "abtest.json", json.dump(2) + "\n");
  return {json, text};
}

Answer run(const Flags& flags, const CommonFlags& common) {
  if (!flags.tests.empty()) {
    if (!flags.recipe.empty())
      fail<ConfigError>("--sum-up reads finished tests and no recipe: leave out '{}'",
                        flags.recipe);
    const Json summary = sum_up_feed_tests({flags.tests.begin(), flags.tests.end()});
    return answer(flags.out, summary, feed_seeds_table(summary));
  }
  if (flags.recipe.empty())
    fail<ConfigError>("give a recipe of recipes/abtest/, such as feed, or --sum-up and tests");
  Json resolved = load_recipe(find_recipe(flags.recipe, "abtest"), flags.preset, common.set);
  if (!flags.world.empty()) resolved["world"] = flags.world;
  if (!flags.log.empty()) resolved["log"] = flags.log;
  if (is_feed_test(resolved)) {
    FeedTestRecipe recipe = read_feed_test_recipe(resolved, flags.bundles);
    if (common.seed) recipe.bootstrap.seed = *common.seed;
    const FeedTestResult result = run_feed_test(recipe);
    return answer(flags.out, to_json(result), table(result));
  }
  if (!flags.log.empty())
    fail<ConfigError>("--log {}: the recipe '{}' replays a platform and reads no other log",
                      flags.log, flags.recipe);
  AbTestRecipe recipe = read_abtest_recipe(resolved, flags.bundles);
  if (common.seed) recipe.bootstrap.seed = *common.seed;
  const AbTestResult result = run_abtest(recipe);
  return answer(flags.out, to_json(result), table(result));
}

Action add(CLI::App& app, const CommonFlags& common) {
  auto flags = std::make_shared<Flags>();
  app.add_option("RECIPE", flags->recipe, "of recipes/abtest/, by name, or a file");
  app.add_option("--world", flags->world,
                 "what `retort simulate feed` or long_video wrote; default: the recipe's");
  app.add_option("--log", flags->log,
                 "estimates from a log of impressions with propensities alone (kind = \"feed\")");
  app.add_option("--bundles", flags->bundles,
                 "the folder in which the recipe's bundles are; default: the current one");
  app.add_option("--sum-up", flags->tests,
                 "instead of a recipe: the results of feeds with several seeds, summed up");
  app.add_option("--preset", flags->preset, "a preset of the recipe");
  app.add_option("--out", flags->out, "the folder of the result, abtest.json")->required();
  return [flags, &common] { return run(*flags, common); };
}

}  // namespace

Command abtest_command() {
  return {{.name = "abtest",
           .summary =
               "replays an online test of bundles in a simulated world, or estimates it from a log",
           .examples = "  retort abtest feed --world world --bundles bundles --out test\n"
                       "  retort abtest feed --world world --bundles bundles --out test --set "
                       "'rankers=[\"none\"]'\n"
                       "  retort abtest my-arms.toml --log served --bundles bundles --out test\n"
                       "  retort abtest --sum-up test1 test2 test3 --out all\n"
                       "  retort abtest long_video --world platform --bundles bundles --out test\n"
                       "  retort abtest my-arms.toml --out test --json\n"
                       "  retort abtest my-arms.toml --out test --set channels.personalised=80\n",
           .reads_recipe = true},
          &add};
}

}  // namespace retort
