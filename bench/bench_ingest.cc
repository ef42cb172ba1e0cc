// Ingest of a made log: rows a second and peak memory as rows grow.
//   bench_ingest [ROWS = 2000000] [FOLDER = a temporary one]
// Every size runs in a process of its own, so that the peak is that of the ingest alone.
#include <cstdio>
#include <string>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "retort/common/text.h"
#include "retort/dataset/builder.h"
#include "retort/log/duckdb.h"

namespace retort {
namespace {

/// A log with the shape of a feed: skewed items, a tenth of a click in ten without seconds.
void make_log(const fs::path& file, int64_t rows) {
  DuckDb().run("COPY (SELECT CAST(hash(range) % " + std::to_string(rows / 50 + 1) +
               " AS BIGINT) AS \"user\", CAST(floor(pow(hash(range + 1) % 1000000 / 1e6, 3) * " +
               std::to_string(rows / 100 + 1) +
               ") AS BIGINT) AS item, 1700000000 + hash(range + 2) % 2592000 AS time, CASE WHEN "
               "hash(range + 3) % 10 > 0 THEN CAST(hash(range + 4) % 3000 AS DOUBLE) / 10 END AS "
               "seconds FROM range(" +
               std::to_string(rows) + ")) TO " + sql_string(file.string()) +
               " (FORMAT parquet, COMPRESSION zstd)");
}

Json recipe() {
  return Json::parse(R"({
    "name": "bench",
    "events": [{"path": "log.parquet", "user": "user", "item": "item", "time": "time",
                "seconds": "seconds"}],
    "split": {"kind": "time", "test": "2d", "valid": "1d"},
    "ingest": {"memory": "1GB"},
    "features": [{"name": "user_id", "column": "user"},
                 {"name": "history", "kind": "sequence", "of": "item_id", "last": 20},
                 {"name": "item_id", "side": "item", "column": "item", "min_count": 2},
                 {"name": "clicks_1d", "side": "item", "kind": "dense", "as_of": "clicks",
                  "window": "1d", "transform": "log"}]})");
}

int run(int64_t rows, const fs::path& folder) {
  const IngestResult result = ingest(recipe(), {.from = folder, .out = folder / "dataset"});
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  std::printf(
      "%12s rows  %8.1f s  %12s rows/s  peak %s (limit of DuckDB 1GB)\n",
      with_thousands(rows).c_str(), result.seconds,
      with_thousands(static_cast<int64_t>(static_cast<double>(rows) / result.seconds)).c_str(),
      format_bytes(static_cast<uint64_t>(usage.ru_maxrss) * 1024).c_str());
  std::fflush(stdout);
  return 0;
}

int in_child(int (*body)(int64_t, const fs::path&), int64_t rows, const fs::path& folder) {
  const pid_t child = fork();
  if (child == 0) _exit(body(rows, folder));
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

}  // namespace
}  // namespace retort

int main(int argc, char** argv) {
  using namespace retort;
  const int64_t rows = argc > 1 ? std::stoll(argv[1]) : 2'000'000;
  const fs::path folder =
      argc > 2 ? fs::path(argv[2])
               : fs::temp_directory_path() / ("retort-bench-" + std::to_string(getpid()));
  int status = 0;
  for (const int64_t size : {rows / 10, rows}) {
    fs::create_directories(folder);
    status |=
        in_child([](int64_t n, const fs::path& to) { return make_log(to / "log.parquet", n), 0; },
                 size, folder);
    status |= in_child(run, size, folder);
    fs::remove_all(folder);
  }
  return status == 0 ? 0 : 1;
}
