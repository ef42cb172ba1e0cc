#include "retort/dataset/score_store.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>
#include <set>
#include <unordered_map>

#include "retort/common/error.h"
#include "retort/common/progress.h"
#include "retort/common/text.h"
#include "retort/log/days.h"
#include "retort/log/duckdb.h"

namespace retort {
namespace {

constexpr int64_t kNoTime = std::numeric_limits<int64_t>::min();
constexpr size_t kNamed = 3;  // unknown users and items that a message names
constexpr std::string_view kPrefix = "z_";

int64_t day_of(int64_t time) { return time / kDay - (time % kDay < 0 ? 1 : 0); }

/// log of sigmoid(x).
double log_sigmoid(double x) { return std::min(x, 0.0) - std::log1p(std::exp(-std::abs(x))); }

/// The logit of exp(log_p), by the form that is exact on either side of p = 1 / 2.
double logit_of_log(double log_p) {
  return log_p -
         (log_p > -std::numbers::ln2 ? std::log(-std::expm1(log_p)) : std::log1p(-std::exp(log_p)));
}

std::string from_file(const std::string& file) { return "read_parquet(" + sql_string(file) + ")"; }

bool has(const std::vector<std::pair<std::string, std::string>>& columns, const std::string& name) {
  return std::any_of(columns.begin(), columns.end(),
                     [&](const auto& column) { return column.first == name; });
}

std::string some_of(const std::vector<std::string>& names, int64_t rows) {
  if (names.empty()) return "";
  return fmt::format(" ({}{})", fmt::join(names, ", "),
                     rows > static_cast<int64_t>(names.size()) ? ", .." : "");
}

}  // namespace

std::string score_column(const std::string& logit) { return std::string(kPrefix) + logit; }

struct ScoreStore::Row {
  int32_t user, item, snapshot;
  int64_t time;
};

ScoreStore::ScoreStore(const Dataset& dataset, const ScoreFile& file) : file_(file) {
  if (file_.file.empty())
    fail<ConfigError>(
        "recipe key 'scores.file': a Parquet file of scores is needed; make one with `retort score "
        "RUN --pairs logged --out scores.parquet`, then --set scores.file=scores.parquet");
  if (file_.file.find_first_of("*?[") == std::string::npos && !fs::exists(file_.file))
    fail<IoError>("{}: no such file; it is the recipe's 'scores.file'", file_.file);
  read(dataset);
  if (counts_.kept == 0)
    fail<DataError>(
        "{}: none of its {} rows has a score of a user and an item of the dataset {}: {}; are "
        "'scores.user' and 'scores.item' the columns of the keys that the log has?",
        file_.file, with_thousands(counts_.rows), dataset.folder().string(), describe());
}

void ScoreStore::check_columns(const std::vector<std::pair<std::string, std::string>>& columns) {
  std::vector<std::string> known;
  for (const auto& [name, type] : columns) known.push_back(name);
  const auto check = [&](const std::string& key, const std::string& column) {
    if (has(columns, column)) return;
    const std::string near = nearest_name(column, known);
    fail<ConfigError>("recipe key 'scores.{}': {} has no column '{}'{}; it has {}", key, file_.file,
                      column, near.empty() ? "" : ", did you mean '" + near + "'?",
                      fmt::join(known, ", "));
  };
  check("user", file_.user);
  check("item", file_.item);
  if (!file_.time.empty()) check("time", file_.time);
  if (file_.time.empty() && has(columns, "time")) file_.time = "time";
  if (!file_.snapshot.empty()) check("snapshot", file_.snapshot);
  if (file_.snapshot.empty() && has(columns, "snapshot")) file_.snapshot = "snapshot";
  if (file_.logits.empty())
    for (const std::string& name : known)
      if (name.starts_with(kPrefix) && name.size() > kPrefix.size())
        file_.logits[name.substr(kPrefix.size())] = name;
  if (file_.logits.empty()) file_.logits["score"] = "score";
  for (const auto& [name, column] : file_.logits) check("logits." + name, column);
  std::string type;
  for (const auto& [name, of] : columns)
    if (name == file_.time) type = of;
  if (!type.empty() && !type.starts_with("TIMESTAMP") && type != "DATE")
    fail<ConfigError>(
        "recipe key 'scores.time': the column '{}' of {} is {}; TIMESTAMP or DATE is "
        "expected",
        file_.time, file_.file, type);
  if (file_.match.empty()) file_.match = type.empty() ? "pair" : type == "DATE" ? "day" : "row";
  if (file_.match != "pair" && type.empty())
    fail<ConfigError>(
        "recipe key 'scores.match': '{}' needs moments, and {} has no column 'time'; "
        "name it by scores.time, or write match = \"pair\"",
        file_.match, file_.file);
  if (file_.lag > 0 && (file_.match == "row" || type.empty()))
    fail<ConfigError>(
        "recipe key 'scores.lag': it goes with match = \"day\" or \"pair\" and a file "
        "that has moments");
  if (file_.lag % kDay != 0 && file_.match == "day")
    fail<ConfigError>("recipe key 'scores.lag': whole days go with match = \"day\", not {}",
                      format_duration(file_.lag));
}

void ScoreStore::read(const Dataset& dataset) {
  DuckDb db;
  check_columns(db.describe("SELECT * FROM " + from_file(file_.file)));
  const auto text = [](const std::string& name) {
    return name.empty() ? std::string("NULL::VARCHAR") : sql_name(name) + "::VARCHAR";
  };
  std::string sql = fmt::format(
      "SELECT {}, {}, {}, {}", text(file_.user), text(file_.item),
      file_.time.empty() ? "NULL::BIGINT" : "epoch_us(" + sql_name(file_.time) + "::TIMESTAMP)",
      text(file_.snapshot));
  for (const auto& [name, column] : file_.logits) {
    names_.push_back(name);
    sql += fmt::format(", {}::DOUBLE", sql_name(column));
  }
  std::vector<Row> rows;
  std::vector<float> logits;  // [rows, names]
  std::unordered_map<std::string, int32_t> snapshots;
  std::set<std::string> users, items;  // unknown ones
  const auto unknown = [&](std::set<std::string>& seen, std::vector<std::string>& some,
                           std::string_view name) {
    if (some.size() < kNamed && seen.emplace(name).second) some.emplace_back(name);
  };
  db.query(
      sql + " FROM " + from_file(file_.file),
      [&](const ResultChunk& chunk) {
        check_interrupt("reading scores");
        std::vector<float> values(names_.size());
        for (int64_t row = 0; row < chunk.rows(); ++row) {
          ++counts_.rows;
          const auto user =
              chunk.is_null(0, row) ? std::nullopt : dataset.find_user(chunk.text(0, row));
          const auto item =
              chunk.is_null(1, row) ? std::nullopt : dataset.find_item(chunk.text(1, row));
          if (!user) {
            ++counts_.unknown_user;
            unknown(users, counts_.some_users, chunk.is_null(0, row) ? "null" : chunk.text(0, row));
            continue;
          }
          if (!item) {
            ++counts_.unknown_item;
            unknown(items, counts_.some_items, chunk.is_null(1, row) ? "null" : chunk.text(1, row));
            continue;
          }
          bool any = false;
          for (size_t name = 0; name < names_.size(); ++name) {
            const auto column = static_cast<int>(4 + name);
            double value = chunk.is_null(column, row) ? std::nan("") : chunk.number(column, row);
            if (file_.probabilities && !std::isnan(value)) {
              if (!(value >= 0 && value <= 1))
                fail<DataError>(
                    "{}: row {}, column '{}': {} is no probability; of logits write "
                    "scores.unit = \"logit\"",
                    file_.file, counts_.rows, file_.logits.at(names_[name]), value);
              const double p = std::clamp(value, 1e-7, 1 - 1e-7);
              value = std::log(p) - std::log1p(-p);
            }
            values[name] = std::isfinite(value) ? static_cast<float>(value) : std::nanf("");
            any |= std::isfinite(value);
          }
          if (!any) {
            ++counts_.no_score;
            continue;
          }
          int32_t snapshot = -1;
          if (!chunk.is_null(3, row)) {
            const auto [at, fresh] = snapshots.try_emplace(std::string(chunk.text(3, row)),
                                                           static_cast<int32_t>(snapshots_.size()));
            if (fresh) snapshots_.push_back(at->first);
            snapshot = at->second;
          }
          rows.push_back(
              {*user, *item, snapshot, chunk.is_null(2, row) ? kNoTime : chunk.integer(2, row)});
          logits.insert(logits.end(), values.begin(), values.end());
        }
      },
      file_.file);
  keep(std::move(rows), std::move(logits), dataset.users());
}

void ScoreStore::keep(std::vector<Row> rows, std::vector<float> logits, int64_t users) {
  std::vector<int64_t> order(rows.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    const Row &one = rows[static_cast<size_t>(a)], &two = rows[static_cast<size_t>(b)];
    return std::tie(one.user, one.item, one.time) < std::tie(two.user, two.item, two.time);
  });
  user_begin_.assign(static_cast<size_t>(users) + 1, 0);
  logits_.resize(names_.size());
  std::set<int32_t> items;
  for (const int64_t at : order) {
    const Row& row = rows[static_cast<size_t>(at)];
    ++user_begin_[static_cast<size_t>(row.user) + 1];
    item_.push_back(row.item);
    time_.push_back(row.time);
    snapshot_.push_back(row.snapshot);
    items.insert(row.item);
    for (size_t name = 0; name < names_.size(); ++name)
      logits_[name].push_back(logits[static_cast<size_t>(at) * names_.size() + name]);
  }
  for (size_t user = 0; user < static_cast<size_t>(users); ++user) {
    counts_.users += user_begin_[user + 1] > 0 ? 1 : 0;
    user_begin_[user + 1] += user_begin_[user];
  }
  counts_.kept = static_cast<int64_t>(order.size());
  counts_.items = static_cast<int64_t>(items.size());
  counts_.snapshots = static_cast<int64_t>(snapshots_.size());
}

