// Live items searched beside one bundle: their vectors by its item tower, exact, at once.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "retort/bundle/bundle.h"
#include "retort/encoder/overlay.h"
#include "retort/encoder/tower_encoder.h"
#include "retort/server/live_items.h"

namespace retort {

/// What a LiveIndex holds, for /metrics.
struct LiveCounts {
  int64_t items = 0;     // vectors, expired ones among them until the next change
  int64_t hidden = 0;    // items of the bundle that are gone or replaced, or will be
  int64_t rejected = 0;  // records that this bundle's schema cannot read: not found here
};

/// The rules are those of LiveItems. Readers never wait for a writer: they search a snapshot.
/// Items come and go by the clock of the LiveItems at the moment of the search.
class LiveIndex : public ItemOverlay {
 public:
  /// Computes the vectors of all live items and follows `items` from then on; changes that come
  /// meanwhile are not lost. All three must outlive it. Records that the bundle cannot read are
  /// counted and logged.
  LiveIndex(const Bundle& bundle, const TowerEncoder& encoder, LiveItems& items);
  ~LiveIndex() override;
  LiveIndex(const LiveIndex&) = delete;
  LiveIndex& operator=(const LiveIndex&) = delete;

  void hide(ItemFilter& filter) const override;
  std::vector<Hit> search(std::span<const float> query, int32_t k, const std::string& where,
                          std::span<const std::string> exclude) const override;
  LiveCounts counts() const;

 private:
  friend class LiveItems;
  struct Row;
  struct Block;
  struct Hidden;
  struct Snapshot;
  struct Change;

  std::vector<Change> prepare(std::span<const LiveRecord> records, bool strict) const;
  void apply(std::vector<Change> changes, bool filling);
  bool in_bundle(const std::string& id) const { return bundle_.find_item(id).has_value(); }
  std::shared_ptr<const Snapshot> snapshot() const;

  const Bundle& bundle_;
  const TowerEncoder& encoder_;
  LiveItems& items_;
  int64_t created_;  // moment the bundle was made

  mutable std::mutex snapshot_mutex_;  // held only to copy or replace the pointer
  std::shared_ptr<const Snapshot> snapshot_;

  std::mutex change_mutex_;  // guards what follows
  std::unordered_map<std::string, size_t> block_of_;
  std::unordered_set<std::string> touched_;  // while the index is filled: ids changed meanwhile
  bool filling_ = true;
};

}  // namespace retort
