// Shown items with what came of them, read back from a log: a simulated feed's, a server's own, or
// any Parquet file with these columns.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "retort/common/file.h"
#include "retort/log/duckdb.h"

namespace retort {

/// Keys and their numbers, 0 .. size() - 1 in the order in which they were added.
class KeyNumbers {
 public:
  /// The number of the key, a new one if it has none.
  int32_t add(std::string_view key);
  std::optional<int32_t> find(std::string_view key) const;
  int64_t size() const { return static_cast<int64_t>(keys_.size()); }
  const std::string& operator[](int32_t number) const { return keys_[static_cast<size_t>(number)]; }

 private:
  std::vector<std::string> keys_;
  std::unordered_map<std::string, int32_t> numbers_;
};

/// One item in one slot.
struct Impression {
  std::string_view user, item;
  int32_t position = 0;   // 1 is the top
  double propensity = 0;  // of this item in this slot, given the user; NaN unless asked for
  double seconds = 0;     // 0 unless clicked
  bool clicked = false;
};

class ImpressionLog {
 public:
  /// `log`: a Parquet file with user_id, item_id, time, position, clicked, seconds and, for
  /// counterfactual estimates, propensity; a folder with impressions.parquet (what `retort simulate
  /// feed` wrote); or a folder of `retort serve --exposures`, whose events are joined to its
  /// answers as recipes/data/served.toml does. Throws DataError naming what is missing.
  explicit ImpressionLog(const fs::path& log);

  /// Throws DataError naming file and column unless every impression of [from, until) has a
  /// propensity in (0, 1].
  void require_propensities(int64_t from, int64_t until);
  /// Begin and end of the log: its first moment, and one microsecond after its last. Throws
  /// DataError if it has no rows.
  std::pair<int64_t, int64_t> span();
  /// Calls visit for the impressions of [from, until), microseconds since 1970, in the order of
  /// time, user and position. `propensities`: read them too.
  void each(int64_t from, int64_t until, bool propensities,
            const std::function<void(const Impression&)>& visit);
  /// Adds the users and items of the log, sorted.
  void add_keys(KeyNumbers& users, KeyNumbers& items);
  /// A bit an item, by the number of its category modulo 32, from items.parquet (item_id, category)
  /// beside the log; 0 where there is none such.
  std::vector<uint32_t> category_bits(const KeyNumbers& items);

  const std::string& name() const { return name_; }  // for messages

 private:
  bool has_column(const std::string& column) const;
  std::string during(int64_t from, int64_t until) const;
  fs::path items_;  // items.parquet beside the log; may not exist
  std::string name_;
  DuckDb db_;
  std::vector<std::pair<std::string, std::string>> columns_;
};

}  // namespace retort
