#include "retort/sim/long_video_simulate.h"

#include <algorithm>
#include <bit>
#include <iterator>

#include <fmt/format.h>

#include "retort/common/error.h"
#include "retort/common/progress.h"
#include "retort/common/thread_pool.h"
#include "retort/sim/long_video_calibrate.h"
#include "retort/sim/long_video_day.h"
#include "retort/sim/long_video_truth.h"
#include "retort/sim/parquet_csv.h"
#include "retort/sim/world_folder.h"

namespace retort {
namespace {

/// Users are simulated in this many blocks a day whatever the threads, so that the log, and what
/// the ranker learns from it, come in one order.
constexpr int64_t kBlocks = 64;
constexpr int64_t kMeasuredPairs = 60'000;

constexpr const char* kAges[] = {"18-24", "25-34", "35-44", "45-54", "55-64", "65+"};
constexpr const char* kGenders[] = {"female", "male"};

constexpr const char* kImpressionColumns =
    "'imp_id': 'BIGINT', 'request_id': 'BIGINT', 'user_id': 'VARCHAR', 'item_id': 'VARCHAR', "
    "'collection': 'VARCHAR', 'type': 'VARCHAR', 'position': 'INTEGER', 'time': 'BIGINT', "
    "'clicked': 'BOOLEAN', 'kept': 'DOUBLE', 'score_click': 'FLOAT', 'score_dwm': 'FLOAT', "
    "'snapshot': 'INTEGER'";
constexpr const char* kPlaybackColumns =
    "'pb_id': 'BIGINT', 'user_id': 'VARCHAR', 'item_id': 'VARCHAR', 'type': 'VARCHAR', 'time': "
    "'BIGINT', 'minutes': 'FLOAT', 'collection': 'VARCHAR', 'imp_id': 'BIGINT'";
constexpr const char* kReactionColumns =
    "'user_id': 'VARCHAR', 'item_id': 'VARCHAR', 'type': 'VARCHAR', 'time': 'BIGINT', 'kind': "
    "'VARCHAR'";
constexpr const char* kWithTime = "* REPLACE (make_timestamp(\"time\") AS \"time\")";

std::string list_of(uint32_t genres) {
  std::string list;
  for (; genres != 0; genres &= genres - 1) {
    fmt::format_to(std::back_inserter(list), "{}g{:02}", list.empty() ? "" : "|",
                   std::countr_zero(genres));
  }
  return list;
}

void write_users(DuckDb& db, const LongVideoWorld& world, const fs::path& folder) {
  Csv csv(folder / "users.csv");
  std::string rows;
  for (size_t u = 0; u < world.age.size(); ++u) {
    const int32_t* tags = world.tag_prefs.data() + 3 * u;
    fmt::format_to(std::back_inserter(rows), "{},{},{},{},tag{:02}|tag{:02}|tag{:02}\n",
                   world.user_key(static_cast<int64_t>(u)), kAges[world.age[u]],
                   kGenders[world.gender[u]], list_of(world.genre_prefs[u]), tags[0], tags[1],
                   tags[2]);
  }
  csv.write(rows);
  to_parquet(db, csv.close(), folder / "users.parquet",
             "'user_id': 'VARCHAR', 'age': 'VARCHAR', 'gender': 'VARCHAR', 'genre_prefs': "
             "'VARCHAR', 'tag_prefs': 'VARCHAR'",
             "* REPLACE (string_split(genre_prefs, '|') AS genre_prefs, "
             "string_split(tag_prefs, '|') AS tag_prefs)");
}

void write_items(DuckDb& db, const LongVideoWorld& world, const fs::path& folder) {
  Csv csv(folder / "items.csv");
  std::string rows;
  for (int32_t i = 0; i < world.items(); ++i) {
    fmt::format_to(std::back_inserter(rows), "{},{},{},{}\n", world.item_key(i),
                   world.type_of(i) == ShowType::kTv ? "tv" : "movie",
                   list_of(world.genres_seen[static_cast<size_t>(i)]),
                   world.released[static_cast<size_t>(i)]);
  }
  csv.write(rows);
  to_parquet(db, csv.close(), folder / "items.parquet",
             "'item_id': 'VARCHAR', 'type': 'VARCHAR', 'genres': 'VARCHAR', 'released': 'BIGINT'",
             "* REPLACE (string_split(genres, '|') AS genres, make_timestamp(released) AS "
             "released)");
}

void write_collections(DuckDb& db, const fs::path& folder) {
  Csv csv(folder / "collections.csv");
  csv.write(
      "continue,familiar,Continue Watching\n"
      "rewatch,familiar,Watch It Again\n"
      "tv_for_you,unfamiliar,TV For You\n"
      "movies_for_you,unfamiliar,Movies For You\n");
  to_parquet(db, csv.close(), folder / "collections.parquet",
             "'id': 'VARCHAR', 'kind': 'VARCHAR', 'title': 'VARCHAR'", "*");
}

/// Share of the unclicked impressions of a type to keep, so that clicks are the wanted share of
/// what is kept. Source: methods B1.
double keep_rate(const LongVideoTally::Type& tally, double click_share) {
  const auto clicks = static_cast<double>(tally.clicks);
  const auto others = static_cast<double>(tally.impressions - tally.clicks);
  return others > 0 ? clicks * (1 - click_share) / (click_share * others) : 0;
}

/// The days one after another; each is one Parquet part of each log, and the parts become one
/// file.
class Log {
 public:
  Log(const LongVideoWorld& world, DuckDb& db, const fs::path& folder)
      : world_(world),
        db_(db),
        folder_(folder),
        parts_(folder / "parts"),
        ranker_(make_live_ranker(world)),
        audience_(static_cast<size_t>(world.users())) {}

