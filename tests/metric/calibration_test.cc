#include "retort/metric/calibration.h"

#include <cmath>

#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/common/file.h"
#include "retort/common/json.h"

namespace retort {
namespace {

TEST(Reliability, MatchesHandTable) {
  const std::vector<float> predicted{0.9f, 0.1f, 0.3f, 0.5f};
  const std::vector<uint8_t> labels{1, 0, 0, 1};
  const auto table = reliability(predicted, labels, 2);
  ASSERT_EQ(table.size(), 2u);
  EXPECT_EQ(table[0].rows, 2);
  EXPECT_FLOAT_EQ(static_cast<float>(table[0].mean_predicted), 0.2f);
  EXPECT_EQ(table[0].share_positive, 0);
  EXPECT_FLOAT_EQ(static_cast<float>(table[1].mean_predicted), 0.7f);
  EXPECT_EQ(table[1].share_positive, 1);
  EXPECT_NEAR(expected_calibration_error(table), 0.5 * 0.2 + 0.5 * 0.3, 1e-7);
}

TEST(Reliability, EqualPredictionsShareABin) {
  const std::vector<float> predicted{0.5f, 0.5f, 0.5f, 0.5f};
  const auto table = reliability(predicted, std::vector<uint8_t>{1, 0, 0, 0}, 4);
  ASSERT_EQ(table.size(), 1u);
  EXPECT_EQ(table[0].rows, 4);
  EXPECT_DOUBLE_EQ(expected_calibration_error(table), 0.25);
}

TEST(Reliability, MatchesGoldenValue) {
  const Json expected = Json::parse(read_file(RETORT_TESTS "/metric/golden/metrics.json"));
  const auto table = reliability(expected["predicted"].get<std::vector<float>>(),
                                 expected["labels"].get<std::vector<uint8_t>>(), 10);
  std::vector<int64_t> ends;
  for (const ReliabilityBin& bin : table) {
    ends.push_back((ends.empty() ? 0 : ends.back()) + bin.rows);
  }
  EXPECT_EQ(ends, expected["bin_ends"].get<std::vector<int64_t>>());
  EXPECT_NEAR(expected_calibration_error(table), expected["ece_10"].get<double>(), 1e-9);
}

TEST(Reliability, HandlesFewRowsAndRefusesWhatIsNoProbability) {
  EXPECT_EQ(reliability(std::vector<float>{0.2f, 0.4f}, std::vector<uint8_t>{0, 1}, 15).size(), 2u);
  EXPECT_TRUE(std::isnan(expected_calibration_error({})));
  EXPECT_THROW(reliability(std::vector<float>{1.5f}, std::vector<uint8_t>{1}, 2), ArgumentError);
  EXPECT_THROW(reliability(std::vector<float>{NAN}, std::vector<uint8_t>{1}, 2), ArgumentError);
}

}  // namespace
}  // namespace retort
