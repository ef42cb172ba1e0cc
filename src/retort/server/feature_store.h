// What is known of users beside the bundle, and what they did since: embedded (LMDB) or shared by a
// fleet (Redis).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "retort/bundle/bundle.h"
#include "retort/common/json.h"
#include "retort/encoder/user_events.h"

namespace retort {

/// One user's entry. A store that is down says so here and throws nothing: the server then answers
/// from the bundle alone.
struct StoredUser {
  bool available = true;            // false: the store could not be asked
  std::optional<Json> features;     // as user_after takes them
  std::vector<UserEvent> events{};  // newest first, at most FeatureStore::kEvents
};

struct NamedFeatures {
  std::string user;
  Json features;
};

/// Since the store was opened, for /metrics.
struct StoreCounters {
  uint64_t reads = 0, writes = 0;  // users asked for, users or events written
  uint64_t unavailable = 0;        // of these, how many the store could not serve
  uint64_t failures = 0;           // commands that failed, timed out or met a closed connection
  uint64_t reconnects = 0;         // connections made after the first
  uint64_t bad_values = 0;         // entries that could not be read and count as absent
  bool up = true;                  // it can be asked now
};

/// Thread-safe.
class FeatureStore {
 public:
  static constexpr int64_t kEvents = 200;
  virtual ~FeatureStore() = default;
  /// One a user, in one round trip.
  virtual std::vector<StoredUser> find(std::span<const std::string> users) = 0;
  StoredUser find(const std::string& user) { return std::move(find(std::span(&user, 1)).front()); }
  /// Replaces the features of each. False: unavailable; some may have been written.
  virtual bool put(std::span<const NamedFeatures> users) = 0;
  /// Adds to the user's events and forgets all but the kEvents newest; the same event twice counts
  /// once. False: unavailable, nothing is known to be written.
  virtual bool append_event(const std::string& user, const UserEvent& event) = 0;
  virtual StoreCounters counters() const = 0;
};

/// Throws DataError unless a user's key has 1 to 400 bytes.
void check_user_key(const std::string& user);

/// "lmdb:FOLDER", or "redis://[:PASSWORD@]HOST[:PORT][/DB]" with, behind a ?, "timeout_ms=20" and
/// "connections=4". Redis may be down: it is tried again in the background. Throws ConfigError for
/// another URL, IoError or DataError if the folder cannot be opened.
std::unique_ptr<FeatureStore> open_feature_store(const std::string& url);

/// A row of user features as raw features (key "moment", the bundle's, among them), from which
/// user_after gives the bundle's own. Left out are texts of hashed vocabularies, hour and weekday.
Json describe_user(const Bundle& bundle, const SideBatch& users, int64_t row);

/// Writes what describe_user gives of every user of the bundle, as of its moment. Returns the
/// number of users written; throws IoError if the store becomes unavailable.
int64_t fill_feature_store(const Bundle& bundle, FeatureStore& store);

}  // namespace retort
