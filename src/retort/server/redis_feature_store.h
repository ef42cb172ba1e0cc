// The feature store of a fleet: a Redis server.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "retort/server/feature_store.h"
#include "retort/server/redis_connections.h"
#include "retort/server/store_counts.h"

struct redisReply;

namespace retort {

/// Features of user U are the string "retort:features:U", events the sorted set "retort:events:U"
/// by their time. Several users are asked for in one pipeline. While the server is down every call
/// returns at once, and a call that meets its end or a server that hangs returns after the timeout.
class RedisFeatureStore : public FeatureStore {
 public:
  explicit RedisFeatureStore(RedisAddress address) : connections_(std::move(address)) {}
  using FeatureStore::find;
  std::vector<StoredUser> find(std::span<const std::string> users) override;
  bool put(std::span<const NamedFeatures> users) override;
  bool append_event(const std::string& user, const UserEvent& event) override;
  StoreCounters counters() const override;

 private:
  using Command = std::vector<std::string>;
  using Visit = std::function<void(size_t command, const redisReply& reply)>;
  bool pipeline(std::span<const Command> commands, const Visit& visit);
  bool read(std::span<const std::string> users, std::span<StoredUser> found);
  void read_features(const redisReply& reply, StoredUser& user);
  void read_events(const redisReply& reply, StoredUser& user);

  RedisConnections connections_;
  StoreCounts counts_;
};

}  // namespace retort
