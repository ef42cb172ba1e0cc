#include "retort/dataset/builder_streams.h"

#include <limits>
#include <optional>
#include <vector>

#include "retort/common/progress.h"

namespace retort {

void write_stream(DuckDb& db, const StreamSource& stream, int64_t users, const fs::path& folder) {
  const std::string stem = "stream." + stream.name, table = sql_name(stream.table());
  const bool has_seconds = !stream.events.seconds.empty();
  ColumnWriter<int32_t> item(folder, stem + ".item");
  ColumnWriter<int64_t> time(folder, stem + ".time");
  std::optional<ColumnWriter<float>> seconds;
  if (has_seconds) seconds.emplace(folder, stem + ".seconds");
  std::vector<int64_t> begin(static_cast<size_t>(users) + 1, 0);
  Progress progress("write stream " + stream.name, 0, "events");
  const auto write = [&](const ResultChunk& chunk) {
    const auto of_user = chunk.values<int32_t>(0), items = chunk.values<int32_t>(1);
    const auto times = chunk.values<int64_t>(2);
    for (size_t row = 0; row < items.size(); ++row) {
      ++begin[static_cast<size_t>(of_user[row]) + 1];
      item.push(items[row]);
      time.push(times[row]);
      if (!has_seconds) continue;
      const auto at = static_cast<int64_t>(row);
      seconds->push(chunk.is_null(3, at) ? std::numeric_limits<float>::quiet_NaN()
                                         : static_cast<float>(chunk.number(3, at)));
    }
    progress.update(item.size());
  };
  db.query(fmt::format("SELECT u.id, i.id, e.time, e.seconds FROM {} e JOIN users u ON u.logged = "
                       "e.\"user\" JOIN items i ON i.logged = e.item WHERE NOT e.rejected ORDER BY "
                       "u.id, e.time, e.rowid",
                       table),
           write);
  item.close();
  time.close();
  if (seconds) seconds->close();
  for (size_t user = 0; user + 1 < begin.size(); ++user) begin[user + 1] += begin[user];
  write_column<int64_t>(folder, stem + ".begin", begin);
  db.run("DROP TABLE " + table);
}

}  // namespace retort
