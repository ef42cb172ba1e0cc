// Oracle: three tests written by hand, and Student's quantile for two degrees of freedom.
#include "retort/study/feed_test_seeds.h"

#include <cmath>

#include "tests/support/scratch_folder.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"

namespace retort {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

Json model(double seconds) {
  Json json;
  for (const char* metric :
       {"seconds", "expected_seconds", "expected_ctr", "expected_reads", "click_bait"})
    json[metric] = {{"value", seconds}, {"low", 0}, {"high", 1}};
  json["coverage"] = 0.5;
  return json;
}

/// Arms "a" (the control), "again" and "b", which is worth so much more.
Json finished(double control, double more) {
  Json json;
  for (const char* name : {"b control", "again", "a better"})
    json["arms"].push_back({{"name", name}});
  Json& none = json["rankers"]["none"];
  none["models"] = {{"b control", model(control)},
                    {"again", model(control)},
                    {"a better", model(control * (1 + more))}};
  none["differences"] = {{{"metric", "expected_seconds"}, {"arm", "a better"}, {"published", 0.5}}};
  none["order"] = {{{"metric", "expected_seconds"},
                    {"below", "b control"},
                    {"arm", "a better"},
                    {"published", 0.5}}};
  return json;
}

struct ThreeTests {
  explicit ThreeTests(const std::vector<Json>& tests) {
    for (size_t k = 0; k < tests.size(); ++k) {
      folders.push_back(scratch / ("test" + std::to_string(k)));
      fs::create_directories(folders.back());
      write_file(folders.back() / "abtest.json", tests[k].dump());
    }
  }
  ScratchFolder scratch;
  std::vector<fs::path> folders;
};

TEST(FeedTestSeeds, DifferencesAreRelativeWithinATestAndStudentsOverTests) {
  const ThreeTests tests({finished(10, 0.1), finished(20, 0.2), finished(12, 0.3)});
  const Json summary = sum_up_feed_tests(tests.folders);
  const Json& none = summary["rankers"]["none"];
  EXPECT_DOUBLE_EQ(none["models"]["b control"]["expected_seconds"]["value"], 14);
  EXPECT_NEAR(none["models"]["b control"]["expected_seconds"]["deviation"].get<double>(),
              std::sqrt(28.0), 1e-12);
  EXPECT_EQ(none["models"]["again"]["coverage"]["value"], 0.5);
  const double half = 4.302653 * 0.1 / std::sqrt(3.0);
  int compared = 0;
  for (const Json& difference : none["differences"]) {
    if (difference["arm"] == "again") {
      EXPECT_EQ(difference["verdict"], "equal");
      continue;
    }
    ++compared;
    EXPECT_NEAR(difference["value"].get<double>(), 0.2, 1e-12);
    EXPECT_NEAR(difference["low"].get<double>(), 0.2 - half, 1e-4);
    EXPECT_NEAR(difference["high"].get<double>(), 0.2 + half, 1e-4);
    EXPECT_EQ(difference["verdict"], "not distinguishable");
    EXPECT_EQ(difference.value("claim", ""),
              difference["metric"] == "expected_seconds" ? "not distinguishable" : "");
  }
  EXPECT_EQ(compared, 4);
  const std::string text = feed_seeds_table(summary);
  EXPECT_THAT(text, AllOf(HasSubstr("3 tests"), HasSubstr("+20.00%")));
  EXPECT_LT(text.find("b control"), text.find("a better"));  // the control comes first
}

TEST(FeedTestSeeds, ThePublishedOrderIsClaimedOverTests) {
  const ThreeTests more({finished(10, 0.1), finished(20, 0.12), finished(12, 0.11)});
  EXPECT_EQ(sum_up_feed_tests(more.folders)["rankers"]["none"]["order"][0]["claim"], "reproduced");
  const ThreeTests less({finished(10, -0.1), finished(20, -0.12), finished(12, -0.11)});
  const Json order = sum_up_feed_tests(less.folders)["rankers"]["none"]["order"];
  EXPECT_EQ(order[0]["claim"], "reversed");
  EXPECT_EQ(order[0]["below"], "b control");
}

TEST(FeedTestSeeds, WhatCannotBeSummedUpIsNamed) {
  Json other = finished(10, 0.1);
  other["arms"].erase(1);
  Json broken = finished(11, 0.1);
  broken["rankers"]["none"]["models"].erase("again");
  const ThreeTests tests({finished(10, 0.1), other, broken, Json{{"sections", 1}}});
  const auto refused = [&](const std::vector<fs::path>& folders) {
    return [folders] { sum_up_feed_tests(folders); };
  };
  const auto& folders = tests.folders;
  EXPECT_THAT(refused({folders[0]}), ThrowsMessage<ConfigError>(HasSubstr("two or more")));
  EXPECT_THAT(refused({folders[0], folders[0]}),
              ThrowsMessage<ConfigError>(HasSubstr("one and the same test")));
  EXPECT_THAT(refused({folders[0], "nowhere"}),
              ThrowsMessage<DataError>(HasSubstr("nowhere/abtest.json")));
  EXPECT_THAT(refused({folders[0], folders[1]}),
              ThrowsMessage<DataError>(HasSubstr("other arms or rankers")));
  EXPECT_THAT(refused({folders[0], folders[2]}), ThrowsMessage<DataError>(HasSubstr("again")));
  EXPECT_THAT(refused({folders[0], folders[3]}),
              ThrowsMessage<DataError>(HasSubstr("no replayed test")));
}

}  // namespace
}  // namespace retort
