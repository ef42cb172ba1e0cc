#include "retort/study/daily.h"

#include <memory>

#include <CLI/CLI.hpp>

#include "retort/cli/command.h"
#include "retort/common/log.h"
#include "retort/common/recipe.h"

namespace retort {
namespace {

struct Flags {
  std::string recipe, preset;
  DailyOptions options;
  std::string from, out;
};

Answer run(const Flags& flags, const CommonFlags& common) {
  const Json json = load_recipe(find_recipe(flags.recipe, "daily"), flags.preset, common.set);
  DailyOptions options = flags.options;
  options.from = flags.from;
  options.out = flags.out;
  options.device = common.device;
  if (common.seed) options.seed = *common.seed;
  Json result = run_day(read_daily_recipe(json), options);
  if (result.at("published") == false)
    log_warning("daily", "{} is not published: {}", options.day,
                result.at("reason").get<std::string>());
  std::string text = describe_day(result);
  return {std::move(result), std::move(text)};
}

Action add(CLI::App& app, const CommonFlags& common) {
  auto flags = std::make_shared<Flags>();
  app.add_option("RECIPE", flags->recipe, "of recipes/daily/, by name, or a file")->required();
  app.add_option("--day", flags->options.day, "the day (UTC) to add, as 2024-03-05")->required();
  app.add_option("--from", flags->from,
                 "where the data recipe's paths start; default: RETORT_DATA");
  app.add_option("--out", flags->out, "the folder of the feed's datasets, runs and bundles")
      ->required();
  app.add_option("--preset", flags->preset, "a preset of the recipe");
  return [flags, &common] { return run(*flags, common); };
}

}  // namespace

Command daily_command() { return {daily_help(), &add}; }

}  // namespace retort
