#include "retort/study/baselines.h"

#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "tests/support/scratch_folder.h"
#include "tests/support/tiny_dataset.h"
#include <gtest/gtest.h>

#include "retort/dataset/loader.h"

namespace retort {
namespace {

constexpr int64_t kHour = 3'600'000'000;

class Baselines : public testing::Test {
 protected:
  Baselines() : tiny_(random_tiny_dataset(3, 12, 20, 400)) {}
  const Dataset& open() {
    tiny_.write(folder_ / "tiny");
    dataset_ = std::make_unique<Dataset>(folder_ / "tiny");
    all_.resize(dataset_->items());
    std::iota(all_.begin(), all_.end(), 0);
    return *dataset_;
  }
  std::vector<float> scores(const std::string& name, int64_t click) {
    for (const Baseline& baseline : make_baselines(*dataset_, 1)) {
      if (baseline.name != name) continue;
      std::vector<float> out(all_.size());
      baseline.candidates(click, all_, out);
      return out;
    }
    return {};
  }
  ScratchFolder folder_;
  TinyDataset tiny_;
  std::unique_ptr<Dataset> dataset_;
  std::vector<int32_t> all_;
};

TEST_F(Baselines, HaveTheirNames) {
  open();
  std::vector<std::string> names;
  for (const Baseline& baseline : make_baselines(*dataset_, 1)) names.push_back(baseline.name);
  EXPECT_EQ(names, (std::vector<std::string>{"popularity", "popularity_1h", "popularity_3h",
                                             "popularity_1d", "co_click", "random"}));
}

TEST_F(Baselines, TrailingWindowsNeedTime) {
  tiny_.has_time = false;
  open();
  std::vector<std::string> names;
  for (const Baseline& baseline : make_baselines(*dataset_, 1)) names.push_back(baseline.name);
  EXPECT_EQ(names, (std::vector<std::string>{"popularity", "co_click", "random"}));
}

TEST_F(Baselines, PopularityCountsTrainingClicks) {
  open();
  std::vector<float> expected(20, 0);
  for (const TinyClick& click : tiny_.clicks) expected[click.item] += click.split == Split::kTrain;
  EXPECT_EQ(scores("popularity", dataset_->rows_of(Split::kTest)[0]), expected);
}

TEST_F(Baselines, TrailingPopularityCountsClicksStrictlyBefore) {
  open();
  const std::map<std::string, int64_t> windows{
      {"popularity_1h", kHour}, {"popularity_3h", 3 * kHour}, {"popularity_1d", 24 * kHour}};
  for (const auto& [name, window] : windows) {
    for (const int64_t event : dataset_->rows_of(Split::kTest)) {
      const int64_t time = dataset_->clicks().time[event];
      std::vector<float> expected(20, 0);
      for (const TinyClick& click : tiny_.clicks) {
        expected[click.item] += click.time >= time - window && click.time < time;
      }
      ASSERT_EQ(scores(name, event), expected) << name;
    }
  }
}

/// Cosines and scores from sets of users, by the definition.
std::vector<double> co_click_by_sets(const std::vector<TinyClick>& clicks, int32_t users,
                                     int32_t user, int64_t time, bool timed,
                                     const CoClickOptions& options) {
  std::map<int32_t, std::set<int32_t>> users_of;
  for (int32_t of = 0; of < users; ++of) {
    std::vector<int32_t> trained;
    for (const TinyClick& click : clicks) {
      if (click.user == of && click.split == Split::kTrain) trained.push_back(click.item);
    }
    const size_t skip = trained.size() - std::min<size_t>(trained.size(), options.last_trained);
    for (size_t at = skip; at < trained.size(); ++at) users_of[trained[at]].insert(of);
  }
  std::vector<int32_t> past;
  for (const TinyClick& click : clicks) {
    const bool counts = timed ? click.time < time : click.split == Split::kTrain;
    if (click.user == user && counts) past.push_back(click.item);
  }
  if (static_cast<int32_t>(past.size()) > options.last_scored) {
    past.erase(past.begin(), past.end() - options.last_scored);
  }
  const std::set<int32_t> distinct(past.begin(), past.end());
  std::vector<double> scores(20, 0);
  for (int32_t item = 0; item < 20; ++item) {
    for (const int32_t own : distinct) {
      if (own == item || users_of[own].empty() || users_of[item].empty()) continue;
      double both = 0;
      for (const int32_t of : users_of[own]) both += users_of[item].contains(of);
      scores[item] += both / std::sqrt(static_cast<double>(users_of[own].size()) *
                                       static_cast<double>(users_of[item].size()));
    }
  }
  return scores;
}

TEST_F(Baselines, CoClickEqualsItsDefinition) {
  open();
  const CoClickOptions options{.last_trained = 9, .last_scored = 4, .neighbours = 0};
  const CoClick co_click(*dataset_, options);
  int positive = 0;
  for (const int64_t event : dataset_->rows_of(Split::kTest)) {
    const int32_t user = dataset_->clicks().user[event];
    const int64_t time = dataset_->clicks().time[event];
    std::vector<float> few(20), many(100);
    std::vector<int32_t> repeated;  // more than 64 items take the other way through the sums
    for (int at = 0; at < 100; ++at) repeated.push_back(at % 20);
    co_click.score(user, time, all_, few);
    co_click.score(user, time, repeated, many);
    const auto expected = co_click_by_sets(tiny_.clicks, 12, user, time, true, options);
    for (int item = 0; item < 20; ++item) {
      ASSERT_NEAR(few[item], expected[item], 1e-5);
      ASSERT_NEAR(many[item + 60], expected[item], 1e-5);
      positive += expected[item] > 0;
    }
  }
  EXPECT_GT(positive, 0);
}

TEST_F(Baselines, CoClickWithoutTimeUsesTraining) {
  tiny_.has_time = false;
  open();
  const CoClickOptions options{.last_trained = 9, .last_scored = 4, .neighbours = 0};
  const CoClick co_click(*dataset_, options);
  std::vector<float> scores(20);
  co_click.score(2, 0, all_, scores);
  const auto expected = co_click_by_sets(tiny_.clicks, 12, 2, 0, false, options);
  for (int item = 0; item < 20; ++item) EXPECT_NEAR(scores[item], expected[item], 1e-5);
}

TEST_F(Baselines, CoClickKeepsTheMostSimilar) {
  open();
  const CoClick full(*dataset_, {.neighbours = 0}), cut(*dataset_, {.neighbours = 3});
  for (int32_t item = 0; item < 20; ++item) {
    const auto all = full.neighbours(item), kept = cut.neighbours(item);
    ASSERT_EQ(kept.size(), std::min<size_t>(3, all.size()));
    for (size_t at = 0; at < kept.size(); ++at) EXPECT_EQ(kept[at].item, all[at].item);
  }
}

TEST_F(Baselines, RowsAndCatalogueGetTheSameScores) {
  open();
  LoaderOptions rows;
  rows.split = Split::kTest;
  rows.training = false;
  rows.negatives = 3;
  Batch batch;
  const Loader loader(*dataset_, rows);
  loader.load(0, 0, batch);
  for (const Baseline& baseline : make_baselines(*dataset_, 1)) {
    std::vector<float> out(batch.rows());
    baseline.pairs->score(batch, "read", out);
    for (int64_t row = 0; row < batch.rows(); ++row) {
      const int64_t event = dataset_->rows_of(Split::kTest)[row / 4];
      float expected = 0;
      baseline.candidates(event, std::span(&batch.item[row], 1), std::span(&expected, 1));
      ASSERT_FLOAT_EQ(out[row], expected) << baseline.name;
    }
  }
}

TEST_F(Baselines, RandomDependsOnItsSeed) {
  open();
  const int64_t event = dataset_->rows_of(Split::kTest)[0];
  std::vector<float> one(20), again(20), other(20);
  make_baselines(*dataset_, 1).back().candidates(event, all_, one);
  make_baselines(*dataset_, 1).back().candidates(event, all_, again);
  make_baselines(*dataset_, 2).back().candidates(event, all_, other);
  EXPECT_EQ(one, again);
  EXPECT_NE(one, other);
  EXPECT_EQ(std::set<float>(one.begin(), one.end()).size(), 20u);
}

}  // namespace
}  // namespace retort
