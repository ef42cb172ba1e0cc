// DWM attribution against brute force on random logs, and its printed SQL against itself.
#include <algorithm>

#include "tests/log/attribution_support.h"

#include "retort/common/rng.h"

namespace retort {
namespace {

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
      const PlaybackLine& p = playbacks_[i];
      db.run(fmt::format("INSERT INTO playbacks VALUES ({}, '{}', '{}', {}, {}, '{}', {})", i,
                         p.user, p.item, moment(micros(p.day)), p.minutes, p.collection,
                         p.impression));
    }
    for (const ImpressionLine& i : impressions_)
      db.run(fmt::format("INSERT INTO impressions VALUES ({}, '{}', '{}', {}, '{}', '{}')", i.id,
                         i.user, i.item, moment(micros(i.day)), i.collection, i.type));
    db.run(sql);
    EXPECT_EQ(labels(db), expected) << sql;
  }
}

/// The rules of the header, one impression at a time.
std::map<int, DwmLabel> brute_force(const std::vector<PlaybackLine>& playbacks,
                                    const std::vector<ImpressionLine>& impressions, bool strict,
                                    bool partial, int64_t log_end, SplitMoments split) {
  const int64_t window = 7 * kDay;
  std::map<int, DwmLabel> labels;
  for (const ImpressionLine& shown : impressions) {
    if (shown.type != "tv" || shown.collection != "tv_for_you") continue;
    const int64_t at = micros(shown.day);
    const bool training = strict && at < split.valid_from;
    const int64_t known = training ? split.test_from : log_end;
    const PlaybackLine* first = nullptr;
    for (const PlaybackLine& p : playbacks)
      if (p.user == shown.user && p.item == shown.item &&
          (first == nullptr || micros(p.day) < micros(first->day)))
        first = &p;
    const bool clicked = first != nullptr && first->collection == "tv_for_you" &&
                         first->impression == shown.id && micros(first->day) < known;
    const int64_t t0 = clicked ? micros(first->day) : at;
    double minutes = 0;
    for (const PlaybackLine& p : playbacks) {
      const int64_t begin = micros(p.day);
      if (!clicked || p.user != shown.user || p.item != shown.item || begin >= t0 + window ||
          begin >= known)
        continue;
      const int64_t end = training ? std::min(t0 + window, known) : t0 + window;
      minutes += std::min(p.minutes, static_cast<double>(end - begin) / 60e6);
    }
    DwmLabel label{clicked, minutes};
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

}  // namespace
}  // namespace retort
