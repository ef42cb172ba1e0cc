// DWM attribution on hand-made logs.
#include "tests/log/attribution_support.h"
#include <gmock/gmock.h>

#include "retort/common/error.h"

namespace retort {
namespace {

using ::testing::HasSubstr;

const DwmLabel kUnclicked{false, 0.0}, kUnknown{false, std::nullopt};

TEST_F(Attribution, AllViewingOfTheWindowCountsWhereverItBegan) {
  const int id = discovered("u", "a", 1, 20);
  played("u", "a", 2, 30, "continue");
  played("u", "a", 3, 7, "search");
  played("u", "a", 7.9, 5, "rewatch");            // watched again: counts like the rest
  played("u", "a", 8 + kMinute, 40, "continue");  // the window is half-open
  played("v", "a", 2, 90, "continue");            // another viewer
  played("u", "b", 2, 90, "continue");            // another program
  end_log(30);
  EXPECT_EQ(attribute("cut = \"paper\"").at(id), (DwmLabel{true, 62.0}));
}

TEST_F(Attribution, ThePlaybackThatRunsOverTheWindowsEndIsClipped) {
  const int id = discovered("u", "a", 1, 20);
  played("u", "a", 8 + kMinute - 10 * kMinute, 60, "continue");
  end_log(30);
  EXPECT_NEAR(attribute("cut = \"paper\"").at(id).minutes.value(), 30, 1e-6);
  EXPECT_EQ(attribute("cut = \"paper\"\ndays = 1").at(id), (DwmLabel{true, 20.0}));
  EXPECT_EQ(attribute("cut = \"paper\"\ndays = 8").at(id), (DwmLabel{true, 80.0}));
}

TEST_F(Attribution, APairThatBeganElsewhereHasNoneEver) {
  played("u", "a", 1, 20, "search");
  const int later = discovered("u", "a", 2, 30);
  played("u", "b", 1, 20, "continue");
  const int resumed = discovered("u", "b", 2, 30);
  const int fresh = discovered("u", "c", 2, 30);
  end_log(30);
  const auto labels = attribute("cut = \"paper\"");
  EXPECT_EQ(labels.at(later), kUnclicked);
  EXPECT_EQ(labels.at(resumed), kUnclicked);
  EXPECT_EQ(labels.at(fresh), (DwmLabel{true, 30.0}));
  EXPECT_EQ(made_.discoveries, 1);
  EXPECT_EQ(made_.rows, 3);
}

TEST_F(Attribution, OnlyTheImpressionThatBeganThePlaybackIsClicked) {
  const int earlier = shown("u", "a", 1), before = shown("u", "a", 2);
  const int id = discovered("u", "a", 3, 10);
  const int again = discovered("u", "a", 5, 25);  // a second playback from the row: no discovery
  const int other_program = discovered("u", "b", 3, 15), other_viewer = discovered("v", "a", 4, 5);
  const int unplayed = shown("w", "a", 3);
  const int familiar = shown("u", "a", 4, "continue"),
            movie = shown("u", "m", 4, "movies_for_you", "movie");
  end_log(30);
  const auto labels = attribute("cut = \"paper\"");
  for (const int none : {earlier, before, again, unplayed}) EXPECT_EQ(labels.at(none), kUnclicked);
  EXPECT_EQ(labels.at(id), (DwmLabel{true, 35.0}));
  EXPECT_EQ(labels.at(other_program), (DwmLabel{true, 15.0}));
  EXPECT_EQ(labels.at(other_viewer), (DwmLabel{true, 5.0}));
  EXPECT_FALSE(labels.contains(familiar));  // rows are of unfamiliar collections and the type only
  EXPECT_FALSE(labels.contains(movie));
}

TEST_F(Attribution, AWindowThatTheLogCutsIsUnknownByDateOrPartial) {
  const int closed = discovered("u", "a", 1, 20), closed_unclicked = shown("v", "a", 1);
  const int open = discovered("u", "b", 4, 20), open_unclicked = shown("v", "b", 4);
  played("u", "b", 9, 15, "continue");
  end_log(10);
  auto labels = attribute("cut = \"paper\"");
  EXPECT_EQ(made_.log_end, micros(10) + 1);
  EXPECT_EQ(labels.at(closed), (DwmLabel{true, 20.0}));
  EXPECT_EQ(labels.at(closed_unclicked), kUnclicked);
  EXPECT_EQ(labels.at(open), (DwmLabel{true, std::nullopt}));
  EXPECT_EQ(labels.at(open_unclicked), kUnknown);
  EXPECT_EQ(made_.unknown, 2);
  labels = attribute("cut = \"paper\"\ncensor = \"partial\"");
  EXPECT_EQ(labels.at(open), (DwmLabel{true, 35.0}));
  EXPECT_EQ(labels.at(open_unclicked), kUnclicked);
  EXPECT_EQ(made_.unknown, 0);
}

TEST_F(Attribution, StrictLabelsOfTrainingRowsSeeNothingBehindTheTestsBegin) {
  const int old = discovered("u", "a", 2, 20), old_unclicked = shown("v", "a", 2);
  const int late = discovered("u", "b", 9, 20), late_unclicked = shown("v", "b", 9);
  played("u", "b", 12 - 5 * kMinute, 15, "continue");  // five of its minutes before the test
  played("u", "b", 12.5, 30, "continue");
  const int valid = discovered("u", "c", 11.5, 20), test = discovered("u", "d", 12.5, 20);
  played("u", "c", 13, 2, "continue");
  end_log(30);
  auto labels = attribute("");
  ASSERT_TRUE(made_.moments.has_value());
  EXPECT_EQ(made_.moments->test_from, micros(12));
  EXPECT_EQ(made_.moments->valid_from, micros(11));
  EXPECT_EQ(labels.at(old), (DwmLabel{true, 20.0}));
  EXPECT_EQ(labels.at(old_unclicked), kUnclicked);
  EXPECT_EQ(labels.at(late), (DwmLabel{true, std::nullopt}));
  EXPECT_EQ(labels.at(late_unclicked), kUnknown);
  EXPECT_EQ(labels.at(valid), (DwmLabel{true, 22.0}));
  EXPECT_EQ(labels.at(test), (DwmLabel{true, 20.0}));
  labels = attribute("cut = \"paper\"");
  EXPECT_FALSE(made_.moments.has_value());
  EXPECT_EQ(labels.at(late), (DwmLabel{true, 65.0}));
  EXPECT_EQ(labels.at(late_unclicked), kUnclicked);
  labels = attribute("censor = \"partial\"");
  EXPECT_NEAR(labels.at(late).minutes.value(), 25, 1e-6);
  EXPECT_EQ(labels.at(late_unclicked), kUnclicked);
  EXPECT_EQ(labels.at(valid), (DwmLabel{true, 22.0}));
}

TEST_F(Attribution, KeepsTheImpressionsOwnColumns) {
  const int id = discovered("u", "a", 1, 20);
  end_log(30);
  write();
  const Json json = recipe("cut = \"paper\"\n");
  const SplitOptions split = read_split_options(json, {});
  DuckDb db;
  create_reject_table(db);
  retort::attribute(db, read_attribution(json, split).value(), split, log_.path(), 0);
  EXPECT_EQ(db.query_text(fmt::format("SELECT note FROM attributed WHERE imp_id = '{}'", id)),
            "n1");
  std::vector<std::string> names;
  for (const auto& [name, type] : db.describe("SELECT * FROM attributed")) names.push_back(name);
  EXPECT_THAT(names, testing::ElementsAre("imp_id", "user_id", "item_id", "time", "collection",
                                          "type", "note", "clicked", "seconds"));
}

TEST_F(Attribution, BadPlaybacksAreRejectsThatCount) {
  discovered("u", "a", 1, 20);
  end_log(30);
  extra_playbacks_ =
      "7,,a,1000000000,3,continue,\n8,u,a,yesterday,3,continue,\n9,u,a,1000000000,-3,"
      "continue,\n10,u,a,1000000000,,continue,\n";
  EXPECT_THROW(attribute("cut = \"paper\"", 0.5), DataError);
  EXPECT_EQ(attribute("cut = \"paper\"", 0.8).at(1), (DwmLabel{true, 20.0}));
}

TEST_F(Attribution, WrongRecipesAndLogsAreNamed) {
  discovered("u", "a", 1, 20);
  end_log(30);
  const auto error = [&](const std::string& sets, const auto& run) -> std::string {
    try {
      run(sets);
    } catch (const Error& wrong) {
      return wrong.what();
    }
    return "no error";
  };
  const auto run = [&](const std::string& sets) { attribute(sets); };
  EXPECT_THAT(error("cut = \"loose\"", run), HasSubstr("'loose' is none of: strict, paper"));
  EXPECT_THAT(error("censor = \"none\"", run), HasSubstr("attribution.censor"));
  EXPECT_THAT(error("days = 0", run), HasSubstr("attribution.days"));
  EXPECT_THAT(error("dayz = 7", run), HasSubstr("did you mean 'days'"));
  const auto split = [&](const std::string&) {
    Json json = recipe("");
    json["split"] = {{"kind", "user_last"}};
    read_attribution(json, read_split_options(json, {}));
  };
  EXPECT_THAT(error("", split), HasSubstr("\"paper\" or split by time"));
  const auto no_column = [&](const std::string&) {
    Json json = recipe("cut = \"paper\"");
    json["attribution"]["playbacks"]["minutes"] = "minuts";
    DuckDb db;
    create_reject_table(db);
    const SplitOptions by_time = read_split_options(json, {});
    retort::attribute(db, read_attribution(json, by_time).value(), by_time, log_.path(), 0);
  };
  write();
  EXPECT_THAT(error("", no_column), HasSubstr("did you mean 'minutes'"));
  impressions_.push_back(impressions_.front());
  EXPECT_THAT(error("cut = \"paper\"", run), HasSubstr("impression '1' stands there twice"));
  impressions_.clear();
  shown("v", "z", 1);
  EXPECT_THAT(error("cut = \"paper\"", run), HasSubstr("no first playback began from"));
}

}  // namespace
}  // namespace retort
