#include "retort/study/abtest_log.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "retort/common/error.h"
#include "retort/common/progress.h"
#include "retort/log/days.h"
#include "retort/log/duckdb.h"
#include "retort/sim/law.h"

namespace retort {
namespace {

constexpr int32_t kWindowDays = 7;
constexpr double kMinute = 60e6;  // microseconds

struct Items {
  std::vector<uint32_t> genres;
  std::vector<int64_t> released;
};

class LogReader {
 public:
  LogReader(const fs::path& folder, const LongVideoOracle& oracle)
      : folder_(folder),
        oracle_(oracle),
        db_({.database = {}, .memory_limit = "1GB", .temporary_folder = {}}) {}

  Items items() {
    const auto count = static_cast<size_t>(world().items());
    Items items{std::vector<uint32_t>(count), std::vector<int64_t>(count)};
    each("items", "item_id, genres, released", "", [&](const ResultChunk& rows, int64_t row) {
      const auto item = static_cast<size_t>(item_of(rows.text(0, row), "items"));
      for (const std::string& genre : rows.texts(1, row)) items.genres[item] |= genre_bit(genre);
      items.released[item] = rows.integer(2, row);
    });
    return items;
  }

  /// What was logged on one of the days before.
  void learn(int32_t day, int64_t popular_from, LoggedPast& past) {
    past.ranker.forget();
    each("impressions", "user_id, item_id, position, clicked, time", on_days(day, 1, "imp_id"),
         [&](const ResultChunk& rows, int64_t row) {
           const int32_t user = user_of(rows.text(0, row), "impressions");
           const int32_t item = item_of(rows.text(1, row), "impressions");
           const bool clicked = rows.boolean(3, row);
           past.ranker.learn_impression(
               user, item, examination(static_cast<int32_t>(rows.integer(2, row))), clicked);
           if (clicked && rows.integer(4, row) >= popular_from)
             ++past.clicks[static_cast<size_t>(item)];
         });
    each("playbacks", "user_id, item_id, minutes", on_days(day, 1, "pb_id"),
         [&](const ResultChunk& rows, int64_t row) {
           const int32_t user = user_of(rows.text(0, row), "playbacks");
           const int32_t item = item_of(rows.text(1, row), "playbacks");
           past.ranker.learn_minutes(user, item, rows.number(2, row));
           if (!past.has_played(user, item)) past.played[static_cast<size_t>(user)].push_back(item);
         });
  }

  void read_other_minutes(LoggedPast& past) {
    each("playbacks", "user_id, item_id, minutes, time",
         on_days(past.day, kWindowDays + 1, "pb_id"), [&](const ResultChunk& rows, int64_t row) {
           const int32_t user = user_of(rows.text(0, row), "playbacks");
           const int32_t item = item_of(rows.text(1, row), "playbacks");
           if (!world().opens(user, past.day) || !past.has_played(user, item)) return;
           const int64_t since = rows.integer(3, row) - world().open_time(user, past.day);
           if (since < 0) return;
           const double left = static_cast<double>(kWindowDays * kDay - since) / kMinute;
           past.other_minutes[static_cast<size_t>(user)] +=
               std::clamp(left, 0.0, rows.number(2, row));
         });
  }

  const LongVideoWorld& world() const { return oracle_.world(); }

 private:
  /// Calls visit(chunk, row) for the rows of a file, `rest` from WHERE on.
  template <class Visit>
  void each(const std::string& name, const std::string& columns, const std::string& rest,
            const Visit& visit) {
    const fs::path path = folder_ / (name + ".parquet");
    if (!fs::exists(path))
      fail<DataError>(
          "{}: there is no such file; give the folder that `retort simulate "
          "long_video` wrote",
          path.string());
    db_.query(
        fmt::format("SELECT {} FROM read_parquet({}) {}", columns, sql_string(path.string()), rest),
        [&](const ResultChunk& rows) {
          for (int64_t row = 0; row < rows.rows(); ++row) visit(rows, row);
        },
        path.string());
  }

  /// The rows of `days` days, in the order in which they were logged: sums depend on it.
  std::string on_days(int32_t day, int32_t days, const char* order) const {
    const int64_t from = world().start + day * kDay;
    return fmt::format(
        "WHERE \"time\" >= make_timestamp({}) AND \"time\" < make_timestamp({}) ORDER BY {}", from,
        from + days * kDay, order);
  }

  int32_t user_of(std::string_view key, const char* file) const {
    if (const auto user = oracle_.find_user(key)) return *user;
    unknown("user", key, file);
  }
  int32_t item_of(std::string_view key, const char* file) const {
    if (const auto item = oracle_.find_item(key)) return *item;
    unknown("item", key, file);
  }
  [[noreturn]] void unknown(const char* what, std::string_view key, const char* file) const {
    fail<DataError>("{}: {} '{}' is not of the world whose truth is beside it",
                    (folder_ / file).string() + ".parquet", what, key);
  }

  uint32_t genre_bit(std::string_view genre) const {
    uint32_t number = 0;
    const char* end = genre.data() + genre.size();
    if (genre.size() < 2 || genre[0] != 'g' ||
        std::from_chars(genre.data() + 1, end, number).ptr != end ||
        number >= static_cast<uint32_t>(world().options.genres))
      fail<DataError>("{}: genre '{}' is none of g00 to g{:02}",
                      (folder_ / "items.parquet").string(), genre, world().options.genres - 1);
    return uint32_t{1} << number;
  }

  fs::path folder_;
  const LongVideoOracle& oracle_;
  DuckDb db_;
};

LiveRanker new_ranker(const LongVideoWorld& world, const std::vector<uint32_t>& genres) {
  const LongVideoConstants& c = world.options.constants;
  return {{.memory = c.ranker_memory,
           .show_prior = c.ranker_show_prior,
           .user_prior = c.ranker_user_prior,
           .minutes_prior = c.ranker_minutes_prior},
          genres,
          world.options.genres,
          world.users()};
}

}  // namespace

bool LoggedPast::has_played(int32_t user, int32_t item) const {
  const std::vector<int32_t>& own = played[static_cast<size_t>(user)];
  return std::find(own.begin(), own.end(), item) != own.end();
}

LoggedPast read_logged_past(const fs::path& folder, const LongVideoOracle& oracle, int32_t day,
                            int64_t trailing) {
  const LongVideoWorld& world = oracle.world();
  const int32_t last = std::min(world.log_days(), world.all_days() - kWindowDays - 1);
  if (day < 1 || day > last)
    fail<ConfigError>(
        "day {} of {}: expected 1 to {}, so that the log has days before it and seven days after "
        "it; set 'day', or publish with --at",
        day, folder.string(), last);
  LogReader reader(folder, oracle);
  Items items = reader.items();
  LoggedPast past{.day = day,
                  .midnight = world.start + day * kDay,
                  .ranker = new_ranker(world, items.genres),
                  .played = std::vector<std::vector<int32_t>>(static_cast<size_t>(world.users())),
                  .clicks = std::vector<int32_t>(static_cast<size_t>(world.items())),
                  .released = std::move(items.released),
                  .other_minutes = std::vector<double>(static_cast<size_t>(world.users()))};
  Progress progress("reading the log", day, "days");
  for (int32_t before = 0; before < day; ++before) {
    check_interrupt("abtest");
    reader.learn(before, past.midnight - trailing, past);
    progress.update(before + 1);
  }
  reader.read_other_minutes(past);
  return past;
}

}  // namespace retort
