// `retort tune-fusion`: recall of clicks against recall of watching minutes over w, and the choice.
#include <memory>

#include <CLI/CLI.hpp>

#include "retort/cli/command.h"
#include "retort/common/error.h"
#include "retort/common/file.h"
#include "retort/common/table.h"
#include "retort/study/fusion.h"
#include "retort/trainer/run_folder.h"
#include "retort/trainer/trained_model.h"

namespace retort {
namespace {

struct Flags {
  std::string run, dataset, split = "valid", rule = "sum", plot;
  int32_t k = 100, steps = 10;
  int64_t limit = 0;
  bool keep = false;
};

CatalogueOptions catalogue_of(const Dataset& dataset, const Flags& flags) {
  const Protocol& protocol = dataset.protocol();
  CatalogueOptions options;
  options.split = split_from_name(flags.split);
  options.alive_window = protocol.alive_window;
  options.refresh = protocol.refresh;
  options.exclude_seen = protocol.exclude_seen;
  options.limit = flags.limit;
  options.top = flags.k;
  if (dataset.rows_of(options.split).empty())
    fail<DataError>("{}: the split '{}' has no clicks to choose by", dataset.folder().string(),
                    flags.split);
  return options;
}

std::string text_of(const std::vector<FusionPoint>& points, const FusionPoint& chosen, int32_t k) {
  Table table({"w", fmt::format("recall_click@{}", k), fmt::format("wrecall@{}", k), "chosen"});
  for (const FusionPoint& point : points)
    table.add({fmt::format("{:g}", point.fusion), fmt::format("{:.4f}", point.recall),
               fmt::format("{:.4f}", point.wrecall), &point == &chosen ? "<-" : ""});
  return table.text();
}

Answer run(const Flags& flags, const CommonFlags& common) {
  const fs::path folder = flags.run;
  const Dataset dataset(flags.dataset.empty() ? dataset_of_run(folder) : fs::path(flags.dataset));
  TrainedModel model(folder, dataset, common.device);
  std::vector<double> grid;
  for (int32_t step = 0; step <= flags.steps; ++step)
    grid.push_back(static_cast<double>(step) / flags.steps);
  const std::vector<FusionPoint> points =
      fusion_curve(dataset, model, catalogue_of(dataset, flags), grid, flags.k);
  const FusionPoint& chosen = choose_fusion_point(points, flags.rule);
  if (!flags.plot.empty()) write_file(flags.plot, fusion_plot(points, chosen, flags.k));
  if (flags.keep) keep_fusion(folder, chosen.fusion);
  Answer answer{{{"split", flags.split},
                 {"k", flags.k},
                 {"rule", flags.rule},
                 {"points", Json::array()},
                 {"chosen", to_json(chosen)}},
                ""};
  for (const FusionPoint& point : points) answer.json["points"].push_back(to_json(point));
  answer.text =
      text_of(points, chosen, flags.k) +
      fmt::format("\nBy '{}' on '{}': w = {:g}. {}\n", flags.rule, flags.split, chosen.fusion,
                  flags.keep ? "The run serves with it from now on."
                             : fmt::format("Publish with --fusion {:g}, or keep it in "
                                           "the run with --keep.",
                                           chosen.fusion));
  if (!flags.plot.empty()) answer.text += fmt::format("Plot: {}\n", flags.plot);
  return answer;
}

Action add(CLI::App& app, const CommonFlags& common) {
  auto flags = std::make_shared<Flags>();
  app.add_option("RUN", flags->run, "a folder that `retort train` made of a multi_task student")
      ->required();
  app.add_option("--dataset", flags->dataset, "where the run's dataset is now, if it has moved");
  app.add_option("--split", flags->split, "what is judged: valid (default), test or train")
      ->check(CLI::IsMember({"valid", "test", "train"}));
  app.add_option("-k,--k", flags->k, "K of both metrics; 100 by default")
      ->check(CLI::PositiveNumber);
  app.add_option("--steps", flags->steps, "w runs from 0 to 1 in so many steps; 10 by default")
      ->check(CLI::Range(1, 1000));
  app.add_option(
         "--rule", flags->rule,
         "what the choice makes largest: sum (recall + wrecall, default), recall or wrecall")
      ->check(CLI::IsMember({"sum", "recall", "wrecall"}));
  app.add_option("--limit", flags->limit, "at most so many clicks, evenly spaced; default: all")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--plot", flags->plot, "an SVG file of wrecall against recall to write");
  app.add_flag("--keep", flags->keep, "writes the choice into the run, for publish and evaluate");
  return [flags, &common] { return run(*flags, common); };
}

}  // namespace

Command tune_fusion_command() { return {tune_fusion_help(), &add}; }

}  // namespace retort
