#include <memory>

#include <CLI/CLI.hpp>

#include "retort/cli/command.h"
#include "retort/common/recipe.h"
#include "retort/dataset/builder.h"

namespace retort {
namespace {

struct Flags {
  std::string recipe, preset, from, out;
  bool print_sql = false;
};

Answer run(const Flags& flags, const CommonFlags& common) {
  const Json recipe = load_recipe(find_recipe(flags.recipe, "data"), flags.preset, common.set);
  if (flags.print_sql) {
    const std::string sql = attribution_sql(recipe);
    return {{{"sql", sql}}, sql};
  }
  if (flags.out.empty()) fail<ConfigError>("--out is missing: the dataset's folder to make");
  const IngestResult result =
      ingest(recipe, {.from = flags.from, .out = flags.out, .seed = common.seed});
  return {to_json(result), describe(result)};
}

Action add(CLI::App& app, const CommonFlags& common) {
  auto flags = std::make_shared<Flags>();
  app.add_option("RECIPE", flags->recipe, "a data recipe: name or file")->required();
  app.add_option("--preset", flags->preset, "a preset of the recipe");
  app.add_option("--from", flags->from, "where the recipe's paths start; default: RETORT_DATA");
  app.add_option("--out", flags->out, "the dataset's folder to make");
  app.add_flag("--print-sql", flags->print_sql,
               "prints the SQL of the recipe's attribution instead, to read or to run elsewhere");
  return [flags, &common] { return run(*flags, common); };
}

}  // namespace

Command ingest_command() {
  return {{.name = "ingest",
           .summary = "logs to a dataset",
           .examples = "  retort ingest feed --from world --out feed-dataset\n"
                       "  retort ingest my-log.toml --from /data/logs --out dataset --json\n"
                       "  retort ingest feed --from world --out d --set read.threshold=30\n"
                       "  retort ingest long_video_tv --print-sql\n",
           .reads_recipe = true},
          &add};
}

}  // namespace retort
