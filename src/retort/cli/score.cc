#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "retort/cli/command.h"
#include "retort/common/text.h"
#include "retort/trainer/score_pairs.h"
#include "retort/trainer/trained_model.h"

namespace retort {
namespace {

struct Flags {
  std::string run, dataset, pairs = "logged", out, split = "train", since, until, lag;
  ScoringOptions options;
};

Answer run(const Flags& flags, const CommonFlags& common) {
  ScoringOptions options = flags.options;
  options.pairs = ScorePairs::parse(flags.pairs);
  options.split = split_from_name(flags.split);
  if (!flags.since.empty()) options.since = parse_moment(flags.since, "--since");
  if (!flags.until.empty()) options.until = parse_moment(flags.until, "--until");
  if (!flags.lag.empty()) options.lag = parse_duration(flags.lag, "--lag");
  options.seed = common.seed;
  options.device = common.device;
  const Dataset dataset(flags.dataset.empty() ? dataset_of_run(flags.run)
                                              : fs::path(flags.dataset));
  const ScoringResult result = score_pairs(flags.run, dataset, options, flags.out);
  Answer answer{to_json(result), ""};
  answer.json["file"] = flags.out;
  answer.text = fmt::format(
      "Scored {} pairs of {} users and {} items in {} ({} pairs/s): logits {} of {}.\n"
      "The scores are in {} ({}).\n",
      with_thousands(result.rows), with_thousands(result.users), with_thousands(result.items),
      format_seconds(result.seconds),
      with_thousands(static_cast<int64_t>(static_cast<double>(result.rows) / result.seconds)),
      fmt::join(result.logits, ", "), result.snapshot, flags.out, format_bytes(result.bytes));
  return answer;
}

Action add(CLI::App& app, const CommonFlags& common) {
  auto flags = std::make_shared<Flags>();
  ScoringOptions& options = flags->options;
  app.add_option("RUN", flags->run, "a folder that `retort train` made of a recipe with a teacher")
      ->required();
  app.add_option("--dataset", flags->dataset, "where the run's dataset is now, if it has moved");
  app.add_option("--pairs", flags->pairs,
                 "logged (default): the split's rows; in-batch: all pairs of training's batches; "
                 "top-N: each user's best N candidates");
  app.add_option("--out", flags->out, "the Parquet file to write")->required();
  app.add_option("--split", flags->split, "whose rows or users: train (default), valid or test")
      ->check(CLI::IsMember({"train", "valid", "test"}));
  app.add_option("--since", flags->since, "rows from this day or moment on, as in 2024-03-04");
  app.add_option("--until", flags->until, "rows before this day or moment");
  app.add_option("--lag", flags->lag, "leave out the split's last 1d, or any other duration");
  app.add_option("--rows", options.rows, "clicks or impressions; default: as the run was trained")
      ->check(CLI::IsMember({"clicks", "impressions"}));
  app.add_option("--negatives", options.negatives,
                 "sampled beside each click, those of a training's first epoch by --seed; default: "
                 "as the run was trained, 0 of in-batch")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--batch", options.batch, "in-batch: rows of a batch; default: the run's")
      ->check(CLI::PositiveNumber);
  app.add_option("--batches", options.batches, "in-batch: at most so many; default: an epoch")
      ->check(CLI::PositiveNumber);
  app.add_option("--candidates", options.candidates,
                 "top-N: the run's student's best so many are ranked; default: all candidates")
      ->check(CLI::PositiveNumber);
  app.add_option("--order", options.order, "top-N: the logit that orders; default: read");
  return [flags, &common] { return run(*flags, common); };
}

}  // namespace

Command score_command() { return {score_help(), &add}; }

}  // namespace retort
