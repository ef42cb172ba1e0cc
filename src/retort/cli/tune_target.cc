// `retort tune-target`: which mix of a ranking model's probabilities a student should learn.
#include <memory>

#include <CLI/CLI.hpp>

#include "retort/cli/command.h"
#include "retort/common/error.h"
#include "retort/common/table.h"
#include "retort/study/target.h"
#include "retort/trainer/trained_model.h"

namespace retort {
namespace {

struct Flags {
  std::string run, dataset, split = "valid";
  TargetOptions options;
  int64_t limit = 500;
};

Answer run(const Flags& flags, const CommonFlags& common) {
  const Dataset dataset(flags.dataset.empty() ? dataset_of_run(flags.run)
                                              : fs::path(flags.dataset));
  const TrainedModel model(flags.run, dataset, common.device);
  if (model.teacher() == nullptr)
    fail<ConfigError>("{}: the run has no ranking model whose scores could be mixed", flags.run);
  TargetOptions options = flags.options;
  const Protocol& protocol = dataset.protocol();
  options.catalogue.split = split_from_name(flags.split);
  options.catalogue.alive_window = protocol.alive_window;
  options.catalogue.refresh = protocol.refresh;
  options.catalogue.exclude_seen = protocol.exclude_seen;
  options.catalogue.limit = flags.limit;
  const TargetChoice choice = choose_target(dataset, *model.teacher(), options);
  const std::string chosen = target_text(options.logits, choice.tried[choice.best]);
  Answer answer{{{"split", flags.split},
                 {"metric", options.metric},
                 {"logits", options.logits},
                 {"points", Json::array()},
                 {"chosen", choice.tried[choice.best]}},
                ""};
  std::vector<std::string> header(options.logits);
  header.insert(header.end(), {options.metric, "chosen"});
  Table table(header);
  for (size_t at = 0; at < choice.tried.size(); ++at) {
    answer.json["points"].push_back({{"weights", choice.tried[at]}, {"value", choice.values[at]}});
    std::vector<std::string> cells;
    for (const double weight : choice.tried[at]) cells.push_back(fmt::format("{:g}", weight));
    cells.push_back(fmt::format("{:.4f}", choice.values[at]));
    cells.emplace_back(at == choice.best ? "<-" : "");
    table.add(cells);
  }
  answer.text = table.text() + fmt::format("\nBy {} on '{}': as a term's target {}.\n",
                                           options.metric, flags.split, chosen);
  return answer;
}

Action add(CLI::App& app, const CommonFlags& common) {
  auto flags = std::make_shared<Flags>();
  app.add_option("RUN", flags->run, "a folder that `retort train` made of a recipe with a teacher")
      ->required();
  app.add_option("--dataset", flags->dataset, "where the run's dataset is now, if it has moved");
  app.add_option("--logits", flags->options.logits,
                 "of the ranking model; click,read_given_click by default")
      ->delimiter(',');
  app.add_option("--metric", flags->options.metric,
                 "what the fused score should recall: recall@K, recall_click@K, wrecall@K (by "
                 "seconds; wrecall@100 by default), ndcg@K or mrr");
  app.add_option("--steps", flags->options.steps, "weights in so many steps; 4 by default")
      ->check(CLI::Range(1, 100));
  app.add_option("--split", flags->split, "what is judged: valid (default), test or train")
      ->check(CLI::IsMember({"valid", "test", "train"}));
  app.add_option("--limit", flags->limit,
                 "at most so many clicks, evenly spaced; 500 by default, 0: all")
      ->check(CLI::NonNegativeNumber);
  return [flags, &common] { return run(*flags, common); };
}

}  // namespace

Command tune_target_command() { return {tune_target_help(), &add}; }

}  // namespace retort
