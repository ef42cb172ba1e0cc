#include "retort/server/live_items.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <shared_mutex>
#include <utility>

#include "retort/common/error.h"
#include "retort/server/key_store.h"
#include "retort/server/live_change.h"
#include "retort/server/live_index.h"

namespace retort {
namespace {

std::string to_text(const LiveRecord& record) {
  Json json{{"updated", record.updated}};
  if (record.expires != kNever) json["expires"] = record.expires;
  if (record.deleted)
    json["deleted"] = true;
  else
    json["features"] = record.features;
  return json.dump();
}

LiveRecord from_text(std::string_view id, std::string_view text) {
  try {
    const Json json = Json::parse(text);
    LiveRecord record{.id = std::string(id)};
    record.updated = json.at("updated").get<int64_t>();
    record.expires = json.value("expires", kNever);
    record.deleted = json.value("deleted", false);
    if (!record.deleted) record.features = json.at("features");
    return record;
  } catch (const nlohmann::json::exception& error) {
    fail<DataError>("live item '{}': no record of this version: {}", id, error.what());
  }
}

void check_id(const std::string& id) {
  if (id.empty() || id.size() > LiveItems::kLongestId)
    fail<DataError>("item id of {} bytes; an id has 1 to {}", id.size(), LiveItems::kLongestId);
}

/// The last of each id, in their order.
std::vector<LiveRecord> last_of_each(std::span<const LiveItem> items) {
  std::map<std::string_view, size_t> last;
  for (size_t i = 0; i < items.size(); ++i) last[items[i].id] = i;
  std::vector<LiveRecord> records;
  for (size_t i = 0; i < items.size(); ++i) {
    check_id(items[i].id);
    if (!items[i].features.is_object())
      fail<DataError>("item '{}': features: no JSON object", items[i].id);
    if (last[items[i].id] == i)
      records.push_back(
          {.id = items[i].id, .features = items[i].features, .expires = items[i].expires});
  }
  return records;
}

/// Each item must be as at least one of the bundles would have it; the error is that of the last
/// attached. changes: [bundles][items]
void check_readable(const std::vector<std::vector<LiveChange>>& changes) {
  if (changes.empty()) return;
  for (size_t i = 0; i < changes.back().size(); ++i)
    if (std::all_of(changes.begin(), changes.end(),
                    [&](const auto& of_bundle) { return !of_bundle[i].error.empty(); }))
      fail<DataError>("item '{}': {}", changes.back()[i].id, changes.back()[i].error);
}

}  // namespace

int64_t system_now() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

LiveItems::LiveItems(fs::path folder) : LiveItems(std::move(folder), Options()) {}

LiveItems::LiveItems(fs::path folder, Options options)
    : clock_(std::move(options.clock)),
      store_(std::make_unique<KeyStore>(std::move(folder),
                                        KeyStore::Options{.map_bytes = options.map_bytes})) {
  for (const LiveRecord& record : all()) last_moment_ = std::max(last_moment_, record.updated);
}

LiveItems::~LiveItems() = default;

void LiveItems::put(std::span<const LiveItem> items) {
  std::vector<LiveRecord> records = last_of_each(items);
  const std::shared_lock using_indexes(attached_mutex_);
  // Vectors are computed before anything is stored: what no bundle can read is refused.
  std::vector<std::vector<LiveChange>> changes;
  for (const LiveIndex* index : attached_) changes.push_back(index->prepare(records));
  check_readable(changes);
  const std::lock_guard in_order(write_mutex_);
  store(records);
  for (size_t i = 0; i < attached_.size(); ++i) {
    for (size_t at = 0; at < records.size(); ++at) changes[i][at].updated = records[at].updated;
    attached_[i]->apply(changes[i]);
  }
}

std::vector<bool> LiveItems::erase(std::span<const std::string> ids) {
  for (const std::string& id : ids) check_id(id);
  const std::shared_lock using_indexes(attached_mutex_);
  const std::lock_guard in_order(write_mutex_);
  const int64_t now = clock_();
  std::vector<bool> were_there;
  std::vector<LiveRecord> records;
  for (const std::string& id : ids) {
    const std::optional<LiveRecord> known = find(id);
    const bool in_a_bundle =
        std::any_of(attached_.begin(), attached_.end(),
                    [&](const LiveIndex* index) { return index->in_bundle(id); });
    were_there.push_back(known ? !known->gone(now) : in_a_bundle);
    records.push_back({.id = id, .deleted = true});
  }
  store(records);
  for (LiveIndex* index : attached_) {
    std::vector<LiveChange> changes;
    for (const LiveRecord& record : records) changes.push_back(LiveChange::of(record));
    index->apply(changes);
  }
  return were_there;
}

/// Stamps and writes them in one transaction. A later write has a later moment, whatever the clock
/// does.
void LiveItems::store(std::vector<LiveRecord>& records) {
  const int64_t moment = std::max(clock_(), last_moment_ + 1);
  std::vector<std::string> texts;
  for (LiveRecord& record : records) {
    record.updated = moment;
    texts.push_back(to_text(record));
  }
  store_->write([&](KeyStore::Writer& writer) {
    for (size_t i = 0; i < records.size(); ++i) writer.put(records[i].id, texts[i]);
  });
  last_moment_ = moment;
}

std::optional<LiveRecord> LiveItems::find(const std::string& id) const {
  check_id(id);
  const auto text = store_->get(id);
  return text ? std::optional(from_text(id, *text)) : std::nullopt;
}

std::vector<LiveRecord> LiveItems::all() const {
  std::vector<LiveRecord> records;
  store_->each(
      [&](std::string_view id, std::string_view text) { records.push_back(from_text(id, text)); });
  return records;
}

int64_t LiveItems::size() const { return store_->size(); }

int64_t LiveItems::sweep() {
  const std::lock_guard in_order(write_mutex_);
  const int64_t now = clock_();
  std::vector<LiveRecord> expired;
  for (LiveRecord& record : all())
    if (!record.deleted && record.expires <= now) expired.push_back(std::move(record));
  store_->write([&](KeyStore::Writer& writer) {
    for (LiveRecord& record : expired) {
      record.deleted = true;  // its moment stays: it went when it expired
      writer.put(record.id, to_text(record));
    }
  });
  return std::ssize(expired);
}

void LiveItems::attach(LiveIndex& index) {
  const std::unique_lock alone(attached_mutex_);
  attached_.push_back(&index);
}

void LiveItems::detach(LiveIndex& index) {
  const std::unique_lock alone(attached_mutex_);
  std::erase(attached_, &index);
}

}  // namespace retort
