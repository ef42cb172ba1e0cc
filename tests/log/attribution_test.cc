// DWM attribution on hand-made logs, and against brute force on random ones.
#include "retort/log/attribution.h"

#include <algorithm>
#include <map>
#include <optional>

#include "tests/log/ingest_support.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/common/rng.h"

namespace retort {
namespace {

using ::testing::HasSubstr;

constexpr double kHour = 1.0 / 24, kMinute = kHour / 60;
constexpr int64_t kDay = 86'400'000'000, kStart = 19'786 * kDay;  // 2024-03-04

constexpr const char* kRecipe = R"(
[attribution.playbacks]
path = "playbacks.csv"
id = "pb_id::INT"
user = "user_id"
item = "item_id"
time = "time"
minutes = "minutes"
collection = "collection"
impression = "imp_id"
[attribution.impressions]
path = "impressions.csv"
where = "type = 'tv'"
id = "imp_id"
user = "user_id"
item = "item_id"
time = "time"
collection = "collection"
[attribution.collections]
path = "collections.csv"
id = "id"
kind = "kind"
[split]
kind = "time"
whole_days = true
)";

struct Playback {
  std::string user, item;
  double day, minutes;
  std::string collection;
  int impression;  // 0 = none
};
struct Impression {
  int id;
  std::string user, item;
  double day;
  std::string collection, type;
};
struct Label {
  bool clicked;
  std::optional<double> minutes;
  bool operator==(const Label&) const = default;
};
void PrintTo(const Label& label, std::ostream* out) {
  *out << (label.clicked ? "clicked " : "not clicked ")
       << (label.minutes ? std::to_string(*label.minutes) : "unknown");
}

int64_t micros(double day) { return kStart + std::llround(day * static_cast<double>(kDay)); }

class Attribution : public testing::Test {
 protected:
  void played(const std::string& user, const std::string& item, double day, double minutes,
              const std::string& collection, int impression = 0) {
    playbacks_.push_back({user, item, day, minutes, collection, impression});
  }
  int shown(const std::string& user, const std::string& item, double day,
            const std::string& collection = "tv_for_you", const std::string& type = "tv") {
    const int id = static_cast<int>(impressions_.size()) + 1;
    impressions_.push_back({id, user, item, day, collection, type});
    return id;
  }
  /// Shown, and played at once.
  int discovered(const std::string& user, const std::string& item, double day, double minutes) {
    const int id = shown(user, item, day);
    played(user, item, day + kMinute, minutes, "tv_for_you", id);
    return id;
  }
  void write() const {
    std::string text = "pb_id,user_id,item_id,time,minutes,collection,imp_id\n";
    for (size_t i = 0; i < playbacks_.size(); ++i) {
      const Playback& p = playbacks_[i];
      text += fmt::format("{},{},{},{},{},{},{}\n", i + 1, p.user, p.item, micros(p.day), p.minutes,
                          p.collection, p.impression > 0 ? std::to_string(p.impression) : "");
    }
    log_.write("playbacks.csv", text + extra_playbacks_);
    text = "imp_id,user_id,item_id,time,collection,type,clicked,note\n";
    for (const Impression& i : impressions_)
      text += fmt::format("{},{},{},{},{},{},true,n{}\n", i.id, i.user, i.item, micros(i.day),
                          i.collection, i.type, i.id);
    log_.write("impressions.csv", text);
    log_.write("collections.csv",
               "id,kind\ntv_for_you,unfamiliar\nmovies_for_you,unfamiliar\ncontinue,familiar\n"
               "rewatch,familiar\n");
  }
  Json recipe(const std::string& sets) const {
    log_.write("recipe.toml", "[attribution]\n" + sets + kRecipe);
    return load_recipe(log_.path() / "recipe.toml", "", {});
  }
  /// Labels by impression id.
  std::map<int, Label> attribute(const std::string& sets, double max_rejected = 0) {
    write();
    const Json json = recipe(sets);
    const SplitOptions split = read_split_options(json, {});
    const AttributionOptions options = read_attribution(json, split).value();
    DuckDb db;
    create_reject_table(db);
    made_ = retort::attribute(db, options, split, log_.path(), max_rejected);
    return labels(db);
  }
  static std::map<int, Label> labels(DuckDb& db) {
    std::map<int, Label> labels;
    db.query("SELECT CAST(imp_id AS INTEGER), clicked, seconds FROM attributed",
             [&](const ResultChunk& chunk) {
               for (int64_t row = 0; row < chunk.rows(); ++row) {
                 std::optional<double> minutes;
                 if (!chunk.is_null(2, row)) minutes = chunk.number(2, row) / 60;
                 labels[static_cast<int>(chunk.integer(0, row))] = {chunk.boolean(1, row), minutes};
               }
             });
    return labels;
  }
  /// A playback far behind everything: the log's end.
  void end_log(double day) { played("last", "last", day, 1, "search"); }

