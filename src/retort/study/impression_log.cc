#include "retort/study/impression_log.h"

#include <algorithm>
#include <limits>
#include <optional>

#include <fmt/format.h>

#include "retort/common/error.h"
#include "retort/common/recipe.h"

namespace retort {
namespace {

constexpr uint32_t kCategoryBits = 32;

/// The join of answers and events that `retort ingest served` makes.
std::string served_sql(const fs::path& folder) {
  const Json recipe = load_recipe(find_recipe("served", "data"), "", {});
  std::string sql = recipe.at("events").at(0).at("sql").get<std::string>();
  std::string path = folder.string();
  for (size_t at = 0; (at = path.find('\'', at)) != std::string::npos; at += 2)
    path.insert(at, 1, '\'');
  for (size_t at = 0; (at = sql.find("{from}", at)) != std::string::npos; at += path.size())
    sql.replace(at, 6, path);
  return sql;
}

}  // namespace

int32_t KeyNumbers::add(std::string_view key) {
  const auto [at, added] = numbers_.try_emplace(std::string(key), static_cast<int32_t>(size()));
  if (added) keys_.emplace_back(key);
  return at->second;
}

std::optional<int32_t> KeyNumbers::find(std::string_view key) const {
  const auto at = numbers_.find(std::string(key));
  return at == numbers_.end() ? std::nullopt : std::optional(at->second);
}

ImpressionLog::ImpressionLog(const fs::path& log)
    : db_({.database = {}, .memory_limit = "1GB", .temporary_folder = {}}) {
  fs::path file = log;
  if (fs::is_directory(log / "exposures")) {
    name_ = (log / "exposures").string();
    db_.run("CREATE TABLE impressions AS " + served_sql(log), name_);
  } else {
    if (fs::is_directory(log)) file = log / "impressions.parquet";
    name_ = file.string();
    if (!fs::exists(file))
      fail<DataError>(
          "{}: there is no such file; give a world of `retort simulate feed`, the folder of "
          "`retort serve --exposures`, or a Parquet file of impressions",
          name_);
    db_.run(fmt::format("CREATE VIEW impressions AS SELECT * FROM read_parquet({})",
                        sql_string(file.string())),
            name_);
    items_ = file.parent_path() / "items.parquet";
  }
  columns_ = db_.describe("SELECT * FROM impressions");
  for (const char* column : {"user_id", "item_id", "time", "position", "clicked", "seconds"})
    if (!has_column(column))
      fail<DataError>(
          "{}: has no column '{}'; a log of impressions has user_id, item_id, time, position, "
          "clicked and seconds, and propensity where policies are to be judged by it",
          name_, column);
}

bool ImpressionLog::has_column(const std::string& column) const {
  return std::any_of(columns_.begin(), columns_.end(),
                     [&](const auto& own) { return own.first == column; });
}

std::string ImpressionLog::during(int64_t from, int64_t until) const {
  return fmt::format("\"time\" >= make_timestamp({}) AND \"time\" < make_timestamp({})", from,
                     until);
}

void ImpressionLog::require_propensities(int64_t from, int64_t until) {
  constexpr const char* kRemedy =
      "without the probability with which each item was put into its slot nothing can be said of "
      "what another policy would have brought; log it (`retort serve --exposures` does), or set "
      "counterfactual.enabled = false";
  if (!has_column("propensity"))
    fail<DataError>("{}: has no column 'propensity': {}", name_, kRemedy);
  const auto wrong = db_.query_integer(
      fmt::format("SELECT count(*) FROM impressions WHERE {} AND (propensity IS NULL OR NOT "
                  "(propensity > 0 AND propensity <= 1))",
                  during(from, until)));
  if (wrong.value_or(0) > 0)
    fail<DataError>("{}: column 'propensity' is empty or not in (0, 1] in {} rows: {}", name_,
                    *wrong, kRemedy);
}

std::pair<int64_t, int64_t> ImpressionLog::span() {
  const auto first = db_.query_integer("SELECT epoch_us(min(\"time\")) FROM impressions");
  const auto last = db_.query_integer("SELECT epoch_us(max(\"time\")) FROM impressions");
  if (!first || !last) fail<DataError>("{}: has no rows", name_);
  return {*first, *last + 1};
}

void ImpressionLog::each(int64_t from, int64_t until, bool propensities,
                         const std::function<void(const Impression&)>& visit) {
  db_.query(
      fmt::format("SELECT user_id, item_id, position, clicked, CASE WHEN clicked THEN "
                  "coalesce(seconds, 0) ELSE 0 END::DOUBLE, {} FROM impressions WHERE {} ORDER BY "
                  "\"time\", user_id, position",
                  propensities ? "propensity::DOUBLE" : "NULL::DOUBLE", during(from, until)),
      [&](const ResultChunk& rows) {
        for (int64_t row = 0; row < rows.rows(); ++row) {
          const int64_t position = rows.integer(2, row);
          if (position < 1)
            fail<DataError>("{}: position {} of item '{}'; the first is 1", name_, position,
                            rows.text(1, row));
          visit({.user = rows.text(0, row),
                 .item = rows.text(1, row),
                 .position = static_cast<int32_t>(position),
                 .propensity =
                     propensities ? rows.number(5, row) : std::numeric_limits<double>::quiet_NaN(),
                 .seconds = rows.number(4, row),
                 .clicked = rows.boolean(3, row)});
        }
      },
      name_);
}

void ImpressionLog::add_keys(KeyNumbers& users, KeyNumbers& items) {
  const auto add = [&](const char* column, KeyNumbers& keys) {
    db_.query(
        fmt::format("SELECT DISTINCT {0} FROM impressions ORDER BY {0}", column),
        [&](const ResultChunk& rows) {
          for (int64_t row = 0; row < rows.rows(); ++row) keys.add(rows.text(0, row));
        },
        name_);
  };
  add("user_id", users);
  add("item_id", items);
}

std::vector<uint32_t> ImpressionLog::category_bits(const KeyNumbers& items) {
  std::vector<uint32_t> bits(static_cast<size_t>(items.size()));
  if (items_.empty() || !fs::exists(items_)) return bits;
  KeyNumbers categories;
  db_.query(
      fmt::format("SELECT item_id, category FROM read_parquet({}) WHERE category IS NOT NULL "
                  "ORDER BY category, item_id",
                  sql_string(items_.string())),
      [&](const ResultChunk& rows) {
        for (int64_t row = 0; row < rows.rows(); ++row) {
          const auto category = static_cast<uint32_t>(categories.add(rows.text(1, row)));
          if (const auto item = items.find(rows.text(0, row)))
            bits[static_cast<size_t>(*item)] = uint32_t{1} << (category % kCategoryBits);
        }
      },
      items_.string());
  return bits;
}

}  // namespace retort