std::string ScoreStore::describe() const {
  std::string text = fmt::format("{} scores of {} users and {} items", with_thousands(counts_.kept),
                                 with_thousands(counts_.users), with_thousands(counts_.items));
  if (counts_.snapshots > 0)
    text += fmt::format(" by {} model version{}{}", counts_.snapshots,
                        counts_.snapshots == 1 ? "" : "s",
                        counts_.snapshots == 1 ? " (" + snapshots_.front() + ")" : "");
  if (counts_.unknown_user > 0)
    text += fmt::format(", {} rows of unknown users{}", with_thousands(counts_.unknown_user),
                        some_of(counts_.some_users, counts_.unknown_user));
  if (counts_.unknown_item > 0)
    text += fmt::format(", {} rows of unknown items{}", with_thousands(counts_.unknown_item),
                        some_of(counts_.some_items, counts_.unknown_item));
  if (counts_.no_score > 0)
    text += fmt::format(", {} rows without a finite score", with_thousands(counts_.no_score));
  return text;
}

std::pair<int64_t, int64_t> ScoreStore::run_of(int32_t user, int32_t item) const {
  const auto begin = item_.begin() + user_begin_[static_cast<size_t>(user)];
  const auto end = item_.begin() + user_begin_[static_cast<size_t>(user) + 1];
  const auto [first, last] = std::equal_range(begin, end, item);
  return {first - item_.begin(), last - item_.begin()};
}

