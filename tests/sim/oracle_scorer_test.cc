#include "retort/sim/oracle_scorer.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "test_world.h"
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/common/log.h"
#include "retort/common/recipe.h"
#include "retort/dataset/builder.h"
#include "retort/dataset/loader.h"
#include "retort/sim/law.h"

namespace retort {
namespace {

using testing::SimulatedFolder;

/// A world of more clicks, ingested by the recipe that ships.
class OracleScorerTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    set_log_level(LogLevel::kSilent);
    recipe_ = new Json(load_recipe(fs::path(RETORT_SOURCE) / "recipes/data/feed.toml", "tiny",
                                   {"world.impressions_per_day=100"}));
    world_ = new SimulatedFolder(*recipe_, "scored");
    folder_ = new fs::path(testing::scratch("dataset"));
    ingest(*recipe_, {.from = world_->path, .out = *folder_, .seed = {}});
    dataset_ = new Dataset(*folder_);
    oracle_ = new Oracle(world_->path);
  }
  static void TearDownTestSuite() {
    fs::remove_all(*folder_);
    delete oracle_;
    delete dataset_;
    delete folder_;
    delete world_;
    delete recipe_;
    set_log_level(LogLevel::kInfo);
  }

  struct Rows {
    std::vector<float> click, read, pmi, best_read, p_long;
  };
  /// The judged rows of the test split under the dataset's protocol, with their scores.
  static Rows test_rows() {
    const OracleScorer scorer(*oracle_, *dataset_);
    LoaderOptions options;
    options.split = Split::kTest;
    options.training = false;
    const Loader loader(*dataset_, options);
    Rows rows;
    Batch batch;
    for (int64_t b = 0; b < loader.batches(); ++b) {
      loader.load(0, b, batch);
      std::vector<float> out(static_cast<size_t>(batch.rows()));
      const auto append = [](std::vector<float>& to, const std::vector<float>& from) {
        to.insert(to.end(), from.begin(), from.end());
      };
      append(rows.click, batch.click);
      append(rows.read, batch.read);
      scorer.score(batch, "click", out);
      append(rows.pmi, out);
      scorer.score(batch, "read", out);
      append(rows.best_read, out);
      scorer.score(batch, "read_given_click", out);
      append(rows.p_long, out);
    }
    return rows;
  }

  /// In each tenth of the rows by `forecast`, the mean forecast is the frequency of the label.
  static void expect_calibrated(const std::vector<float>& forecast,
                                const std::vector<float>& label) {
    std::vector<size_t> order(forecast.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return forecast[a] < forecast[b]; });
    for (size_t tenth = 0; tenth < 10; ++tenth) {
      const size_t begin = order.size() * tenth / 10, end = order.size() * (tenth + 1) / 10;
      double expected = 0, seen = 0, variance = 0;
      for (size_t k = begin; k < end; ++k) {
        const double p = forecast[order[k]];
        expected += p;
        seen += label[order[k]];
        variance += p * (1 - p);
      }
      EXPECT_NEAR(seen, expected, 4 * std::sqrt(variance) + 1) << "tenth " << tenth;
    }
  }

  static Json* recipe_;
  static SimulatedFolder* world_;
  static fs::path* folder_;
  static Dataset* dataset_;
  static Oracle* oracle_;
};

Json* OracleScorerTest::recipe_ = nullptr;
SimulatedFolder* OracleScorerTest::world_ = nullptr;
fs::path* OracleScorerTest::folder_ = nullptr;
Dataset* OracleScorerTest::dataset_ = nullptr;
Oracle* OracleScorerTest::oracle_ = nullptr;

// A score is the best there is when it is the probability of the label given all that is known:
// then its frequencies come true on rows that the ingest and the sampler made.
TEST_F(OracleScorerTest, ScoresAreTheProbabilitiesOfTheRowsLabels) {
  const Rows rows = test_rows();
  ASSERT_GT(rows.click.size(), 8000U);
  std::vector<float> p_click;
  for (const float pmi : rows.pmi)
    p_click.push_back(static_cast<float>(sigmoid(pmi - std::log(4.0))));
  expect_calibrated(p_click, rows.click);
  expect_calibrated(rows.best_read, rows.read);
  std::vector<float> read, p_long;
  for (size_t r = 0; r < rows.click.size(); ++r) {
    if (rows.click[r] == 0) continue;
    read.push_back(rows.read[r]);
    p_long.push_back(rows.p_long[r]);
  }
  expect_calibrated(p_long, read);
}

TEST_F(OracleScorerTest, CandidatesGetTheTruthOfTheirEvent) {
  const OracleScorer scorer(*oracle_, *dataset_);
  const int64_t event = dataset_->rows_of(Split::kTest)[3];
  const std::vector<int32_t> items{0, 5, 17, 200};
  std::vector<float> mass(items.size()), best(items.size()), clicks(items.size());
  scorer.candidates(OracleRanking::kReadMass)(event, items, mass);
  scorer.candidates(OracleRanking::kBestRead)(event, items, best);
  scorer.candidates(OracleRanking::kClickMass)(event, items, clicks);
  const auto at = static_cast<size_t>(event);
  const int32_t user = *oracle_->find_user(dataset_->user_keys()[dataset_->clicks().user[at]]);
  const int32_t day = oracle_->day_of(dataset_->clicks().time[at]);
  EXPECT_EQ(day, 7);
  for (size_t k = 0; k < items.size(); ++k) {
    const int32_t item = *oracle_->find_item(dataset_->item_keys()[items[k]]);
    const double expected = oracle_->click_mass(user, item, day) * oracle_->p_long(user, item, day);
    EXPECT_NEAR(mass[k] / expected, 1, 1e-5);
    EXPECT_NEAR(clicks[k] / oracle_->click_mass(user, item, day), 1, 1e-5);
    EXPECT_GE(best[k], 0);
    EXPECT_LE(best[k], oracle_->p_long(user, item, day) + 1e-6);
  }
}

TEST_F(OracleScorerTest, ClicksAloneIsTheScoreOfClicksForEveryTask) {
  const OracleScorer scorer(*oracle_, *dataset_);
  const ClicksAlone clicks(scorer);
  LoaderOptions options;
  options.split = Split::kTest;
  const Loader loader(*dataset_, options);
  Batch batch;
  loader.load(0, 0, batch);
  std::vector<float> expected(static_cast<size_t>(batch.rows())), scores(expected.size());
  scorer.score(batch, "click", expected);
  for (const char* task : {"click", "read", "read_given_click", "dwm"}) {
    clicks.score(batch, task, scores);
    EXPECT_EQ(scores, expected) << task;
  }
}

TEST_F(OracleScorerTest, RefusesADatasetOfAnotherWorld) {
  const Oracle& other = testing::shared_oracle();  // 300 users against 600
  EXPECT_THROW(OracleScorer(other, *dataset_), DataError);
}

TEST_F(OracleScorerTest, RefusesAnUnknownTask) {
  const OracleScorer scorer(*oracle_, *dataset_);
  std::vector<float> out;
  EXPECT_THROW(scorer.score(Batch{}, "share", out), ArgumentError);
}

}  // namespace
}  // namespace retort
