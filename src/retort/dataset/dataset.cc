#include "retort/dataset/dataset.h"

#include <algorithm>
#include <array>
#include <limits>
#include <map>

#include "retort/common/error.h"

namespace retort {
namespace {

constexpr int64_t kFormat = 1;
constexpr std::array<std::string_view, 4> kSplits{"train", "valid", "test", "history"};

const Json& member(const Json& manifest, const fs::path& folder, const std::string& key) {
  const auto at = manifest.find(key);
  if (at == manifest.end())
    fail<DataError>("{}: key '{}' is missing", (folder / "manifest.json").string(), key);
  return *at;
}

template <class Map>
std::string names_of(const Map& map) {
  std::string names;
  for (const auto& [name, value] : map) names += (names.empty() ? "" : ", ") + name;
  return names.empty() ? "none" : names;
}

void check_begins(const fs::path& folder, const std::string& name, std::span<const int64_t> begin,
                  int64_t total) {
  if (begin.empty() || begin.front() != 0 || begin.back() != total ||
      !std::is_sorted(begin.begin(), begin.end()))
    fail<DataError>("{}: column '{}' does not rise from 0 to {}", folder.string(), name, total);
}

}  // namespace

std::string_view name_of(Split split) { return kSplits[static_cast<size_t>(split)]; }

Split split_from_name(std::string_view name) {
  for (size_t i = 0; i < 3; ++i)
    if (kSplits[i] == name) return static_cast<Split>(i);
  fail<ConfigError>("split '{}' is none of: train, valid, test", name);
}

Dataset::Dataset(const fs::path& folder, bool deep)
    : folder_(folder), manifest_(read_manifest(folder, deep)), columns_(folder) {
  open_manifest();
  user_keys_ = StringIndex(columns_.strings("users.key"));
  item_keys_ = StringIndex(columns_.strings("items.key"));
  open_clicks();
  open_impressions();
  open_labels();
  open_streams();
  open_candidates();
  open_timelines();
  open_vocabularies();
}

void Dataset::open_manifest() {
  try {
    const auto format = member(manifest_, folder_, "format").get<int64_t>();
    if (format != kFormat)
      fail<DataError>("{}: format {}; this version reads format {}: ingest the log again",
                      folder_.string(), format, kFormat);
    has_time_ = member(manifest_, folder_, "has_time").get<bool>();
    const Json& threshold = member(manifest_, folder_, "read_threshold");
    read_threshold_ =
        threshold.is_null() ? -std::numeric_limits<double>::infinity() : threshold.get<double>();
    schema_ = schema_from_json(member(manifest_, folder_, "schema"));
    protocol_ = protocol_from_json(member(manifest_, folder_, "protocol"));
  } catch (const nlohmann::json::exception& error) {
    fail<DataError>("{}: {}", (folder_ / "manifest.json").string(), error.what());
  }
}

template <class T>
std::span<const T> Dataset::column(const std::string& name, int64_t size) const {
  const auto values = columns_.get<T>(name);
  if (static_cast<int64_t>(values.size()) != size)
    fail<DataError>("{}: column '{}' has {} values where {} are expected", folder_.string(), name,
                    values.size(), size);
  return values;
}

void Dataset::open_clicks() {
  clicks_.item = columns_.get<int32_t>("clicks.item");
  const int64_t count = clicks_.size();
  clicks_.user = column<int32_t>("clicks.user", count);
  clicks_.time = column<int64_t>("clicks.time", count);
  clicks_.seconds = column<float>("clicks.seconds", count);
  clicks_.read = column<uint8_t>("clicks.read", count);
  clicks_.split = column<uint8_t>("clicks.split", count);
  clicks_.user_begin = column<int64_t>("users.clicks_begin", users() + 1);
  check_begins(folder_, "users.clicks_begin", clicks_.user_begin, count);
  train_clicks_ = column<int64_t>("items.train_clicks", items());
  by_time_ = column<int64_t>("by_time.click", count);
  sorted_time_ = column<int64_t>("by_time.time", count);
  split_rows_.resize(kSplits.size());
  for (int64_t row = 0; row < count; ++row) {
    const auto at = static_cast<size_t>(row);
    const uint8_t split = clicks_.split[at];
    if (split >= kSplits.size() || clicks_.item[at] < 0 || clicks_.item[at] >= items() ||
        clicks_.user[at] < 0 || clicks_.user[at] >= users())
      fail<DataError>("{}: click {}: user {}, item {} or split {} is out of range",
                      folder_.string(), row, clicks_.user[at], clicks_.item[at], split);
    split_rows_[split].push_back(row);
  }
}

void Dataset::open_impressions() {
  if (!columns_.has("impressions.item")) return;
  Impressions& shown = impressions_;
  shown.item = columns_.get<int32_t>("impressions.item");
  const int64_t count = shown.size();
  shown.user = column<int32_t>("impressions.user", count);
  shown.request = column<int64_t>("impressions.request", count);
  shown.time = column<int64_t>("impressions.time", count);
  shown.position = column<int64_t>("impressions.position", count);
  shown.click = column<int64_t>("impressions.click", count);
  shown.clicked = column<uint8_t>("impressions.clicked", count);
  shown.split = column<uint8_t>("impressions.split", count);
  shown.seconds = column<float>("impressions.seconds", count);
  if (columns_.has("impressions.snapshot")) {
    shown.score_click = column<float>("impressions.score_click", count);
    shown.score_dwm = column<float>("impressions.score_dwm", count);
    shown.snapshot = column<int32_t>("impressions.snapshot", count);
  }
  const auto flag = manifest_.find("unclicked_seconds");
  shown.unclicked_seconds = flag != manifest_.end() && flag->is_boolean() && flag->get<bool>();
  for (int64_t row = 0; row < count; ++row) {
    const auto at = static_cast<size_t>(row);
    if (shown.item[at] < 0 || shown.item[at] >= items() || shown.user[at] < 0 ||
        shown.user[at] >= users() || shown.split[at] >= kSplits.size() ||
        shown.click[at] < (shown.clicked[at] != 0 ? 0 : -1) || shown.click[at] >= clicks_.size())
      fail<DataError>("{}: impression {}: user {}, item {}, split {} or click {} is out of range",
                      folder_.string(), row, shown.user[at], shown.item[at], shown.split[at],
                      shown.click[at]);
  }
}

void Dataset::open_labels() {
  constexpr std::string_view kPrefix = "clicks.label_";
  for (const std::string& name : columns_.names())
    if (name.starts_with(kPrefix) && name.find('.', kPrefix.size()) == std::string::npos)
      labels_.push_back(name.substr(kPrefix.size()));
  std::sort(labels_.begin(), labels_.end());
  clicks_.labels = labels_of("clicks", clicks_.size());
  if (impressions_.size() > 0) impressions_.labels = labels_of("impressions", impressions_.size());
}

std::vector<std::span<const uint8_t>> Dataset::labels_of(const std::string& stem,
                                                         int64_t rows) const {
  std::vector<std::span<const uint8_t>> all;
  for (const std::string& label : labels_) {
    const std::string name = fmt::format("{}.label_{}", stem, label);
    all.push_back(column<uint8_t>(name, rows));
    for (const uint8_t value : all.back())
      if (value > 1 && value != kUnknownLabel)
        fail<DataError>("{}: column '{}' holds {}, expected 0, 1 or {}", folder_.string(), name,
                        value, kUnknownLabel);
  }
  return all;
}

void Dataset::open_streams() {
  constexpr std::string_view kPrefix = "stream.", kSuffix = ".begin";
  for (const std::string& name : columns_.names()) {
    if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) continue;
    const std::string key =
        name.substr(kPrefix.size(), name.size() - kPrefix.size() - kSuffix.size());
    const std::string stem = "stream." + key;
    Stream stream;
    stream.item = columns_.get<int32_t>(stem + ".item");
    const auto count = static_cast<int64_t>(stream.item.size());
    stream.time = column<int64_t>(stem + ".time", count);
    if (columns_.has(stem + ".seconds")) stream.seconds = column<float>(stem + ".seconds", count);
    stream.user_begin = column<int64_t>(name, users() + 1);
    check_begins(folder_, name, stream.user_begin, count);
    for (const int32_t item : stream.item)
      if (item < 0 || item >= items())
        fail<DataError>("{}: stream '{}': item {} of {}", folder_.string(), key, item, items());
    streams_.emplace(key, stream);
  }
}