int64_t ScoreStore::find(int32_t user, int32_t item, int64_t time) const {
  const auto [begin, end] = run_of(user, item);
  return find_among(begin, end, time);
}

int64_t ScoreStore::find_among(int64_t begin, int64_t end, int64_t time) const {
  if (begin == end) return -1;
  if (file_.match == "pair" && file_.lag == 0) return end - 1;
  // The last whose moment is below the bound; then it must be recent enough.
  int64_t bound = time + 1;
  if (file_.match == "day")
    bound = (day_of(time) + 1) * kDay - file_.lag;
  else if (file_.match == "pair")
    bound = time - file_.lag + 1;
  const auto from = time_.begin();
  const int64_t at = std::lower_bound(from + begin, from + end, bound) - from - 1;
  if (at < begin) return -1;
  const int64_t found = time_[static_cast<size_t>(at)];
  if (file_.match == "row") return found == time ? at : -1;
  if (file_.match == "day") return found != kNoTime && found >= bound - kDay ? at : -1;
  return at;
}

void ScoreStore::make_lists(const std::map<std::string, double>& weights) {
  std::vector<std::pair<size_t, double>> parts;
  for (const auto& [name, weight] : weights) {
    const auto at = std::find(names_.begin(), names_.end(), name);
    if (at == names_.end())
      fail<ConfigError>("recipe key 'scores.lists.order': '{}' is no score of {}; there are {}",
                        name, file_.file, fmt::join(names_, ", "));
    parts.emplace_back(static_cast<size_t>(at - names_.begin()), weight);
  }
  const bool plain = parts.size() == 1 && parts[0].second == 1;
  const auto fused = [&](int64_t at) {
    if (plain) return static_cast<double>(logit(parts[0].first, at));
    double log_p = 0;
    for (const auto& [name, weight] : parts) log_p += weight * log_sigmoid(logit(name, at));
    return logit_of_log(log_p);
  };
  const size_t users = user_begin_.size() - 1;
  list_begin_.assign(1, 0);
  list_item_.clear();
  list_score_.clear();
  rank_.assign(item_.size(), 0);
  struct Entry {
    double score;
    int64_t begin, end;  // of the item's rows
  };
  std::vector<Entry> entries;
  for (size_t user = 0; user < users; ++user) {
    entries.clear();
    for (int64_t at = user_begin_[user]; at < user_begin_[user + 1];) {
      int64_t next = at + 1;
      while (next < user_begin_[user + 1] &&
             item_[static_cast<size_t>(next)] == item_[static_cast<size_t>(at)])
        ++next;
      if (const double score = fused(next - 1); std::isfinite(score))
        entries.push_back({score, at, next});
      at = next;
    }
    std::stable_sort(entries.begin(), entries.end(),
                     [](const Entry& a, const Entry& b) { return a.score > b.score; });
    for (size_t place = 0; place < entries.size(); ++place) {
      const Entry& entry = entries[place];
      list_item_.push_back(item_[static_cast<size_t>(entry.begin)]);
      list_score_.push_back(static_cast<float>(entry.score));
      std::fill(rank_.begin() + entry.begin, rank_.begin() + entry.end,
                static_cast<int32_t>(place + 1));
    }
    list_begin_.push_back(static_cast<int64_t>(list_item_.size()));
  }
}

ScoreStore::List ScoreStore::list(int32_t user) const {
  if (list_begin_.empty()) return {};
  const auto begin = static_cast<size_t>(list_begin_[static_cast<size_t>(user)]);
  const auto size = static_cast<size_t>(list_begin_[static_cast<size_t>(user) + 1]) - begin;
  return {std::span(list_item_).subspan(begin, size), std::span(list_score_).subspan(begin, size)};
}

int32_t ScoreStore::rank(int32_t user, int32_t item) const {
  if (rank_.empty()) return 0;
  const auto [begin, end] = run_of(user, item);
  return begin == end ? 0 : rank_[static_cast<size_t>(begin)];
}

}  // namespace retort
