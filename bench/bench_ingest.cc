// Ingest of a made log beside what DuckDB takes for the same join and order by user and time.
//   bench_ingest [ROWS = 5000000,20000000] [ROUNDS = 3] [THREADS = 2] [MEMORY = 2GB] [FOLDER]
// A log and tables of users and items in Parquet; in alternation, each in a process of its own:
//   retort   ingest to a dataset (checks, ids, vocabularies, features, timelines, digests);
//   duckdb   COPY (log JOIN users JOIN items ORDER BY user, time) TO a Parquet file,
// with the same library, threads and memory limit. Medians, the ratio of rows a second, and peaks.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "retort/common/error.h"
#include "retort/common/text.h"
#include "retort/common/thread_pool.h"
#include "retort/dataset/builder.h"
#include "retort/log/duckdb.h"

namespace retort {
namespace {

struct Setting {
  int64_t rows = 0;
  int rounds = 3;
  int threads = 2;
  std::string memory;
  fs::path folder;
};

std::string file(const Setting& setting, const char* name) {
  return sql_string((setting.folder / name).string());
}

/// A log with the shape of a feed: 50 clicks a user, items by a power law, a tenth of the clicks
/// without seconds, in no order.
void make_log(const Setting& setting) {
  DuckDb db;
  const int64_t users = setting.rows / 50 + 1, items = setting.rows / 100 + 1;
  const auto copy = [&](const std::string& sql, const char* name) {
    db.run("COPY (" + sql + ") TO " + file(setting, name) + " (FORMAT parquet, COMPRESSION zstd)");
  };
  copy(fmt::format("SELECT CAST(hash(range) % {} AS BIGINT) AS \"user\", "
                   "CAST(floor(pow(hash(range + 1) % 1000000 / 1e6, 3) * {}) AS BIGINT) AS item, "
                   "1700000000 + CAST(hash(range + 2) % 2592000 AS BIGINT) AS time, "
                   "CASE WHEN hash(range + 3) % 10 > 0 THEN CAST(hash(range + 4) % 3000 AS DOUBLE) "
                   "/ 10 END AS seconds FROM range({})",
                   users, items, setting.rows),
       "log.parquet");
  copy(fmt::format("SELECT range AS user_id, 'region ' || hash(range) % 40 AS region, "
                   "CAST(hash(range + 9) % 70 + 12 AS DOUBLE) AS age FROM range({})",
                   users),
       "users.parquet");
  copy(fmt::format("SELECT range AS item_id, 'category ' || hash(range) % 300 AS category, "
                   "1690000000 + CAST(hash(range + 5) % 12000000 AS BIGINT) AS published "
                   "FROM range({})",
                   items),
       "items.parquet");
}

Json recipe(const Setting& setting) {
  Json json = Json::parse(R"({
    "name": "bench",
    "events": [{"path": "log.parquet", "user": "user", "item": "item", "time": "time",
                "seconds": "seconds"}],
    "users": {"path": "users.parquet", "key": "user_id"},
    "items": {"path": "items.parquet", "key": "item_id", "published": "published"},
    "split": {"kind": "time", "test": "2d", "valid": "1d"},
    "features": [{"name": "user_id", "column": "user"},
                 {"name": "region", "column": "region"},
                 {"name": "age", "kind": "dense", "column": "age", "transform": "standard"},
                 {"name": "history", "kind": "sequence", "of": "item_id", "last": 20},
                 {"name": "item_id", "side": "item", "column": "item", "min_count": 2},
                 {"name": "category", "side": "item", "column": "category"},
                 {"name": "clicks_1d", "side": "item", "kind": "dense", "as_of": "clicks",
                  "window": "1d", "transform": "log"}]})");
  json["ingest"] = {{"memory", setting.memory}};
  return json;
}

void run_retort(const Setting& setting) {
  set_threads(setting.threads);
  ingest(recipe(setting), {.from = setting.folder, .out = setting.folder / "dataset"});
}

void run_duckdb(const Setting& setting) {
  DuckDb db({.database = {},
             .memory_limit = setting.memory,
             .temporary_folder = setting.folder / "spill",
             .threads = setting.threads});
  db.run(
      fmt::format("COPY (SELECT e.\"user\", e.item, e.time, e.seconds, u.region, u.age, "
                  "i.category, i.published FROM read_parquet({}) e JOIN read_parquet({}) u ON "
                  "u.user_id = e.\"user\" JOIN read_parquet({}) i ON i.item_id = e.item "
                  "ORDER BY e.\"user\", e.time) TO {} (FORMAT parquet)",
                  file(setting, "log.parquet"), file(setting, "users.parquet"),
                  file(setting, "items.parquet"), file(setting, "peer.parquet")));
}

struct Measured {
  double seconds = 0;
  int64_t peak = 0;  // bytes
};

/// Runs the body in a child, so that the peak is its own.
Measured in_child(const Setting& setting, const std::function<void(const Setting&)>& body) {
  const auto begin = std::chrono::steady_clock::now();
  const pid_t child = fork();
  if (child == 0) {
    try {
      body(setting);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s\n", error.what());
      _exit(1);
    }
    _exit(0);
  }
  int status = 0;
  rusage usage{};
  wait4(child, &status, 0, &usage);
  if (status != 0) fail<Error>("a part of the bench failed");
  return {std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(),
          usage.ru_maxrss * 1024};
}

void report(const char* name, const Setting& setting, std::vector<Measured>& runs) {
  std::sort(runs.begin(), runs.end(),
            [](const Measured& a, const Measured& b) { return a.seconds < b.seconds; });
  const double middle = runs[runs.size() / 2].seconds;
  int64_t peak = 0;
  for (const Measured& run : runs) peak = std::max(peak, run.peak);
  std::printf(
      "  %-7s %7.2f s (%.2f .. %.2f)  %11s rows/s  peak %s\n", name, middle, runs.front().seconds,
      runs.back().seconds,
      with_thousands(static_cast<int64_t>(static_cast<double>(setting.rows) / middle)).c_str(),
      format_bytes(static_cast<uint64_t>(peak)).c_str());
}

void measure(const Setting& setting) {
  fs::create_directories(setting.folder);
  in_child(setting, make_log);
  std::vector<Measured> ours, theirs;
  for (int round = 0; round < setting.rounds; ++round) {
    ours.push_back(in_child(setting, run_retort));
    theirs.push_back(in_child(setting, run_duckdb));
    for (const char* made : {"dataset", "peer.parquet", "spill"})
      fs::remove_all(setting.folder / made);
  }
  std::printf("%s rows, %d threads, limit %s\n", with_thousands(setting.rows).c_str(),
              setting.threads, setting.memory.c_str());
  report("retort", setting, ours);
  report("duckdb", setting, theirs);
  std::printf("  retort against duckdb: %.2f x\n",
              theirs[theirs.size() / 2].seconds / ours[ours.size() / 2].seconds);
  std::fflush(stdout);
  fs::remove_all(setting.folder);
}

}  // namespace
}  // namespace retort

int main(int argc, char** argv) {
  using namespace retort;
  const auto argument = [&](int at, const std::string& otherwise) {
    return argc > at ? std::string(argv[at]) : otherwise;
  };
  Setting setting;
  setting.rounds = std::stoi(argument(2, "3"));
  setting.threads = std::stoi(argument(3, "2"));
  setting.memory = argument(4, "2GB");
  setting.folder = argument(
      5, (fs::temp_directory_path() / ("retort-bench-" + std::to_string(getpid()))).string());
  const std::string sizes = argument(1, "5000000,20000000");
  try {
    for (size_t at = 0; at < sizes.size();) {
      const size_t comma = std::min(sizes.find(',', at), sizes.size());
      setting.rows = std::stoll(sizes.substr(at, comma - at));
      measure(setting);
      at = comma + 1;
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_ingest: %s\n", error.what());
    return 1;
  }
}