void Dataset::open_candidates() {
  if (columns_.has("items.candidate"))
    candidate_mask_ = column<uint8_t>("items.candidate", items());
  for (int64_t item = 0; item < items(); ++item)
    if (is_candidate(static_cast<int32_t>(item))) candidates_.push_back(static_cast<int32_t>(item));
}

void Dataset::open_timelines() {
  constexpr std::string_view kPrefix = "timeline.", kSuffix = ".begin";
  for (const std::string& name : columns_.names()) {
    if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) continue;
    const std::string key =
        name.substr(kPrefix.size(), name.size() - kPrefix.size() - kSuffix.size());
    const std::string stem = "timeline." + key;
    Timeline line;
    line.begin = columns_.get<int64_t>(name);
    line.time = column<int64_t>(stem + ".time", clicks_.size());
    line.reads = column<int32_t>(stem + ".reads", clicks_.size());
    line.log_seconds = column<double>(stem + ".log_seconds", clicks_.size());
    check_begins(folder_, name, line.begin, clicks_.size());
    timelines_.emplace(key, line);
  }
}

void Dataset::open_vocabularies() {
  for (const auto& [name, entry] : member(manifest_, folder_, "vocabularies").items()) {
    int64_t rows = 0, hashed = 0;
    try {
      rows = entry.at("rows").get<int64_t>();
      hashed = entry.value("hashed_rows", int64_t{0});
    } catch (const nlohmann::json::exception& error) {
      fail<DataError>("{}: vocabulary '{}': {}", (folder_ / "manifest.json").string(), name,
                      error.what());
    }
    const Strings texts = hashed > 0 ? Strings() : columns_.strings("vocabulary." + name);
    Vocabulary vocabulary(texts, hashed);
    if (vocabulary.rows() != rows || rows < 1)
      fail<DataError>("{}: vocabulary '{}' has {} rows where the manifest states {}",
                      folder_.string(), name, vocabulary.rows(), rows);
    vocabularies_.emplace(name, std::move(vocabulary));
  }
}

