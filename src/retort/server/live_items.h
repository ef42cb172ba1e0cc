// The live items of one catalogue: what was put and deleted since the bundles of its models were
// made, kept across restarts and swaps. live_index.h makes them searchable beside a bundle.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "retort/common/file.h"
#include "retort/common/json.h"
#include "retort/server/fair_mutex.h"

namespace retort {

class LiveIndex;
class KeyStore;

/// Microseconds since 1970.
using Clock = std::function<int64_t()>;
int64_t system_now();

inline constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

/// What a PUT says.
struct LiveItem {
  std::string id;
  Json features = Json::object();  // as raw_item takes them
  int64_t expires = kNever;        // gone from this moment on
};

/// What is kept of an id: an item, or that it was deleted.
struct LiveRecord {
  std::string id;
  Json features = Json::object();
  int64_t expires = kNever;
  int64_t updated = 0;  // moment of the last put or erase
  bool deleted = false;
  bool gone(int64_t now) const { return deleted || expires <= now; }
};

/// Thread-safe. The rules, which hold for every bundle, made before or after:
/// - A deleted item is gone until it is put again, also from later bundles. So is one whose expiry
///   has passed.
/// - Of an item that was put and that the bundle holds as well, the later one gives vector and
///   attributes: the bundle's row if the bundle was created after the put, else the put. The expiry
///   holds for either.
class LiveItems {
 public:
  struct Options {
    Clock clock = system_now;
    size_t map_bytes = size_t{64} << 20;  // of the file at first; it grows by doubling
  };
  /// `folder` is made where it is missing; empty: in memory only. Throws IoError, and DataError if
  /// the folder holds something else.
  explicit LiveItems(fs::path folder);
  LiveItems(fs::path folder, Options options);
  ~LiveItems();
  LiveItems(const LiveItems&) = delete;
  LiveItems& operator=(const LiveItems&) = delete;

  /// Replaces or adds all of them, or none: on disk when it returns, and found by every attached
  /// index. Of one id put twice the last counts. Throws DataError naming item and feature for
  /// features that no attached bundle can read as they are, or an id that is empty or longer than
  /// kLongestId bytes; IoError if it cannot be written (disk full).
  void put(std::span<const LiveItem> items);
  void put(const LiveItem& item) { put(std::span(&item, 1)); }
  /// Deletes all, also items that only a bundle holds. Returns which were there, among the live
  /// items or in an attached bundle. Throws as `put`.
  std::vector<bool> erase(std::span<const std::string> ids);

  std::optional<LiveRecord> find(const std::string& id) const;
  /// Every record, deleted and expired ones among them. Throws DataError for an altered one.
  std::vector<LiveRecord> all() const;
  int64_t size() const;  // records
  /// Drops the features of expired items, leaving them deleted. Returns how many there were.
  int64_t sweep();
  int64_t now() const { return clock_(); }

  static constexpr size_t kLongestId = 400;

 private:
  friend class LiveIndex;
  void attach(LiveIndex& index);
  void detach(LiveIndex& index);
  void store(std::vector<LiveRecord>& records);

  Clock clock_;
  std::unique_ptr<KeyStore> store_;
  FairSharedMutex attached_mutex_;  // shared: a change is on its way through the attached indexes
  std::vector<LiveIndex*> attached_;
  std::mutex write_mutex_;  // changes reach the store and the indexes in one order
  int64_t last_moment_ = 0;
};

}  // namespace retort