  void write() {
    for (const char* name : {"impressions", "playbacks", "reactions"}) {
      fs::create_directories(parts_ / name);
    }
    Progress progress("simulate", world_.users() * world_.all_days(), "user-days");
    for (int32_t day = 0; day < world_.all_days(); ++day) write_day(day, progress);
    const LongVideoConstants& c = world_.options.constants;
    join("impressions",
         fmt::format("* REPLACE (clicked OR kept < (CASE \"type\" WHEN 'tv' THEN {:.17g} ELSE "
                     "{:.17g} END) AS kept)",
                     keep_rate(tally.type[0], c.click_share_tv),
                     keep_rate(tally.type[1], c.click_share_movies)));
    join("playbacks", "*");
    join("reactions", "*");
    fs::remove_all(parts_);
  }

  LongVideoTally tally;

 private:
  void write_day(int32_t day, Progress& progress) {
    const LongVideoDay today(world_, ranker_, day);
    const bool shown = day < world_.log_days();
    Csv impressions(parts_ / "impressions.csv"), playbacks(parts_ / "playbacks.csv"),
        reactions(parts_ / "reactions.csv");
    std::vector<LongVideoBlock> blocks(kBlocks);
    // A few blocks at a time, so that their rows wait in memory only until they are written.
    const int64_t group = std::max<int64_t>(8, 2 * int64_t{threads()});
    for (int64_t first = 0; first < kBlocks; first += group) {
      check_interrupt("simulate");
      const int64_t last = std::min(first + group, kBlocks);
      parallel_for(first, last, 1, [&](int64_t begin, int64_t end) {
        for (int64_t b = begin; b < end; ++b) {
          today.simulate(first_user(b), first_user(b + 1), audience_,
                         blocks[static_cast<size_t>(b)]);
        }
      });
      for (int64_t b = first; b < last; ++b) {
        LongVideoBlock& block = blocks[static_cast<size_t>(b)];
        write_and_free(impressions, block.impressions);
        write_and_free(playbacks, block.playbacks);
        write_and_free(reactions, block.reactions);
        tally.add(block.tally);
      }
      progress.update(day * world_.users() + first_user(last));
    }
    if (shown) learn_day(blocks, ranker_);
    part(impressions, "impressions", kImpressionColumns, day);
    part(playbacks, "playbacks", kPlaybackColumns, day);
    part(reactions, "reactions", kReactionColumns, day);
  }

  static void write_and_free(Csv& csv, std::string& rows) {
    csv.write(rows);
    std::string().swap(rows);
  }

  void part(Csv& csv, const char* name, const char* columns, int32_t day) {
    to_parquet(db_, csv.close(), parts_ / name / fmt::format("{:03}.parquet", day), columns,
               kWithTime);
  }

  void join(const std::string& name, const std::string& select) {
    db_.run(fmt::format("COPY (SELECT {} FROM read_parquet({})) TO {} (FORMAT parquet, COMPRESSION "
                        "zstd)",
                        select, sql_string((parts_ / name / "*.parquet").string()),
                        sql_string((folder_ / (name + ".parquet")).string())),
            name + ".parquet");
  }

  int64_t first_user(int64_t block) const { return block * world_.users() / kBlocks; }

  const LongVideoWorld& world_;
  DuckDb& db_;
  fs::path folder_, parts_;
  LiveRanker ranker_;
  Audience audience_;
};

Json measured_of(const LongVideoTally::Type& tally) {
  const auto impressions = static_cast<double>(std::max<int64_t>(tally.impressions, 1));
  return Json{{"impressions", tally.impressions},
              {"clicks", tally.clicks},
              {"playbacks", tally.playbacks},
              {"minutes", tally.minutes},
              {"click_rate", static_cast<double>(tally.clicks) / impressions},
              {"expected_click_rate", tally.expected_clicks / impressions},
              {"familiar_share_of_minutes",
               tally.minutes > 0 ? tally.familiar_minutes / tally.minutes : 0.0}};
}

Json summary_of(const LongVideoWorld& world, const LongVideoTally& tally) {
  return Json{
      {"format", "retort-world"},
      {"version", 1},
      {"options", to_json(world.options)},
      {"constants_sha256", constants_hash(world.options)},
      {"calibration",
       {{"click_bias", world.click_bias},
        {"satisfaction_scale", world.satisfaction_scale},
        {"satisfaction_centre", world.satisfaction_centre}}},
      {"counts",
       {{"users", world.users()},
        {"items", world.items()},
        {"days", world.log_days()},
        {"opens", tally.opens},
        {"reactions", tally.reactions}}},
      {"measured", {{"tv", measured_of(tally.type[0])}, {"movies", measured_of(tally.type[1])}}},
      {"law",
       {{"tv", measure_watching(world, ShowType::kTv, kMeasuredPairs)},
        {"movies", measure_watching(world, ShowType::kMovie, kMeasuredPairs)}}}};
}

}  // namespace

SimulateResult simulate_long_video(const Json& recipe, const SimulateOptions& options) {
  LongVideoOptions wanted = long_video_options(recipe);
  if (options.seed) {
    wanted.seed = *options.seed;
    wanted.log_seed = *options.seed + 1;
  }
  const LongVideoWorld world = build_long_video_world(wanted);
  return write_world(options.out, [&](DuckDb& db, const fs::path& folder) {
    write_users(db, world, folder);
    write_items(db, world, folder);
    write_collections(db, folder);
    Log log(world, db, folder);
    log.write();
    write_truth(folder / "truth", world);
    return summary_of(world, log.tally);
  });
}

}  // namespace retort
