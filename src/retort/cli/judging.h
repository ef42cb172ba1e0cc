// The flags that evaluate and compare share: what is judged, how, and beside which oracle.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "retort/cli/command.h"
#include "retort/sim/long_video_oracle.h"
#include "retort/sim/oracle.h"
#include "retort/sim/oracle_scorer.h"
#include "retort/study/judge.h"

namespace retort {

struct JudgingFlags {
  std::string split = "test", alive, ties = "mid", truth;
  bool all_items = false, exclude_seen = false, include_seen = false;
  bool no_catalogue = false, no_baselines = false;
  std::vector<int32_t> recall_at;
  std::optional<double> beta;
  int64_t limit = 0;
  int32_t resamples = 200;
};

void add_judging_flags(CLI::App& app, JudgingFlags& flags);

/// Throws ConfigError on a value that means nothing.
EvaluateOptions judging_options(const JudgingFlags& flags, const CommonFlags& common);

/// The oracle of a simulated world as rows: the ceilings of any model on this dataset.
class OracleRows {
 public:
  /// `world`: what `simulate` wrote, of either kind.
  OracleRows(const fs::path& world, const Dataset& dataset);
  /// `oracle` knows everything, `oracle_click` what is clicked and nothing of reading or watching.
  std::vector<ExtraRow> rows() const;
  /// [items of the dataset] 1: click-bait; empty where the world has none.
  std::vector<uint8_t> click_bait(const Dataset& dataset) const;

 private:
  template <class O, class S>
  struct Judged {
    Judged(const fs::path& world, const Dataset& dataset)
        : oracle(world), scorer(oracle, dataset), clicks(scorer) {}
    template <class Ranking>
    std::vector<ExtraRow> rows(Ranking all, Ranking click) const {
      return {{"oracle", &scorer, scorer.candidates(all)},
              {"oracle_click", &clicks, scorer.candidates(click)}};
    }
    O oracle;
    S scorer;
    ClicksAlone clicks;
  };
  std::unique_ptr<Judged<Oracle, OracleScorer>> feed_;  // one of the two
  std::unique_ptr<Judged<LongVideoOracle, LongVideoScorer>> long_video_;
};

/// The rows of `--truth WORLD`, none without it. What they point to lives in `keep`.
std::vector<ExtraRow> oracle_rows(const fs::path& world, const Dataset& dataset,
                                  std::unique_ptr<OracleRows>& keep);

}  // namespace retort
