#include "retort/study/evaluate.h"

#include <memory>

#include <CLI/CLI.hpp>

#include "retort/cli/judging.h"
#include "retort/trainer/trained_model.h"

namespace retort {
namespace {

struct Flags {
  std::string run, dataset;
  JudgingFlags judging;
};

Answer run(const Flags& flags, const CommonFlags& common) {
  EvaluateOptions options = judging_options(flags.judging, common);
  const Dataset dataset(flags.dataset.empty() ? dataset_of_run(flags.run)
                                              : fs::path(flags.dataset));
  const TrainedModel model(flags.run, dataset, common.device);
  std::unique_ptr<OracleRows> oracle;
  const auto extra = oracle_rows(flags.judging.truth, dataset, oracle);
  if (oracle) options.click_bait = oracle->click_bait(dataset);
  const EvaluateResult result = evaluate(dataset, model, options, extra);
  return {to_json(result), table(result)};
}

Action add(CLI::App& app, const CommonFlags& common) {
  auto flags = std::make_shared<Flags>();
  app.add_option("RUN", flags->run, "a folder that `retort train` made")->required();
  app.add_option("--dataset", flags->dataset, "where the run's dataset is now, if it has moved");
  add_judging_flags(app, flags->judging);
  return [flags, &common] { return run(*flags, common); };
}

}  // namespace

Command evaluate_command() { return {evaluate_help(), &add}; }

}  // namespace retort
