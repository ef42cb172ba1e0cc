#include "retort/sim/simulate.h"

#include <algorithm>
#include <cmath>
#include <iterator>

#include <fmt/format.h>

#include "retort/common/error.h"
#include "retort/common/progress.h"
#include "retort/common/text.h"
#include "retort/common/thread_pool.h"
#include "retort/log/duckdb.h"
#include "retort/sim/day_log.h"
#include "retort/sim/long_video_options.h"
#include "retort/sim/long_video_simulate.h"
#include "retort/sim/parquet_csv.h"
#include "retort/sim/world_folder.h"

namespace retort {
namespace {

/// Users are simulated in this many blocks a day whatever the threads, so that the sums over
/// users are always added in the same order.
constexpr int64_t kBlocks = 64;

void write_users(DuckDb& db, const World& world, const fs::path& folder) {
  Csv csv(folder / "users.csv");
  std::string rows;
  for (size_t u = 0; u < world.segment.size(); ++u) {
    fmt::format_to(std::back_inserter(rows), "{},c{:02},r{:02}\n",
                   world.user_key(static_cast<int64_t>(u)), world.segment[u], world.region[u]);
  }
  csv.write(rows);
  to_parquet(db, csv.close(), folder / "users.parquet",
             "'user_id': 'VARCHAR', 'segment': 'VARCHAR', 'region': 'VARCHAR'", "*");
}

void write_items(DuckDb& db, const World& world, const fs::path& folder) {
  Csv csv(folder / "items.csv");
  std::string rows;
  for (size_t i = 0; i < world.category.size(); ++i) {
    fmt::format_to(std::back_inserter(rows), "{},c{:02},a{:03},t{},l{},{}\n",
                   world.item_key(static_cast<int64_t>(i)), world.category[i], world.author[i],
                   world.title_style[i], world.length_bucket[i], world.published[i]);
  }
  csv.write(rows);
  to_parquet(db, csv.close(), folder / "items.parquet",
             "'item_id': 'VARCHAR', 'category': 'VARCHAR', 'author': 'VARCHAR', 'title_style': "
             "'VARCHAR', 'length': 'VARCHAR', 'published': 'BIGINT'",
             "* REPLACE (make_timestamp(published) AS published)");
}

void write_day(DuckDb& db, const fs::path& csv, const fs::path& parquet) {
  to_parquet(db, csv, parquet,
             "'request_id': 'VARCHAR', 'user_id': 'VARCHAR', 'item_id': 'VARCHAR', 'time': "
             "'BIGINT', 'position': 'INTEGER', 'clicked': 'BOOLEAN', 'seconds': 'FLOAT', "
             "'propensity': 'FLOAT', 'shared': 'BOOLEAN', 'followed': 'BOOLEAN', 'dismissed': "
             "'BOOLEAN'",
             "* REPLACE (make_timestamp(\"time\") AS \"time\")");
}

/// The days one after another; each is one Parquet part, and the parts become one file.
class Log {
 public:
  Log(const World& world, DuckDb& db, const fs::path& folder)
      : world_(world), db_(db), folder_(folder), parts_(folder / "parts") {
    const auto days = static_cast<size_t>(world.days());
    masses.normaliser.assign(days * static_cast<size_t>(world.users()), 0.0);
    masses.user = masses.normaliser;
    masses.item.assign(days * static_cast<size_t>(world.items()), 0.0);
    masses.total.assign(days, 0.0);
  }

  void write() {
    fs::create_directory(parts_);
    Progress progress("simulate", world_.users() * world_.days(), "user-days");
    for (int32_t day = 0; day < world_.days(); ++day) write_day_part(day, progress);
    db_.run(fmt::format("COPY (SELECT * FROM read_parquet({})) TO {} (FORMAT parquet, COMPRESSION "
                        "zstd)",
                        sql_string((parts_ / "*.parquet").string()),
                        sql_string((folder_ / "impressions.parquet").string())),
            "impressions.parquet");
    fs::remove_all(parts_);
  }

  Masses masses;
  LogTally tally;

