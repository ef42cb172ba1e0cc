#include "tests/support/tiny_dataset.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <tuple>

#include "retort/common/error.h"
#include "retort/common/rng.h"
#include "retort/log/days.h"

namespace retort {
namespace {

constexpr int64_t kSecond = 1'000'000, kHour = 3600 * kSecond;
constexpr int64_t kStart = 19'723 * kDay;  // 2024-01-01, a Monday
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

template <class T>
void put(const fs::path& folder, const std::string& name, const std::vector<T>& values) {
  write_column<T>(folder, name, values);
}

std::vector<std::string> names(char letter, int32_t count) {
  std::vector<std::string> all;
  for (int32_t i = 0; i < count; ++i) all.push_back(letter + std::to_string(i));
  return all;
}

bool is_read(const TinyDataset& data, const TinyClick& click) {
  return click.seconds > data.read_threshold;  // false for NaN
}

/// Labels of any click or shown article, a column each.
template <class Rows>
void write_labels(const TinyDataset& data, const std::string& stem, const Rows& rows,
                  const fs::path& folder) {
  std::set<std::string> names;
  for (const TinyClick& click : data.clicks)
    for (const auto& [name, value] : click.labels) names.insert(name);
  for (const TinyShown& shown : data.shown)
    for (const auto& [name, value] : shown.labels) names.insert(name);
  for (const std::string& name : names) {
    std::vector<uint8_t> column;
    for (const auto& row : rows)
      column.push_back(row.labels.contains(name) ? row.labels.at(name) : kUnknownLabel);
    put(folder, stem + ".label_" + name, column);
  }
}

void write_clicks(const TinyDataset& data, const fs::path& folder) {
  std::vector<int32_t> user, item;
  std::vector<int64_t> time, request;
  std::vector<float> seconds;
  std::vector<uint8_t> read, split;
  std::vector<int64_t> begin(static_cast<size_t>(data.users) + 1, 0);
  for (const TinyClick& click : data.clicks) {
    user.push_back(click.user);
    item.push_back(click.item);
    time.push_back(click.time);
    request.push_back(static_cast<int64_t>(request.size()));
    seconds.push_back(click.seconds);
    read.push_back(is_read(data, click) ? 1 : 0);
    split.push_back(static_cast<uint8_t>(click.split));
    ++begin[static_cast<size_t>(click.user) + 1];
  }
  std::partial_sum(begin.begin(), begin.end(), begin.begin());
  put(folder, "clicks.user", user);
  put(folder, "clicks.item", item);
  put(folder, "clicks.time", time);
  put(folder, "clicks.request", request);
  put(folder, "clicks.seconds", seconds);
  put(folder, "clicks.read", read);
  put(folder, "clicks.split", split);
  put(folder, "users.clicks_begin", begin);
  write_labels(data, "clicks", data.clicks, folder);
}

void write_items(const TinyDataset& data, const fs::path& folder) {
  std::vector<int64_t> trained(static_cast<size_t>(data.items), 0);
  std::vector<int64_t> first(static_cast<size_t>(data.items), INT64_MAX);
  for (const TinyClick& click : data.clicks) {
    const auto item = static_cast<size_t>(click.item);
    trained[item] += click.split == Split::kTrain ? 1 : 0;
    first[item] = std::min(first[item], click.time);
  }
  put(folder, "items.train_clicks", trained);
  put(folder, "items.first_click", first);
  if (!data.published.empty()) put(folder, "items.published", data.published);
  for (const auto& [name, texts] : data.attributes)
    write_strings(folder, "items.attr." + name, texts);
  for (const auto& [name, numbers] : data.numbers) put(folder, "items.attr." + name, numbers);
}

/// `group` gives the key of a click, in {0, .., keys - 1}.
template <class Group>
void write_timeline(const TinyDataset& data, const fs::path& folder, const std::string& key,
                    int64_t keys, const Group& group) {
  std::vector<std::vector<TinyClick>> groups(static_cast<size_t>(keys));
  for (const TinyClick& click : data.clicks)
    groups.at(static_cast<size_t>(group(click))).push_back(click);
  std::vector<int64_t> begin{0}, time;
  std::vector<int32_t> reads;
  std::vector<double> log_seconds;
  for (std::vector<TinyClick>& of_key : groups) {
    std::stable_sort(of_key.begin(), of_key.end(),
                     [](const TinyClick& a, const TinyClick& b) { return a.time < b.time; });
    int32_t read = 0;
    double sum = 0;
    for (const TinyClick& click : of_key) {
      time.push_back(click.time);
      reads.push_back(read += is_read(data, click) ? 1 : 0);
      log_seconds.push_back(sum += std::isnan(click.seconds) ? 0.0 : std::log1p(click.seconds));
    }
    begin.push_back(static_cast<int64_t>(time.size()));
  }
  put(folder, "timeline." + key + ".begin", begin);
  put(folder, "timeline." + key + ".time", time);
  put(folder, "timeline." + key + ".reads", reads);
  put(folder, "timeline." + key + ".log_seconds", log_seconds);
}

void write_timelines(const TinyDataset& data, const fs::path& folder) {
  write_timeline(data, folder, "item", data.items, [](const TinyClick& c) { return c.item; });
  write_timeline(data, folder, "user", data.users, [](const TinyClick& c) { return c.user; });
  std::map<std::string, bool> done{{"item", true}, {"user", true}};
  for (const FeatureSpec& spec : data.schema.features) {
    if (spec.source != FeatureSource::kAsOf || done[spec.of]) continue;
    done[spec.of] = true;
    const auto& group = data.ids.at("item." + spec.of);
    write_timeline(data, folder, spec.of, data.schema.find(spec.of)->rows,
                   [&](const TinyClick& c) { return group[static_cast<size_t>(c.item)]; });
  }
}

void write_by_time(const TinyDataset& data, const fs::path& folder) {
  std::vector<int64_t> order(data.clicks.size());
  std::iota(order.begin(), order.end(), int64_t{0});
  const auto time_of = [&](int64_t at) { return data.clicks[static_cast<size_t>(at)].time; };
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return time_of(a) < time_of(b); });
  std::vector<int64_t> time;
  for (const int64_t at : order) time.push_back(time_of(at));
  put(folder, "by_time.click", order);
  put(folder, "by_time.time", time);
}

