// A dataset opened for reading: the manifest and the memory-mapped columns.
// Column names are the contract with ingest; docs/dataset-format.md is their reference.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "retort/dataset/columns.h"
#include "retort/dataset/schema.h"
#include "retort/dataset/vocabulary.h"

namespace retort {

enum class Split : uint8_t { kTrain = 0, kValid = 1, kTest = 2, kHistory = 3 };
std::string_view name_of(Split split);
/// "train", "valid", "test"; throws ConfigError otherwise.
Split split_from_name(std::string_view name);

/// How negatives are drawn and how the catalogue is judged: the dataset's protocol, from the
/// sections [negatives] and [evaluate] of the data recipe, so that models compare on equal rows.
struct Protocol {
  int32_t negatives_per_click = 4;    // n
  std::string sampler = "frequency";  // registry of dataset/sampler
  double exponent = 1.0;              // of the click counts
  int64_t window = 0;                 // microseconds; 0 = all training clicks
  double uniform_share = 0;           // sampler "mixed": share drawn uniformly
  int64_t alive_window = 0;           // catalogue = clicked within it before t; 0 = all items
  std::string alive_by = "clicks";    // clicks | impressions: what makes an item alive
  /// event: a list of recommendations for each judged event. user: one list a user, at the moment
  /// of his first judged event, in which all items of his events are relevant.
  std::string lists = "event";
  int64_t refresh = 300'000'000;  // as-of item features are recomputed this often, us
  bool exclude_seen = false;      // items the user clicked before t are no candidates
  /// With exclude_seen: nor are items with an event of these streams before t, except the judged
  /// event's own item.
  std::vector<std::string> exclude_streams{};
  std::vector<int32_t> recall_at{20, 100};
  bool long_term = false;  // seconds are what a click led to: wrecall@K and nktd@N are judged
  uint64_t seed = 1;       // of the frozen negatives of valid and test
};
Json to_json(const Protocol& protocol);
/// Absent keys keep their defaults. Throws DataError naming the key that is wrong or unknown.
Protocol protocol_from_json(const Json& json);

/// What a label's column holds where the log does not tell: it is neither 1 nor 0 there.
inline constexpr uint8_t kUnknownLabel = 255;

/// All clicks, sorted by (user, time, order in the log): a user's clicks are one run. [N] each.
struct Clicks {
  std::span<const int32_t> user, item;
  std::span<const int64_t> time;   // microseconds since 1970, 0 where the log has no time
  std::span<const float> seconds;  // NaN where unknown
  std::span<const uint8_t> read, split;
  std::span<const int64_t> user_begin;           // [users + 1] first click of each user
  std::vector<std::span<const uint8_t>> labels;  // by Dataset::labels(): 1, 0 or kUnknownLabel
  int64_t size() const { return static_cast<int64_t>(item.size()); }
};

/// Clicks grouped by one key (item, user or an item attribute) and sorted by time inside a group,
/// with running sums, so that any trailing window is two binary searches.
struct Timeline {
  std::span<const int64_t> begin;       // [keys + 1]
  std::span<const int64_t> time;        // [N]
  std::span<const int32_t> reads;       // [N] running count inside the group, inclusive
  std::span<const double> log_seconds;  // [N] running sum of log1p(seconds), inclusive
};

/// A named log of user events beside the clicks (watches, likes, what was shown), sorted by (user,
/// time, order in the log). [E] each.
struct Stream {
  std::span<const int32_t> item;
  std::span<const int64_t> time;
  std::span<const float> seconds;       // NaN where unknown; empty: the stream has none
  std::span<const int64_t> user_begin;  // [users + 1]
  /// A user's events strictly before a moment are [user_begin[user], past_end(user, t)).
  int64_t past_end(int32_t user, int64_t time_before) const;
};

/// What was shown, clicked or not, sorted by (time, request, position). [M] each.
struct Impressions {
  std::span<const int64_t> request, time, position, click;  // click: position in Clicks or -1
  std::span<const int32_t> user, item;
  std::span<const uint8_t> clicked, split;
  std::span<const float> seconds;                // NaN: unknown
  std::vector<std::span<const uint8_t>> labels;  // by Dataset::labels(), as those of clicks
  /// Of the ranking model that was live, all three empty where the log has none.
  std::span<const float> score_click, score_dwm;
  std::span<const int32_t> snapshot;
  /// Unclicked rows have seconds too: 0, or NaN where they are outside the terms that learn from
  /// seconds (attribution). False: seconds are of clicked rows only, the others are 0.
  bool unclicked_seconds = false;
  int64_t size() const { return static_cast<int64_t>(item.size()); }
};

class Dataset {
 public:
  /// Verifies the manifest (`deep` as read_manifest) and maps the columns. Throws DataError.
  explicit Dataset(const fs::path& folder, bool deep = false);

