#include <memory>

#include <CLI/CLI.hpp>

#include "retort/cli/command.h"
#include "retort/common/recipe.h"
#include "retort/dataset/builder.h"

namespace retort {
namespace {

struct Flags {
  std::string recipe, preset, from, out, append, days;
  bool print_sql = false, keep_log = false, allow_gap = false;
};

Answer run(const Flags& flags, const CommonFlags& common) {
  const Json recipe = load_recipe(find_recipe(flags.recipe, "data"), flags.preset, common.set);
  if (flags.print_sql) {
    const std::string sql = attribution_sql(recipe);
    return {{{"sql", sql}}, sql};
  }
  if (flags.out.empty() && flags.append.empty())
    fail<ConfigError>("--out is missing: the dataset's folder to make (or --append, to add days)");
  IngestOptions options{.from = flags.from, .out = flags.out, .seed = common.seed};
  if (!flags.days.empty()) options.days = parse_days(flags.days, "--days");
  options.keep_log = flags.keep_log;
  options.append = flags.append;
  options.allow_gap = flags.allow_gap;
  const IngestResult result = ingest(recipe, options);
  return {to_json(result), describe(result)};
}

Action add(CLI::App& app, const CommonFlags& common) {
  auto flags = std::make_shared<Flags>();
  app.add_option("RECIPE", flags->recipe, "a data recipe: name or file")->required();
  app.add_option("--preset", flags->preset, "a preset of the recipe");
  app.add_option("--from", flags->from, "where the recipe's paths start; default: RETORT_DATA");
  app.add_option("--out", flags->out, "the dataset's folder to make");
  app.add_option("--days", flags->days,
                 "only these days (UTC): 2024-03-05, 2024-03-05..2024-03-07 or ..2024-03-07; {day} "
                 "in a path of the recipe is the day");
  app.add_flag("--keep-log", flags->keep_log,
               "the dataset keeps its log, so that days can be added");
  app.add_option("--append", flags->append,
                 "a dataset that keeps its log, to which the days are added: its numbers of users, "
                 "items and vocabulary rows stay; --out: into another folder");
  app.add_flag("--allow-gap", flags->allow_gap, "days between may have had no data");
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
                       "  retort ingest feed --from world --days ..2024-03-16 --keep-log --out d\n"
                       "  retort ingest feed --from world --days 2024-03-17 --append d\n"
                       "  retort ingest long_video_tv --print-sql\n",
           .reads_recipe = true},
          &add};
}

}  // namespace retort