/// Columns of a stream, its events sorted by (user, time) and else as they stand.
void write_stream(const TinyDataset& data, const std::string& name, std::vector<TinyClick> events,
                  const fs::path& folder) {
  std::stable_sort(events.begin(), events.end(), [](const TinyClick& a, const TinyClick& b) {
    return std::pair(a.user, a.time) < std::pair(b.user, b.time);
  });
  std::vector<int32_t> item;
  std::vector<int64_t> time, begin(static_cast<size_t>(data.users) + 1, 0);
  std::vector<float> seconds;
  for (const TinyClick& event : events) {
    item.push_back(event.item);
    time.push_back(event.time);
    seconds.push_back(event.seconds);
    ++begin[static_cast<size_t>(event.user) + 1];
  }
  std::partial_sum(begin.begin(), begin.end(), begin.begin());
  put(folder, "stream." + name + ".begin", begin);
  put(folder, "stream." + name + ".item", item);
  put(folder, "stream." + name + ".time", time);
  put(folder, "stream." + name + ".seconds", seconds);
}

void write_shown(TinyDataset& data, const fs::path& folder) {
  std::stable_sort(data.shown.begin(), data.shown.end(),
                   [](const TinyShown& a, const TinyShown& b) {
                     return std::tuple(a.time, a.request, a.position) <
                            std::tuple(b.time, b.request, b.position);
                   });
  std::vector<int32_t> user, item, snapshot;
  std::vector<int64_t> time, request, position, click;
  std::vector<uint8_t> clicked, split;
  std::vector<float> seconds, score_click, score_dwm;
  for (const TinyShown& shown : data.shown) {
    user.push_back(shown.user);
    item.push_back(shown.item);
    time.push_back(shown.time);
    request.push_back(shown.request);
    position.push_back(shown.position);
    click.push_back(shown.click);
    clicked.push_back(shown.click >= 0 ? 1 : 0);
    split.push_back(static_cast<uint8_t>(shown.split));
    seconds.push_back(shown.seconds);
    score_click.push_back(shown.score_click);
    score_dwm.push_back(shown.score_dwm);
    snapshot.push_back(shown.snapshot);
  }
  put(folder, "impressions.user", user);
  put(folder, "impressions.item", item);
  put(folder, "impressions.time", time);
  put(folder, "impressions.request", request);
  put(folder, "impressions.position", position);
  put(folder, "impressions.click", click);
  put(folder, "impressions.clicked", clicked);
  put(folder, "impressions.split", split);
  put(folder, "impressions.seconds", seconds);
  write_labels(data, "impressions", data.shown, folder);
  if (!data.logged_scores) return;
  put(folder, "impressions.score_click", score_click);
  put(folder, "impressions.score_dwm", score_dwm);
  put(folder, "impressions.snapshot", snapshot);
}