  const fs::path& folder() const { return folder_; }
  const Json& manifest() const { return manifest_; }
  const Schema& schema() const { return schema_; }
  const Protocol& protocol() const { return protocol_; }
  const Clicks& clicks() const { return clicks_; }
  /// Empty where the log has no shown articles.
  const Impressions& impressions() const { return impressions_; }
  /// Names of what else is known of events, yes or no ([[events]] labels), ascending.
  const std::vector<std::string>& labels() const { return labels_; }
  /// Throws ArgumentError listing the streams there are.
  const Stream& stream(const std::string& name) const;
  const Columns& columns() const { return columns_; }
  bool has_time() const { return has_time_; }
  int64_t users() const { return user_keys_.strings().size(); }
  int64_t items() const { return item_keys_.strings().size(); }
  Strings user_keys() const { return user_keys_.strings(); }
  Strings item_keys() const { return item_keys_.strings(); }
  std::optional<int32_t> find_user(std::string_view key) const;
  std::optional<int32_t> find_item(std::string_view key) const;
  /// Seconds; a click is a read if its seconds are strictly more. -infinity: every click is one.
  double read_threshold() const { return read_threshold_; }
  /// Positions in clicks() of a split, ascending.
  std::span<const int64_t> rows_of(Split split) const;
  /// Items that may be recommended, drawn as uniform negatives and compared with in whole-catalogue
  /// losses, ascending: all items unless the recipe has [evaluate] candidates.
  std::span<const int32_t> candidates() const { return candidates_; }
  bool is_candidate(int32_t item) const {
    return candidate_mask_.empty() || candidate_mask_[static_cast<size_t>(item)] != 0;
  }
  /// Clicks of each item in the training split. [items]
  std::span<const int64_t> train_clicks() const { return train_clicks_; }
  /// Positions in clicks() of all clicks by time ascending, with their times. [N]
  std::span<const int64_t> by_time() const { return by_time_; }
  std::span<const int64_t> sorted_time() const { return sorted_time_; }
  /// First position p >= user_begin[user] of clicks() with time >= t: a user's clicks strictly
  /// before t are [user_begin[user], p).
  int64_t history_end(int32_t user, int64_t time) const;
  /// "item", "user" or a categorical item feature named by an as_of feature (the group is then
  /// the item's vocabulary row). Throws ArgumentError listing the keys there are.
  const Timeline& timeline(const std::string& key) const;
  /// Throws ArgumentError listing the names there are.
  const Vocabulary& vocabulary(const std::string& name) const;
  /// Microsecond after the last event of the log: every click lies strictly before it.
  int64_t end_time() const;

 private:
  void open_manifest();
  void open_clicks();
  void open_labels();
  std::vector<std::span<const uint8_t>> labels_of(const std::string& stem, int64_t rows) const;
  void open_impressions();
  void open_streams();
  void open_candidates();
  void open_timelines();
  void open_vocabularies();
  template <class T>
  std::span<const T> column(const std::string& name, int64_t size) const;

  fs::path folder_;
  Json manifest_;
  Columns columns_;
  Schema schema_;
  Protocol protocol_;
  Clicks clicks_;
  Impressions impressions_;
  std::vector<std::string> labels_;
  std::map<std::string, Stream> streams_;
  std::vector<int32_t> candidates_;
  std::span<const uint8_t> candidate_mask_;  // [items]; empty: all
  bool has_time_ = false;
  double read_threshold_ = 0;
  StringIndex user_keys_, item_keys_;
  std::span<const int64_t> train_clicks_, by_time_, sorted_time_;
  std::vector<std::vector<int64_t>> split_rows_;
  std::map<std::string, Timeline> timelines_;
  std::map<std::string, Vocabulary> vocabularies_;
};

}  // namespace retort
