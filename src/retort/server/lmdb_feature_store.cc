#include "retort/server/lmdb_feature_store.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "retort/common/error.h"
#include "retort/common/log.h"
#include "retort/server/stored_event.h"

namespace retort {
namespace {

constexpr const char* kFeaturesOf = "f/";
constexpr const char* kEventsOf = "e/";

bool same(const UserEvent& a, const UserEvent& b) {
  const bool seconds = a.seconds == b.seconds || (std::isnan(a.seconds) && std::isnan(b.seconds));
  return a.time == b.time && a.item == b.item && a.clicked == b.clicked && seconds &&
         a.stream == b.stream;
}

}  // namespace

LmdbFeatureStore::LmdbFeatureStore(const fs::path& folder) : store_(folder, {.sync_meta = false}) {}

std::vector<UserEvent> LmdbFeatureStore::events_of(const std::string& text) {
  std::vector<UserEvent> events;
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_array()) ++counts_.bad_values;
  if (json.is_array())
    for (const Json& entry : json) {
      if (auto event = event_from_json(entry))
        events.push_back(std::move(*event));
      else
        ++counts_.bad_values;
    }
  return events;
}

StoredUser LmdbFeatureStore::read(const std::string& user) {
  StoredUser stored;
  const std::string keys[] = {kFeaturesOf + user, kEventsOf + user};
  if (user.empty() || keys[0].size() > KeyStore::kLongestKey) return stored;  // nobody put them
  try {
    const auto values = store_.get(keys);
    if (values[0]) {
      Json features = Json::parse(*values[0], nullptr, false);
      if (features.is_object())
        stored.features = std::move(features);
      else
        ++counts_.bad_values;
    }
    if (values[1]) stored.events = events_of(*values[1]);
  } catch (const DataError& error) {
    ++counts_.bad_values;
    log_warning("users", "{}", error.what());
  } catch (const IoError& error) {
    ++counts_.failures;
    ++counts_.unavailable;
    log_warning("users", "{}", error.what());
    stored.available = false;
  }
  return stored;
}

std::vector<StoredUser> LmdbFeatureStore::find(std::span<const std::string> users) {
  counts_.reads += users.size();
  std::vector<StoredUser> found;
  for (const std::string& user : users) found.push_back(read(user));
  return found;
}

bool LmdbFeatureStore::write(uint64_t rows, const std::function<void(KeyStore::Writer&)>& change) {
  counts_.writes += rows;
  try {
    store_.write(change);
    return true;
  } catch (const IoError& error) {
    ++counts_.failures;
    counts_.unavailable += rows;
    log_warning("users", "{}", error.what());
    return false;
  }
}

bool LmdbFeatureStore::put(std::span<const NamedFeatures> users) {
  for (const NamedFeatures& entry : users) check_user_key(entry.user);
  return write(users.size(), [&](KeyStore::Writer& writer) {
    for (const NamedFeatures& entry : users)
      writer.put(kFeaturesOf + entry.user, entry.features.dump());
  });
}

bool LmdbFeatureStore::append_event(const std::string& user, const UserEvent& event) {
  check_user_key(user);
  return write(1, [&](KeyStore::Writer& writer) {
    std::vector<UserEvent> events;
    std::optional<std::string> text;
    try {
      text = writer.get(kEventsOf + user);
    } catch (const DataError&) {
      ++counts_.bad_values;  // altered: begun anew
    }
    if (text) events = events_of(*text);
    if (std::any_of(events.begin(), events.end(),
                    [&](const UserEvent& e) { return same(e, event); }))
      return;
    const auto at = std::find_if(events.begin(), events.end(),
                                 [&](const UserEvent& e) { return e.time <= event.time; });
    events.insert(at, event);
    if (std::ssize(events) > FeatureStore::kEvents) events.resize(FeatureStore::kEvents);
    Json json = Json::array();
    for (const UserEvent& e : events) json.push_back(to_json(e));
    writer.put(kEventsOf + user, json.dump());
  });
}

}  // namespace retort