  LogFolder log_;
  std::vector<Playback> playbacks_;
  std::vector<Impression> impressions_;
  std::string extra_playbacks_;
  AttributionMade made_;
};

const Label kUnclicked{false, 0.0}, kUnknown{false, std::nullopt};

TEST_F(Attribution, AllViewingOfTheWindowCountsWhereverItBegan) {
  const int id = discovered("u", "a", 1, 20);
  played("u", "a", 2, 30, "continue");
  played("u", "a", 3, 7, "search");
  played("u", "a", 7.9, 5, "rewatch");            // watched again: counts like the rest
  played("u", "a", 8 + kMinute, 40, "continue");  // the window is half-open
  played("v", "a", 2, 90, "continue");            // another viewer
  played("u", "b", 2, 90, "continue");            // another program
  end_log(30);
  EXPECT_EQ(attribute("cut = \"paper\"").at(id), (Label{true, 62.0}));
}

TEST_F(Attribution, ThePlaybackThatRunsOverTheWindowsEndIsClipped) {
  const int id = discovered("u", "a", 1, 20);
  played("u", "a", 8 + kMinute - 10 * kMinute, 60, "continue");
  end_log(30);
  EXPECT_NEAR(attribute("cut = \"paper\"").at(id).minutes.value(), 30, 1e-6);
  EXPECT_EQ(attribute("cut = \"paper\"\ndays = 1").at(id), (Label{true, 20.0}));
  EXPECT_EQ(attribute("cut = \"paper\"\ndays = 8").at(id), (Label{true, 80.0}));
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
  EXPECT_EQ(labels.at(fresh), (Label{true, 30.0}));
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
  EXPECT_EQ(labels.at(id), (Label{true, 35.0}));
  EXPECT_EQ(labels.at(other_program), (Label{true, 15.0}));
  EXPECT_EQ(labels.at(other_viewer), (Label{true, 5.0}));
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
  EXPECT_EQ(labels.at(closed), (Label{true, 20.0}));
  EXPECT_EQ(labels.at(closed_unclicked), kUnclicked);
  EXPECT_EQ(labels.at(open), (Label{true, std::nullopt}));
  EXPECT_EQ(labels.at(open_unclicked), kUnknown);
  EXPECT_EQ(made_.unknown, 2);
  labels = attribute("cut = \"paper\"\ncensor = \"partial\"");
  EXPECT_EQ(labels.at(open), (Label{true, 35.0}));
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
  EXPECT_EQ(labels.at(old), (Label{true, 20.0}));
  EXPECT_EQ(labels.at(old_unclicked), kUnclicked);
  EXPECT_EQ(labels.at(late), (Label{true, std::nullopt}));
  EXPECT_EQ(labels.at(late_unclicked), kUnknown);
  EXPECT_EQ(labels.at(valid), (Label{true, 22.0}));
  EXPECT_EQ(labels.at(test), (Label{true, 20.0}));
  labels = attribute("cut = \"paper\"");
  EXPECT_FALSE(made_.moments.has_value());
  EXPECT_EQ(labels.at(late), (Label{true, 65.0}));
  EXPECT_EQ(labels.at(late_unclicked), kUnclicked);
  labels = attribute("censor = \"partial\"");
  EXPECT_NEAR(labels.at(late).minutes.value(), 25, 1e-6);
  EXPECT_EQ(labels.at(late_unclicked), kUnclicked);
  EXPECT_EQ(labels.at(valid), (Label{true, 22.0}));
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

TEST_F(Attribution, TheTextRunsAsItStands) {
  discovered("u", "a", 2, 20);
  shown("v", "a", 2);
  discovered("u", "b", 9, 20);
  discovered("u", "c", 12.5, 20);
  end_log(15);
  for (const std::string sets : {"", "cut = \"paper\"", "censor = \"partial\"\ndays = 5"}) {
    const auto expected = attribute(sets);
    const auto options = read_attribution(recipe(sets), read_split_options(recipe(sets), {}));
    std::string sql =
        attribution_text(*options, sets.empty() ? std::vector<std::string>{"imp_id", "time"}
                                                : std::vector<std::string>{});
    const auto replace = [&](const std::string& from, const std::string& to) {
      for (size_t at = 0; (at = sql.find(from, at)) != std::string::npos; at += to.size())
        sql.replace(at, from.size(), to);
    };
    const auto moment = [](int64_t at) { return fmt::format("make_timestamp({})", at); };
    replace(":log_end", moment(made_.log_end));
    const SplitMoments moments = made_.moments.value_or(SplitMoments{});
    replace(":train_end", moment(moments.valid_from));
    replace(":test_start", moment(moments.test_from));
    replace("'impressions.csv'", "impressions");
    replace("'playbacks.csv'", "playbacks");
    replace("'collections.csv'", "collections");
    DuckDb db;  // tables with the types that the text expects
    db.run(
        "CREATE TABLE collections AS SELECT * FROM (VALUES ('tv_for_you', 'unfamiliar'), "
        "('continue', 'familiar')) t(id, kind);"
        "CREATE TABLE playbacks (pb_id INT, user_id TEXT, item_id TEXT, time TIMESTAMP, minutes "
        "REAL, collection TEXT, imp_id INT);"
        "CREATE TABLE impressions (imp_id INT, user_id TEXT, item_id TEXT, time TIMESTAMP, "
        "collection TEXT, type TEXT)");
    for (size_t i = 0; i < playbacks_.size(); ++i) {
      const Playback& p = playbacks_[i];
      db.run(fmt::format("INSERT INTO playbacks VALUES ({}, '{}', '{}', {}, {}, '{}', {})", i,
                         p.user, p.item, moment(micros(p.day)), p.minutes, p.collection,
                         p.impression));
    }
    for (const Impression& i : impressions_)
      db.run(fmt::format("INSERT INTO impressions VALUES ({}, '{}', '{}', {}, '{}', '{}')", i.id,
                         i.user, i.item, moment(micros(i.day)), i.collection, i.type));
    db.run(sql);
    EXPECT_EQ(labels(db), expected) << sql;
  }
}

/// The rules of the header, one impression at a time.
std::map<int, Label> brute_force(const std::vector<Playback>& playbacks,
                                 const std::vector<Impression>& impressions, bool strict,
                                 bool partial, int64_t log_end, SplitMoments split) {
  const int64_t window = 7 * kDay;
  std::map<int, Label> labels;
  for (const Impression& shown : impressions) {
    if (shown.type != "tv" || shown.collection != "tv_for_you") continue;
    const int64_t at = micros(shown.day);
    const bool training = strict && at < split.valid_from;
    const int64_t known = training ? split.test_from : log_end;
    const Playback* first = nullptr;
    for (const Playback& p : playbacks)
      if (p.user == shown.user && p.item == shown.item &&
          (first == nullptr || micros(p.day) < micros(first->day)))
        first = &p;
    const bool clicked = first != nullptr && first->collection == "tv_for_you" &&
                         first->impression == shown.id && micros(first->day) < known;
    const int64_t t0 = clicked ? micros(first->day) : at;
    double minutes = 0;
    for (const Playback& p : playbacks) {
      const int64_t begin = micros(p.day);
      if (!clicked || p.user != shown.user || p.item != shown.item || begin >= t0 + window ||
          begin >= known)
        continue;
      const int64_t end = training ? std::min(t0 + window, known) : t0 + window;
      minutes += std::min(p.minutes, static_cast<double>(end - begin) / 60e6);
    }
    Label label{clicked, minutes};
    if (!partial && t0 + window > known) label.minutes.reset();
    labels[shown.id] = label;
  }
  return labels;
}

TEST_F(Attribution, MatchesBruteForceOnARandomLog) {
  const Rng rng(5, "attribution");
  uint64_t draws = 0;
  const auto below = [&](uint64_t n) { return static_cast<int>(rng.below(n, draws++)); };
  const char* rows[] = {"tv_for_you", "tv_for_you", "continue", "rewatch"};
  const char* starts[] = {"search", "continue", "rewatch"};
  for (int step = 0; step < 700; ++step) {
    const std::string user = "u" + std::to_string(below(9)), item = "i" + std::to_string(below(9));
    const double day = below(20 * 24 * 4) * kHour / 4 + step * 1e-7;  // no two moments alike
    const double minutes = 1 + below(200);
    if (below(3) > 0) {
      const int id = shown(user, item, day, rows[below(4)], below(5) > 0 ? "tv" : "movie");
      if (below(3) == 0)
        played(user, item, day + kMinute, minutes, impressions_.back().collection, id);
    } else {
      played(user, item, day + kMinute, minutes, starts[below(3)]);
    }
  }
  for (const bool strict : {true, false})
    for (const bool partial : {true, false}) {
      const auto got =
          attribute(fmt::format("cut = \"{}\"\ncensor = \"{}\"", strict ? "strict" : "paper",
                                partial ? "partial" : "drop"));
      EXPECT_GT(made_.discoveries, 10);
      const auto expected = brute_force(playbacks_, impressions_, strict, partial, made_.log_end,
                                        made_.moments.value_or(SplitMoments{}));
      ASSERT_EQ(got.size(), expected.size());
      int known = 0;
      for (const auto& [id, label] : expected) {
        ASSERT_EQ(got.at(id).clicked, label.clicked) << id;
        ASSERT_EQ(got.at(id).minutes.has_value(), label.minutes.has_value()) << id;
        if (!label.minutes) continue;
        EXPECT_NEAR(*got.at(id).minutes, *label.minutes, 1e-4) << id;
        known += label.clicked ? 1 : 0;
      }
      EXPECT_GT(known, 3);
    }
}

TEST_F(Attribution, BadPlaybacksAreRejectsThatCount) {
  discovered("u", "a", 1, 20);
  end_log(30);
  extra_playbacks_ =
      "7,,a,1000000000,3,continue,\n8,u,a,yesterday,3,continue,\n9,u,a,1000000000,-3,"
      "continue,\n10,u,a,1000000000,,continue,\n";
  EXPECT_THROW(attribute("cut = \"paper\"", 0.5), DataError);
  EXPECT_EQ(attribute("cut = \"paper\"", 0.8).at(1), (Label{true, 20.0}));
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
