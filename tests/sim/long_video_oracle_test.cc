#include "retort/sim/long_video_oracle.h"

#include <cmath>
#include <map>
#include <set>
#include <string>

#include "test_platform.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/common/recipe.h"
#include "retort/common/thread_pool.h"
#include "retort/dataset/builder.h"
#include "retort/sim/long_video_truth.h"

namespace retort {
namespace {

using namespace platform;
using testing::SimulatedFolder;

TEST(LongVideoOracle, KnowsKeysDaysAndBirths) {
  EXPECT_EQ(oracle().find_user("u000399"), 399);
  EXPECT_EQ(oracle().find_user("u000400"), std::nullopt);
  EXPECT_EQ(oracle().find_item("t00099"), 99);
  EXPECT_EQ(oracle().find_item("t00100"), std::nullopt);
  EXPECT_EQ(oracle().find_item("m00000"), 100);
  EXPECT_EQ(oracle().find_item("i00000"), std::nullopt);
  EXPECT_EQ(oracle().day_of(oracle().world().start - 1), 0);
  EXPECT_EQ(oracle().day_of(oracle().world().start + 3 * 86'400'000'000), 3);
  EXPECT_EQ(oracle().day_of(oracle().world().start + 30 * 86'400'000'000), 8);
  EXPECT_FALSE(oracle().alive(499, 0));
  EXPECT_TRUE(oracle().alive(499, 8));
  EXPECT_THROW(oracle().p_click(400, 0), ArgumentError);
}

TEST(LongVideoOracle, TruthOnDiskIsTheWorldThatWasBuilt) {
  const LongVideoWorld world = build_long_video_world(long_video_options(recipe()));
  const LongVideoOracle fresh(world);
  for (int32_t k = 0; k < 20; ++k) {
    EXPECT_EQ(fresh.p_click(k, 20 * k), oracle().p_click(k, 20 * k));
    EXPECT_EQ(fresh.expected_dwm(k, 20 * k), oracle().expected_dwm(k, 20 * k));
    EXPECT_EQ(fresh.value(k, 7), fresh.p_click(k, 7) * fresh.expected_dwm(k, 7));
  }
}

TEST(LongVideoOracle, QuickExpectationStaysCloseToTheRollOuts) {
  double error = 0;
  for (int32_t k = 0; k < 200; ++k) {
    const int32_t user = k, item = (k * 37) % 500;
    error +=
        std::abs(oracle().quick_expected_dwm(user, item) / oracle().expected_dwm(user, item) - 1) /
        200;
  }
  EXPECT_LT(error, 0.015);
}

TEST(LongVideoOracle, AFeedsOracleRefusesThisTruthAndTheOtherWayRound) {
  EXPECT_TRUE(has_long_video_truth(shared().path));
  EXPECT_FALSE(has_long_video_truth(testing::shared_world().path));
  EXPECT_FALSE(has_long_video_truth(shared().path / "nowhere"));
  EXPECT_THROW(Oracle(shared().path), DataError);
  EXPECT_THROW(LongVideoOracle(testing::shared_world().path), DataError);
}

/// Impressions of one type as an event log, every impression a row.
class LongVideoScorerTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    set_log_level(LogLevel::kSilent);
    folder_ = new fs::path(testing::scratch("long-dataset"));
    const Json ingest_recipe = Json::parse(R"({
      "name": "rows",
      "events": [{"path": "impressions.parquet", "user": "user_id", "item": "item_id",
                  "time": "time", "clicked": "clicked"}],
      "read": {"threshold": "none"},
      "split": {"kind": "time", "test": "1d", "valid": "1d"},
      "features": [{"name": "user_id", "side": "user", "kind": "categorical", "column": "user"},
                   {"name": "item_id", "side": "item", "kind": "categorical", "column": "item"}]
    })");
    ingest(ingest_recipe, {.from = shared().path, .out = *folder_, .seed = {}});
    dataset_ = new Dataset(*folder_);
  }
  static void TearDownTestSuite() {
    fs::remove_all(*folder_);
    delete dataset_;
    delete folder_;
    set_log_level(LogLevel::kInfo);
  }
  static fs::path* folder_;
  static Dataset* dataset_;
};
fs::path* LongVideoScorerTest::folder_ = nullptr;
Dataset* LongVideoScorerTest::dataset_ = nullptr;

TEST_F(LongVideoScorerTest, PairsGetTheTruthOfTheirTask) {
  const LongVideoScorer scorer(oracle(), *dataset_);
  Batch batch;
  batch.user = {0, 1};
  batch.item = {2, 3};
  batch.time = {0, 0};
  const auto score = [&](const char* task) {
    std::vector<float> out(2);
    scorer.score(batch, task, out);
    return out[1];
  };
  const int32_t user = *oracle().find_user(dataset_->user_keys()[1]);
  const int32_t item = *oracle().find_item(dataset_->item_keys()[3]);
  EXPECT_FLOAT_EQ(score("click"), static_cast<float>(oracle().p_click(user, item)));
  EXPECT_FLOAT_EQ(score("dwm"), static_cast<float>(oracle().value(user, item)));
  EXPECT_FLOAT_EQ(score("dwm_given_click"), static_cast<float>(oracle().expected_dwm(user, item)));
  EXPECT_EQ(score("read_given_click"), 1);  // every discovery brings some minutes
  EXPECT_FLOAT_EQ(score("read"), score("click"));
  std::vector<float> out(2);
  EXPECT_THROW(scorer.score(batch, "share", out), ArgumentError);
}

TEST_F(LongVideoScorerTest, CandidatesGetTheTruthOfTheirEvent) {
  const LongVideoScorer scorer(oracle(), *dataset_);
  const int64_t event = dataset_->rows_of(Split::kTest)[3];
  const auto at = static_cast<size_t>(event);
  const int32_t user = *oracle().find_user(dataset_->user_keys()[dataset_->clicks().user[at]]);
  const std::vector<int32_t> items{0, 5, 17, 40};
  std::vector<float> out(items.size());
  const LongVideoWorld& world = oracle().world();
  scorer.candidates(LongVideoRanking::kMinutesMass)(event, items, out);
  for (size_t k = 0; k < items.size(); ++k) {
    const int32_t item = *oracle().find_item(dataset_->item_keys()[items[k]]);
    const LongVideoPolicy policy(world, world.type_of(item), 8);
    ExposureRow row;
    policy.fill(user, row);
    const double expected = policy.exposure(row, item) * oracle().p_click(user, item) *
                            oracle().quick_expected_dwm(user, item);
    EXPECT_NEAR(out[k] / expected, 1, 1e-5);
  }
  scorer.candidates(LongVideoRanking::kClick)(event, items, out);
  const int32_t first = *oracle().find_item(dataset_->item_keys()[0]);
  EXPECT_FLOAT_EQ(out[0], static_cast<float>(oracle().p_click(user, first)));
}

TEST_F(LongVideoScorerTest, RefusesADatasetOfAnotherWorld) {
  Json other = recipe();
  other["world"].update(Json{{"users", 50}, {"days", 1}});
  const LongVideoOracle small(build_long_video_world(long_video_options(other)));
  EXPECT_THROW(LongVideoScorer(small, *dataset_), DataError);
}

}  // namespace
}  // namespace retort
