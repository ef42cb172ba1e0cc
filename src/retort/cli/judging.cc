#include "retort/cli/judging.h"

#include <CLI/CLI.hpp>

#include "retort/common/text.h"
#include "retort/sim/long_video_truth.h"

namespace retort {

void add_judging_flags(CLI::App& app, JudgingFlags& flags) {
  const char* group = "Judging";
  app.add_option("--split", flags.split, "valid or test; test by default")
      ->check(CLI::IsMember({"valid", "test"}))
      ->group(group);
  app.add_option("--truth", flags.truth,
                 "the simulated world: adds the rows `oracle` and `oracle_click`, and click_bait@K")
      ->group(group);
  CLI::Option* alive =
      app.add_option("--alive", flags.alive,
                     "candidates: items clicked by anyone within it, as in 1d; default: the "
                     "dataset's protocol")
          ->group(group);
  app.add_flag("--all-items", flags.all_items, "candidates: all items")
      ->excludes(alive)
      ->group(group);
  CLI::Option* exclude =
      app.add_flag("--exclude-seen", flags.exclude_seen, "items the user clicked are no candidates")
          ->group(group);
  app.add_flag("--include-seen", flags.include_seen, "items the user clicked are candidates")
      ->excludes(exclude)
      ->group(group);
  app.add_option("--recall-at", flags.recall_at, "K of recall, ndcg and coverage, as in 20,100")
      ->delimiter(',')
      ->check(CLI::PositiveNumber)
      ->group(group);
  app.add_option("--ties", flags.ties, "rank among equal scores: mid (default), best or worst")
      ->check(CLI::IsMember({"mid", "best", "worst"}))
      ->group(group);
  app.add_option("--beta", flags.beta, "popularity correction, instead of the model's own")
      ->group(group);
  app.add_option("--limit", flags.limit, "judge at most so many clicks; 0 = all")
      ->check(CLI::NonNegativeNumber)
      ->group(group);
  app.add_option("--resamples", flags.resamples, "of the bootstrap by user; 200 by default")
      ->check(CLI::PositiveNumber)
      ->group(group);
  app.add_flag("--no-catalogue", flags.no_catalogue, "AUCs only")->group(group);
  app.add_flag("--no-baselines", flags.no_baselines, "without popularity and co-click")
      ->group(group);
}

EvaluateOptions judging_options(const JudgingFlags& flags, const CommonFlags& common) {
  EvaluateOptions options;
  options.split = split_from_name(flags.split);
  options.limit = flags.limit;
  options.bootstrap.resamples = flags.resamples;
  if (common.seed) options.bootstrap.seed = *common.seed;
  options.catalogue = !flags.no_catalogue;
  options.baselines = !flags.no_baselines;
  options.ties = flags.ties == "best"    ? Ties::kBest
                 : flags.ties == "worst" ? Ties::kWorst
                                         : Ties::kMid;
  if (flags.all_items) options.alive_window = 0;
  if (!flags.alive.empty()) options.alive_window = parse_duration(flags.alive, "--alive");
  if (flags.exclude_seen) options.exclude_seen = true;
  if (flags.include_seen) options.exclude_seen = false;
  if (!flags.recall_at.empty()) options.recall_at = flags.recall_at;
  options.beta = flags.beta;
  options.validate();
  return options;
}

OracleRows::OracleRows(const fs::path& world, const Dataset& dataset) {
  if (has_long_video_truth(world)) {
    long_video_ = std::make_unique<Judged<LongVideoOracle, LongVideoScorer>>(world, dataset);
  } else {
    feed_ = std::make_unique<Judged<Oracle, OracleScorer>>(world, dataset);
  }
}

std::vector<ExtraRow> OracleRows::rows() const {
  if (long_video_)
    return long_video_->rows(LongVideoRanking::kMinutesMass, LongVideoRanking::kClickMass);
  return feed_->rows(OracleRanking::kReadMass, OracleRanking::kClickMass);
}

std::vector<uint8_t> OracleRows::click_bait(const Dataset& dataset) const {
  std::vector<uint8_t> flags;
  if (!feed_) return flags;
  for (int64_t item = 0; item < dataset.items(); ++item) {
    const auto found = feed_->oracle.find_item(dataset.item_keys()[item]);
    flags.push_back(found && feed_->oracle.click_bait(*found) ? 1 : 0);
  }
  return flags;
}

std::vector<ExtraRow> oracle_rows(const fs::path& world, const Dataset& dataset,
                                  std::unique_ptr<OracleRows>& keep) {
  if (world.empty()) return {};
  keep = std::make_unique<OracleRows>(world, dataset);
  return keep->rows();
}

}  // namespace retort
