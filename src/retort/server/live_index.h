// Live items searched beside one bundle: their vectors by its item tower, exact, at once.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "retort/bundle/bundle.h"
#include "retort/encoder/overlay.h"
#include "retort/encoder/tower_encoder.h"
#include "retort/server/live_block.h"
#include "retort/server/live_items.h"

namespace retort {

/// What a LiveIndex holds, for /metrics.
struct LiveCounts {
  int64_t items = 0;     // vectors, expired ones among them until the next change
  int64_t hidden = 0;    // items of the bundle that are gone or replaced, or will be
  int64_t rejected = 0;  // live items that this bundle's schema cannot read: not found here
};

/// The rules are those of LiveItems. Readers never wait for a writer: they search a snapshot.
/// Items come and go by the clock of the LiveItems at the moment of the search.
class LiveIndex : public ItemOverlay {
 public:
  /// Computes the vectors of all live items and follows `items` from then on; changes that come
  /// meanwhile are not lost. All three must outlive it. Live items that the bundle cannot read are
  /// counted and logged. Throws DataError for an altered record.
  LiveIndex(const Bundle& bundle, const TowerEncoder& encoder, LiveItems& items);
  ~LiveIndex() override;
  LiveIndex(const LiveIndex&) = delete;
  LiveIndex& operator=(const LiveIndex&) = delete;

  void hide(ItemFilter& filter) const override;
  std::vector<Hit> search(std::span<const float> query, int32_t k, const std::string& where,
                          std::span<const std::string> exclude) const override;
  std::vector<Own> find(std::span<const std::string> ids, const std::string& where) const override;
  /// Computes all vectors again as of now: an item's age is otherwise that of its put, or of the
  /// moment the index was made. May run beside everything else.
  void refresh() override;
  LiveCounts counts() const;
  int64_t version() const { return bundle_.version(); }

 private:
  friend class LiveItems;
  using Blocks = std::vector<std::shared_ptr<const LiveBlock>>;  // null: empty
  struct Hidden {
    ItemFilter visible;                                 // without bits: no item is hidden for good
    std::vector<std::pair<int64_t, int32_t>> expiring;  // (moment, item), ascending
    int64_t count = 0;
  };
  struct Snapshot {
    Blocks blocks;
    std::shared_ptr<const Hidden> hidden;
    int64_t rejected = 0;
  };
  class Editor;

  std::optional<RawItem> read(const LiveRecord& record, int64_t now, std::string& error) const;
  /// One a record. Names that the bundle does not know are left aside and said in the change's
  /// error; what it cannot read at all has no row.
  std::vector<LiveChange> prepare(std::span<const LiveRecord> records) const;
  void apply(std::span<const LiveChange> changes, bool refreshing = false);
  void change_hidden(const LiveChange& change, bool live);
  std::shared_ptr<const Hidden> make_hidden() const;
  bool in_bundle(const std::string& id) const { return bundle_.find_item(id).has_value(); }
  std::shared_ptr<const Snapshot> snapshot() const;

  const Bundle& bundle_;
  const TowerEncoder& encoder_;
  LiveItems& items_;
  int64_t created_;  // moment the bundle was made

  mutable std::mutex snapshot_mutex_;  // held only to copy or replace the pointer
  std::shared_ptr<const Snapshot> snapshot_ = std::make_shared<Snapshot>();

  std::mutex refresh_mutex_;  // one refresh at a time
  std::mutex change_mutex_;   // guards what follows
  std::unordered_map<std::string, size_t> block_of_;
  std::unordered_map<int32_t, int64_t> hidden_from_;  // items of the bundle, from which moment
  bool hidden_changed_ = true;
  std::unordered_set<std::string> rejected_;
  bool refreshing_ = false;
  std::unordered_set<std::string> touched_;  // ids changed while the index is refreshed
};

}  // namespace retort