 private:
  void write_day_part(int32_t day, Progress& progress) {
    const PolicyDay policy(world_, day);
    Csv csv(parts_ / "day.csv");
    // A few blocks at a time, so that their rows wait in memory only until they are written.
    const int64_t group = std::max<int64_t>(8, 2 * int64_t{threads()});
    for (int64_t first = 0; first < kBlocks; first += group) {
      check_interrupt("simulate");
      std::vector<BlockLog> logs(static_cast<size_t>(std::min(group, kBlocks - first)));
      parallel_for(0, static_cast<int64_t>(logs.size()), 1, [&](int64_t begin, int64_t end) {
        for (int64_t b = begin; b < end; ++b) {
          simulate_block(world_, policy, first_user(first + b), first_user(first + b + 1),
                         logs[static_cast<size_t>(b)], masses);
        }
      });
      for (const BlockLog& log : logs) take(log, day, csv);
      progress.update(day * world_.users() + first_user(first + static_cast<int64_t>(logs.size())));
    }
    write_day(db_, csv.close(), parts_ / fmt::format("{:03}.parquet", day));
  }

  int64_t first_user(int64_t block) const { return block * world_.users() / kBlocks; }

  void take(const BlockLog& log, int32_t day, Csv& csv) {
    csv.write(log.rows);
    tally.add(log.tally);
    double* item = masses.item.data() + day * world_.items();
    for (size_t i = 0; i < log.item_mass.size(); ++i) {
      item[i] += log.item_mass[i];
      masses.total[static_cast<size_t>(day)] += log.item_mass[i];
    }
  }

  const World& world_;
  DuckDb& db_;
  fs::path folder_, parts_;
};

double share(const std::vector<float>& sorted, double below) {
  const auto at = std::lower_bound(sorted.begin(), sorted.end(), static_cast<float>(below));
  return static_cast<double>(at - sorted.begin()) / static_cast<double>(sorted.size());
}

/// What was asked for, as it came out.
Json measures(const WorldOptions& options, LogTally tally) {
  std::vector<float>& seconds = tally.seconds;
  const auto clicks = static_cast<double>(seconds.size());
  const auto impressions = static_cast<double>(tally.impressions);
  Json json{
      {"click_rate", tally.impressions > 0 ? clicks / impressions : 0.0},
      {"expected_click_rate", tally.impressions > 0 ? tally.expected_clicks / impressions : 0.0}};
  if (seconds.empty()) return json;
  std::sort(seconds.begin(), seconds.end());
  double mean = 0, log_mean = 0, log_square = 0;
  for (const float value : seconds) {
    mean += value / clicks;
    log_mean += std::log(value) / clicks;
  }
  for (const float value : seconds) log_square += std::pow(std::log(value) - log_mean, 2) / clicks;
  json["median_seconds"] = seconds[seconds.size() / 2];
  json["mean_seconds"] = mean;
  json["log_seconds_deviation"] = std::sqrt(log_square);
  json["share_under_15_seconds"] = share(seconds, 15);
  json["share_over_200_seconds"] = 1 - share(seconds, 200);
  json["share_capped"] = 1 - share(seconds, options.constants.cap_seconds);
  json["seconds_per_impression"] = mean * clicks / impressions;
  return json;
}

Json summary_of(const World& world, const LogTally& tally) {
  const auto born = std::count_if(world.birth.begin(), world.birth.end(),
                                  [](int32_t birth) { return birth > 0; });
  return Json{{"format", "retort-world"},
              {"version", 1},
              {"options", to_json(world.options)},
              {"constants_sha256", constants_hash(world.options)},
              {"interactions_sha256", interactions_hash(world.options.interactions)},
              {"calibration",
               {{"click_bias", world.click_bias},
                {"read_bias", world.read_bias},
                {"read_noise", world.read_noise}}},
              {"counts",
               {{"users", world.users()},
                {"items", world.items()},
                {"items_born_in_the_log", born},
                {"days", world.days()},
                {"requests", tally.requests},
                {"impressions", tally.impressions},
                {"clicks", tally.seconds.size()},
                {"shares", tally.shares},
                {"follows", tally.follows},
                {"dismissals", tally.dismissals}}},
              {"measured", measures(world.options, tally)}};
}

}  // namespace

SimulateResult simulate(const Json& recipe, const SimulateOptions& options) {
  if (is_long_video(recipe)) return simulate_long_video(recipe, options);
  WorldOptions wanted = world_options(recipe);
  if (options.seed) {
    wanted.seed = *options.seed;
    wanted.log_seed = *options.seed + 1;
  }
  const World world = build_world(wanted);
  return write_world(options.out, [&](DuckDb& db, const fs::path& folder) {
    write_users(db, world, folder);
    write_items(db, world, folder);
    Log log(world, db, folder);
    log.write();
    write_truth(folder / "truth", world, log.masses);
    return summary_of(world, log.tally);
  });
}

}  // namespace retort