Json write_vocabularies(TinyDataset& data, const fs::path& folder) {
  for (const FeatureSpec& spec : data.schema.features) {
    const bool user = spec.column == "user", item = spec.column == "item";
    if ((!user && !item) || spec.source != FeatureSource::kAttribute) continue;
    const int32_t count = user ? data.users : data.items;
    auto& rows = data.ids[(user ? "user." : "item.") + spec.name];
    rows.resize(static_cast<size_t>(count));
    std::iota(rows.begin(), rows.end(), 1);
    auto& texts = data.vocabularies[spec.vocabulary] = names(user ? 'u' : 'i', count);
    texts.insert(texts.begin(), "");
  }
  Json json = Json::object();
  for (const auto& [name, texts] : data.vocabularies) {
    write_strings(folder, "vocabulary." + name, texts);
    json[name] = {{"rows", texts.size()}, {"hashed_rows", 0}};
  }
  return json;
}

template <class T>
void reorder(std::vector<T>& values, const std::vector<size_t>& order) {
  const size_t width = values.size() / order.size();
  std::vector<T> sorted;
  for (const size_t at : order)
    sorted.insert(sorted.end(), values.begin() + static_cast<int64_t>(at * width),
                  values.begin() + static_cast<int64_t>((at + 1) * width));
  values = std::move(sorted);
}

}  // namespace

void TinyDataset::sort() {
  std::vector<size_t> order(clicks.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return std::pair(clicks[a].user, clicks[a].time) < std::pair(clicks[b].user, clicks[b].time);
  });
  for (const auto& [stem, begins] : offsets)
    check(!stem.starts_with("clicks."), "TinyDataset: '{}': no bags of context", stem);
  if (order.empty()) return;
  reorder(clicks, order);
  for (auto& [stem, column] : ids)
    if (stem.starts_with("clicks.")) reorder(column, order);
  for (auto& [stem, column] : values)
    if (stem.starts_with("clicks.")) reorder(column, order);
}

void TinyDataset::write(const fs::path& folder) {
  sort();
  check(fs::create_directories(folder), "TinyDataset: {} exists", folder.string());
  write_clicks(*this, folder);
  write_items(*this, folder);
  write_strings(folder, "users.key", names('u', users));
  write_strings(folder, "items.key", names('i', items));
  const Json known = write_vocabularies(*this, folder);
  write_timelines(*this, folder);
  write_by_time(*this, folder);
  for (const auto& [stem, column] : ids) put(folder, stem + ".ids", column);
  for (const auto& [stem, column] : offsets) put(folder, stem + ".offsets", column);
  for (const auto& [stem, column] : values) put(folder, stem + ".values", column);
  for (const auto& [name, events] : streams) write_stream(*this, name, events, folder);
  if (!shown.empty()) write_shown(*this, folder);
  if (!candidates.empty()) put(folder, "items.candidate", candidates);
  write_manifest(folder, {{"format", 1},
                          {"name", "tiny"},
                          {"schema", to_json(schema)},
                          {"protocol", to_json(protocol)},
                          {"read_threshold", read_threshold},
                          {"split", {{"kind", "time"}}},
                          {"has_time", has_time},
                          {"unclicked_seconds", unclicked_seconds},
                          {"vocabularies", known}});
}

