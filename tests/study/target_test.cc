#include "retort/study/target.h"

#include <algorithm>
#include <cmath>

#include "tests/support/scratch_folder.h"
#include "tests/support/tiny_dataset.h"
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/metric/rank_metric.h"

namespace retort {
namespace {

/// Logits that depend on user and item only.
double logit_of(std::string_view task, int32_t user, int32_t item) {
  return task == "click" ? std::sin(1 + 3 * user + 7 * item) * 2
                         : std::cos(2 + 5 * user + 3 * item) * 3;
}

class Formula : public PairScorer {
 public:
  void score(const Batch& batch, std::string_view task, std::span<float> out) const override {
    ++calls;
    for (size_t row = 0; row < out.size(); ++row)
      out[row] = static_cast<float>(logit_of(task, batch.user[row], batch.item[row]));
  }
  mutable int calls = 0;
};

class Targets : public testing::Test {
 protected:
  Targets() {
    random_tiny_dataset(1, 12, 20, 600).write(folder_ / "tiny");
    dataset_ = std::make_unique<Dataset>(folder_ / "tiny");
    options_.catalogue.split = Split::kValid;
    options_.metric = "recall_click@5";
  }
  ScratchFolder folder_;
  std::unique_ptr<Dataset> dataset_;
  TargetOptions options_;
};

TEST_F(Targets, EveryMixHasTheRecallOfItsOwnRanking) {
  const Formula ranker;
  const TargetChoice choice = choose_target(*dataset_, ranker, options_);
  ASSERT_EQ(choice.tried.size(), 5U);
  EXPECT_EQ(choice.tried[0], (std::vector<double>{0, 1}));
  EXPECT_EQ(choice.tried[1], (std::vector<double>{1.0 / 3, 1}));
  EXPECT_EQ(choice.tried[2], (std::vector<double>{1, 1}));
  const auto events = dataset_->rows_of(Split::kValid);
  EXPECT_EQ(ranker.calls, 2 * std::ssize(events));
  for (size_t at = 0; at < choice.tried.size(); ++at) {
    double hits = 0;
    for (const int64_t event : events) {
      const int32_t user = dataset_->clicks().user[event], own = dataset_->clicks().item[event];
      const auto fused = [&](int32_t item) {
        const auto log_p = [&](const char* task) {
          return -std::log1p(std::exp(-logit_of(task, user, item)));
        };
        return choice.tried[at][0] * log_p("click") +
               choice.tried[at][1] * log_p("read_given_click");
      };
      int above = 0;
      for (int32_t item = 0; item < dataset_->items(); ++item) above += fused(item) > fused(own);
      hits += above < 5;
    }
    EXPECT_NEAR(choice.values[at], hits / static_cast<double>(events.size()), 1e-9) << at;
    EXPECT_GE(choice.values[choice.best], choice.values[at]);
  }
  EXPECT_EQ(target_text(options_.logits, choice.tried[1]),
            "{ click = 0.333333, read_given_click = 1 }");
}

TEST_F(Targets, RefusesWhatMeansNothing) {
  const Formula ranker;
  options_.metric = "auc";
  EXPECT_THROW(choose_target(*dataset_, ranker, options_), ConfigError);
  options_.metric = "mrr";
  options_.logits = {"click"};
  EXPECT_THROW(choose_target(*dataset_, ranker, options_), ConfigError);
}

}  // namespace
}  // namespace retort
