#include "retort/server/exposure_file.h"

#include <algorithm>
#include <cmath>

#include "retort/common/error.h"
#include "retort/log/duckdb.h"

namespace retort {
namespace {

constexpr const char* kExposureColumns =
    "request_id VARCHAR, user_id VARCHAR, \"time\" TIMESTAMP, model VARCHAR, version BIGINT, "
    "arm VARCHAR, items VARCHAR[], channels VARCHAR[], scores FLOAT[], propensities FLOAT[]";
constexpr const char* kEventColumns =
    "user_id VARCHAR, item_id VARCHAR, \"time\" TIMESTAMP, clicked BOOLEAN, seconds FLOAT, "
    "stream VARCHAR";

void text_or_null(TableAppender& table, const std::string& text) {
  text.empty() ? table.null() : table.text(text);
}

void append(TableAppender& table, const Exposure& exposure) {
  std::vector<std::string_view> items, channels;
  std::vector<float> scores, propensities;
  for (const Candidate& item : exposure.items) {
    items.push_back(item.id);
    channels.push_back(kChannelNames[static_cast<size_t>(item.channel)]);
    scores.push_back(item.score);
    propensities.push_back(item.propensity);
  }
  table.text(exposure.request);
  text_or_null(table, exposure.user);
  table.moment(exposure.time);
  table.text(exposure.model);
  table.integer(exposure.version);
  text_or_null(table, exposure.arm);
  table.texts(items);
  const bool personal =
      std::all_of(exposure.items.begin(), exposure.items.end(),
                  [](const Candidate& item) { return item.channel == Channel::kPersonal; });
  personal ? table.null() : table.texts(channels);
  table.numbers(scores);
  table.numbers(propensities);
  table.end_row();
}

void append(TableAppender& table, const LoggedEvent& logged) {
  const UserEvent& event = logged.event;
  table.text(logged.user);
  table.text(event.item);
  table.moment(event.time);
  table.integer(event.clicked ? 1 : 0);
  std::isnan(event.seconds) ? table.null() : table.number(event.seconds);
  text_or_null(table, event.stream);
  table.end_row();
}

/// A database for this file alone: what it holds is given back once the file is there.
template <class Row>
void write(const fs::path& path, const char* columns, const std::deque<Row>& rows) {
  const fs::path folder = path.parent_path();
  const fs::path unfinished = folder / fmt::format(".{}.tmp", path.filename().string());
  try {
    DuckDb db({.memory_limit = "1GB",
               .temporary_folder = folder / ".spilled",
               .threads = 1,
               .interruptible = false});
    db.run(fmt::format("CREATE TABLE rows ({})", columns));
    TableAppender table(db, "rows");
    for (const Row& row : rows) append(table, row);
    table.close();
    db.run(fmt::format("COPY rows TO {} (FORMAT parquet, COMPRESSION zstd)",
                       sql_string(unfinished.string())),
           path.string());
    sync_path(unfinished);
    fs::rename(unfinished, path);
    sync_path(folder);
  } catch (...) {
    std::error_code ignored;
    fs::remove(unfinished, ignored);
    throw;
  }
}

}  // namespace

void write_parquet(const fs::path& path, const std::deque<Exposure>& exposures) {
  write(path, kExposureColumns, exposures);
}

void write_parquet(const fs::path& path, const std::deque<LoggedEvent>& events) {
  write(path, kEventColumns, events);
}

}  // namespace retort
