#include "retort/study/compare_rates.h"

#include <map>

#include "tests/support/scratch_folder.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/trainer/run_folder.h"

namespace retort {
namespace {

class CompareRates : public testing::Test {
 protected:
  /// A "training" whose result is looked up by its rate.
  TrainRun trainer(std::map<double, double> found, const std::string& metric = "auc_read") {
    return [this, found = std::move(found), metric](const Json& recipe, const fs::path& run) {
      ++trained_;
      const double rate = recipe.at("optimizer").at("learning_rate");
      fs::create_directories(run);
      write_file(RunPaths(run).info,
                 Json{{"result", {{"best_metric", found.at(rate)}, {"metric", metric}}}}.dump());
    };
  }
  Json choose(const std::vector<double>& rates, const TrainRun& train_run) const {
    return with_best_rate({{"optimizer", {{"learning_rate", .5}}}}, rates, scratch_ / "row",
                          scratch_ / "row" / "seed1", train_run);
  }
  static double rate_of(const Json& recipe) { return recipe["optimizer"]["learning_rate"]; }

  ScratchFolder scratch_;
  int trained_ = 0;
};

TEST_F(CompareRates, TheBestOnValidationIsTakenAndItsRunBecomesTheFirst) {
  const auto train_run = trainer({{.0003, .71}, {.001, .74}, {.003, .73}});
  EXPECT_EQ(rate_of(choose({.0003, .001, .003}, train_run)), .001);
  EXPECT_EQ(read_json(RunPaths(scratch_ / "row" / "seed1").info)["result"]["best_metric"], .74);
  EXPECT_FALSE(fs::exists(scratch_ / "row" / "rates" / "0.001"));
  const Json choice = read_json(scratch_ / "row" / "learning_rate.json");
  EXPECT_EQ(choice["chosen"], .001);
  EXPECT_EQ(choice["validation"].size(), 3);
  EXPECT_EQ(rate_of(choose({.0003, .001, .003}, train_run)), .001);
  EXPECT_EQ(trained_, 3) << "the choice was made again";
}

TEST_F(CompareRates, OfALossTheLeastAndOfEqualsTheFirst) {
  EXPECT_EQ(rate_of(choose({.1, .2, .3}, trainer({{.1, 2}, {.2, 1}, {.3, 1}}, "loss"))), .2);
}

TEST_F(CompareRates, WithoutRatesTheRecipeStays) {
  EXPECT_EQ(rate_of(choose({}, trainer({}))), .5);
  EXPECT_EQ(trained_, 0);
}

TEST_F(CompareRates, ACutBetweenChoiceAndNameIsMended) {
  choose({.1, .2}, trainer({{.1, .6}, {.2, .5}}));
  fs::rename(scratch_ / "row" / "seed1", scratch_ / "row" / "rates" / "0.1");
  EXPECT_EQ(rate_of(choose({.1, .2}, trainer({}))), .1);
  EXPECT_TRUE(fs::exists(scratch_ / "row" / "seed1"));
}

TEST_F(CompareRates, OtherRatesThanThoseOfTheChoiceAreRefused) {
  choose({.1, .2}, trainer({{.1, .6}, {.2, .5}}));
  EXPECT_THROW(choose({.1, .3}, trainer({})), ConfigError);
  EXPECT_THROW(with_best_rate({}, {-1}, scratch_ / "a", scratch_ / "a" / "seed1", trainer({})),
               ConfigError);
}

}  // namespace
}  // namespace retort
