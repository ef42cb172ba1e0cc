// The feature store of one machine: an LMDB folder.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "retort/common/file.h"
#include "retort/server/feature_store.h"
#include "retort/server/key_store.h"
#include "retort/server/store_counts.h"

namespace retort {

/// Unavailable is here a disk that is full or fails; what was written stays readable. A machine
/// that crashes may lose the last event, a process that is killed loses none.
class LmdbFeatureStore : public FeatureStore {
 public:
  /// Throws as KeyStore.
  explicit LmdbFeatureStore(const fs::path& folder);
  using FeatureStore::find;
  std::vector<StoredUser> find(std::span<const std::string> users) override;
  bool put(std::span<const NamedFeatures> users) override;
  bool append_event(const std::string& user, const UserEvent& event) override;
  StoreCounters counters() const override { return counts_.read(true); }

 private:
  StoredUser read(const std::string& user);
  bool write(uint64_t rows, const std::function<void(KeyStore::Writer&)>& change);
  std::vector<UserEvent> events_of(const std::string& text);

  KeyStore store_;
  StoreCounts counts_;
};

}  // namespace retort
