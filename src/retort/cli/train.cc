#include "retort/trainer/train.h"

#include <memory>

#include <CLI/CLI.hpp>

#include "retort/cli/command.h"
#include "retort/common/log.h"
#include "retort/common/progress.h"
#include "retort/common/recipe.h"
#include "retort/common/text.h"

namespace retort {
namespace {

struct Flags {
  std::string recipe, preset, dataset, out, warm_start;
  bool resume = false, profile = false;
};

Answer run(const Flags& flags, const CommonFlags& common) {
  const Json recipe = load_recipe(find_recipe(flags.recipe), flags.preset, common.set);
  const Dataset dataset(flags.dataset);
  TrainOptions options{.run = flags.out};
  options.resume = flags.resume;
  options.warm_start = flags.warm_start;
  options.device = common.device;
  options.profile = flags.profile;
  if (common.seed) options.seed = *common.seed;
  options.launch = Launch::from_environment();
  if (options.launch.rank > 0) {
    set_log_level(LogLevel::kWarning);
    Progress::set_enabled(false);
  }
  const TrainResult result = train(recipe, dataset, options);
  if (options.launch.rank > 0) return {.json = nullptr, .text = ""};
  Answer answer;
  answer.json = {{"run", flags.out},
                 {"steps", result.steps},
                 {"epochs", result.epochs},
                 {"best_epoch", result.best_epoch},
                 {"best_metric", result.best_metric},
                 {"seconds", result.seconds},
                 {"rows_per_second", result.rows_per_second},
                 {"data_wait_share", result.data_wait_share}};
  answer.text = fmt::format(
      "Trained {} epochs ({} steps) in {}, {} rows/s, {:.1f}% of the time waiting for data; {}.\n"
      "The run is in {}.\n",
      result.epochs, with_thousands(result.steps), format_seconds(result.seconds),
      with_thousands(static_cast<int64_t>(result.rows_per_second)), 100 * result.data_wait_share,
      result.validated ? fmt::format("best on validation: {:.4f} after epoch {}",
                                     result.best_metric, result.best_epoch)
                       : "nothing to validate on: the last epoch is kept",
      flags.out);
  return answer;
}

Action add(CLI::App& app, const CommonFlags& common) {
  auto flags = std::make_shared<Flags>();
  app.add_option("RECIPE", flags->recipe, "a model recipe: name or file")->required();
  app.add_option("--preset", flags->preset, "tiny, small or paper: the sizes of the networks");
  app.add_option("--dataset", flags->dataset, "what `retort ingest` made")->required();
  app.add_option("--out", flags->out, "the run's folder")->required();
  app.add_flag("--profile", flags->profile,
               "where a step's time goes: a table, and profile.json in the run for Perfetto");
  app.add_option("--warm-start", flags->warm_start,
                 "a finished run to begin from: its dataset is this one, or one to which days were "
                 "added (retort ingest --append); --set train.days=new learns from these alone");
  app.add_flag("--resume", flags->resume, "go on from the last checkpoint of the run");
  return [flags, &common] { return run(*flags, common); };
}

}  // namespace

Command train_command() { return {train_help(), &add}; }

}  // namespace retort