std::optional<int32_t> Dataset::find_user(std::string_view key) const {
  const int32_t user = user_keys_.find(key);
  return user < 0 ? std::nullopt : std::optional(user);
}

std::optional<int32_t> Dataset::find_item(std::string_view key) const {
  const int32_t item = item_keys_.find(key);
  return item < 0 ? std::nullopt : std::optional(item);
}

std::span<const int64_t> Dataset::rows_of(Split split) const {
  return split_rows_[static_cast<size_t>(split)];
}

int64_t Dataset::history_end(int32_t user, int64_t time) const {
  check(user >= 0 && user < users(), "history_end: user {} of {}", user, users());
  const auto from = clicks_.time.begin() + clicks_.user_begin[static_cast<size_t>(user)];
  const auto to = clicks_.time.begin() + clicks_.user_begin[static_cast<size_t>(user) + 1];
  return std::lower_bound(from, to, time) - clicks_.time.begin();
}

int64_t Stream::past_end(int32_t user, int64_t time_before) const {
  const auto from = time.begin() + user_begin[static_cast<size_t>(user)];
  const auto to = time.begin() + user_begin[static_cast<size_t>(user) + 1];
  return std::lower_bound(from, to, time_before) - time.begin();
}

const Stream& Dataset::stream(const std::string& name) const {
  const auto at = streams_.find(name);
  check(at != streams_.end(), "dataset {}: no stream '{}'; there are: {}", folder_.string(), name,
        names_of(streams_));
  return at->second;
}

const Timeline& Dataset::timeline(const std::string& key) const {
  const auto at = timelines_.find(key);
  check(at != timelines_.end(), "dataset {}: no timeline of '{}'; there are: {}", folder_.string(),
        key, names_of(timelines_));
  return at->second;
}

const Vocabulary& Dataset::vocabulary(const std::string& name) const {
  const auto at = vocabularies_.find(name);
  check(at != vocabularies_.end(), "dataset {}: no vocabulary '{}'; there are: {}",
        folder_.string(), name, names_of(vocabularies_));
  return at->second;
}

int64_t Dataset::end_time() const { return sorted_time_.empty() ? 0 : sorted_time_.back() + 1; }

}  // namespace retort