namespace {

Schema every_kind_of_feature(int32_t users, int32_t items) {
  using enum FeatureKind;
  using enum FeatureSource;
  const Transform log{.kind = "log"};
  const Transform bucket{.kind = "bucket", .boundaries = {1, 3, 10}};
  Schema schema;
  const auto add = [&](FeatureSpec spec) { schema.features.push_back(std::move(spec)); };
  add({.name = "user_id", .column = "user", .vocabulary = "user_id", .rows = users + 1});
  add({.name = "segment", .column = "segment", .vocabulary = "segment", .rows = 4});
  add({.name = "device",
       .source = kContext,
       .column = "device",
       .vocabulary = "device",
       .rows = 3});
  add({.name = "scroll", .kind = kDense, .source = kContext, .column = "scroll", .width = 2});
  add({.name = "hour", .source = kTime, .rows = 25, .part = "hour"});
  add({.name = "weekday", .source = kTime, .rows = 8, .part = "weekday"});
  add({.name = "history",
       .kind = kSequence,
       .source = kHistory,
       .vocabulary = "item_id",
       .rows = items + 1,
       .of = "item_id",
       .last = 5});
  add({.name = "history.seconds",
       .kind = kSequence,
       .source = kHistory,
       .rows = 16,
       .of = "item_id",
       .last = 5,
       .with = "seconds"});
  add({.name = "history.age",
       .kind = kSequence,
       .source = kHistory,
       .rows = 32,
       .of = "item_id",
       .last = 5,
       .with = "age"});
  add({.name = "categories",
       .kind = kSequence,
       .source = kHistory,
       .vocabulary = "category",
       .rows = 5,
       .of = "category",
       .last = 3});
  add({.name = "user_clicks_1d",
       .kind = kDense,
       .source = kAsOf,
       .of = "user",
       .statistic = "clicks",
       .window = kDay,
       .transform = log});
  const Side item = Side::kItem;
  add({.name = "item_id",
       .side = item,
       .column = "item",
       .vocabulary = "item_id",
       .rows = items + 1,
       .oov_dropout = 0.3});
  add({.name = "category",
       .side = item,
       .column = "category",
       .vocabulary = "category",
       .rows = 5});
  add({.name = "tags",
       .side = item,
       .kind = kBag,
       .column = "tags",
       .vocabulary = "tags",
       .rows = 6});
  add({.name = "length",
       .side = item,
       .kind = kDense,
       .column = "length",
       .transform = {.kind = "standard", .mean = 50, .deviation = 20}});
  add({.name = "age",
       .side = item,
       .kind = kDense,
       .source = kTime,
       .part = "age",
       .transform = log});
  add({.name = "clicks_1h",
       .side = item,
       .kind = kDense,
       .source = kAsOf,
       .of = "item",
       .statistic = "clicks",
       .window = kHour});
  add({.name = "clicks_ever",
       .side = item,
       .source = kAsOf,
       .rows = 5,
       .of = "item",
       .statistic = "clicks",
       .transform = bucket});
  add({.name = "reads_1d",
       .side = item,
       .kind = kDense,
       .source = kAsOf,
       .of = "item",
       .statistic = "reads",
       .window = kDay});
  add({.name = "mean_1d",
       .side = item,
       .kind = kDense,
       .source = kAsOf,
       .of = "item",
       .statistic = "mean_log_seconds",
       .window = kDay});
  add({.name = "since_first",
       .side = item,
       .kind = kDense,
       .source = kAsOf,
       .of = "item",
       .statistic = "age",
       .transform = log});
  add({.name = "category_clicks",
       .side = item,
       .kind = kDense,
       .source = kAsOf,
       .of = "category",
       .statistic = "clicks",
       .window = 3 * kHour});
  const Side pair = Side::kPair;
  add({.name = "same_category", .side = pair, .kind = kDense, .source = kCross, .of = "category"});
  add({.name = "same_item",
       .side = pair,
       .source = kCross,
       .rows = 5,
       .of = "item",
       .transform = bucket});
  return schema;
}

}  // namespace

TinyDataset random_tiny_dataset(uint64_t seed, int32_t users, int32_t items, int32_t clicks) {
  TinyDataset data;
  data.users = users;
  data.items = items;
  data.schema = every_kind_of_feature(users, items);
  data.vocabularies = {{"segment", {"", "a", "b", "c"}},
                       {"device", {"", "phone", "desk"}},
                       {"category", {"", "news", "sport", "music", "food"}},
                       {"tags", {"", "t1", "t2", "t3", "t4", "t5"}}};
  const Rng rng(seed, "tiny");
  uint64_t draws = 0;
  const auto below = [&](int64_t n) {
    return static_cast<int64_t>(rng.below(static_cast<uint64_t>(n), draws++));
  };
  for (int32_t user = 0; user < users; ++user)
    data.ids["user.segment"].push_back(static_cast<int32_t>(below(4)));
  data.offsets["item.tags"].push_back(0);
  for (int32_t item = 0; item < items; ++item) {
    data.ids["item.category"].push_back(static_cast<int32_t>(below(5)));
    for (int64_t tags = below(4); tags > 0; --tags)
      data.ids["item.tags"].push_back(static_cast<int32_t>(1 + below(5)));
    data.offsets["item.tags"].push_back(static_cast<int64_t>(data.ids["item.tags"].size()));
    data.values["item.length"].push_back(below(5) == 0 ? kNaN : static_cast<float>(below(100)));
    data.published.push_back(below(4) == 0 ? INT64_MIN : kStart + below(48) * kHour);
  }
  for (int32_t i = 0; i < clicks; ++i) {
    TinyClick click;
    click.user = static_cast<int32_t>(below(users));
    // The product of two draws favours small indices; the last item is never clicked.
    click.item = static_cast<int32_t>(below(items - 1) * below(items - 1) / (items - 1));
    click.time = kStart + below(4 * 24 * 2) * kHour / 2;  // half-hours: many equal times
    if (below(8) > 0) click.seconds = static_cast<float>(below(200)) / 2;
    const int64_t passed = click.time - kStart;
    click.split = passed < 58 * kHour   ? Split::kTrain
                  : passed < 77 * kHour ? Split::kValid
                                        : Split::kTest;
    data.clicks.push_back(click);
    data.ids["clicks.device"].push_back(static_cast<int32_t>(below(3)));
    data.values["clicks.scroll"].push_back(static_cast<float>(below(10)));
    data.values["clicks.scroll"].push_back(below(3) == 0 ? kNaN : static_cast<float>(below(10)));
  }
  data.sort();
  return data;
}

}  // namespace retort
