#include "retort/server/redis_feature_store.h"

#include <algorithm>
#include <memory>
#include <string_view>
#include <utility>

#include <hiredis/hiredis.h>

#include "retort/common/log.h"
#include "retort/server/stored_event.h"

namespace retort {
namespace {

constexpr size_t kUsers = 256;  // of one pipeline

struct FreeReply {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};

std::string features_key(const std::string& user) { return "retort:features:" + user; }
std::string events_key(const std::string& user) { return "retort:events:" + user; }

std::string_view text_of(const redisReply& reply) { return {reply.str, reply.len}; }

void append(redisContext* context, const std::vector<std::string>& command) {
  std::vector<const char*> words;
  std::vector<size_t> lengths;
  for (const std::string& word : command) {
    words.push_back(word.data());
    lengths.push_back(word.size());
  }
  redisAppendCommandArgv(context, static_cast<int>(words.size()), words.data(), lengths.data());
}

}  // namespace

/// Sends all commands, then reads their answers. False where the server is not there, fails on the
/// way, or refuses one of them (out of memory, still loading).
bool RedisFeatureStore::pipeline(std::span<const Command> commands, const Visit& visit) {
  RedisConnections::Connection connection = connections_.borrow();
  redisContext* context = connection.context.get();
  if (context == nullptr) return false;
  for (const Command& command : commands) append(context, command);
  bool good = true;
  for (size_t i = 0; i < commands.size(); ++i) {
    void* answer = nullptr;
    if (redisGetReply(context, &answer) != REDIS_OK || answer == nullptr) {
      ++counts_.failures;
      connections_.drop(std::move(connection));
      return false;
    }
    const std::unique_ptr<redisReply, FreeReply> reply(static_cast<redisReply*>(answer));
    if (reply->type == REDIS_REPLY_ERROR) {
      if (good) log_warning("redis", "{}: {}", commands[i].front(), text_of(*reply));
      ++counts_.failures;
      good = false;
    } else if (visit) {
      visit(i, *reply);
    }
  }
  connections_.give_back(std::move(connection));
  return good;
}

std::vector<StoredUser> RedisFeatureStore::find(std::span<const std::string> users) {
  counts_.reads += users.size();
  std::vector<StoredUser> found(users.size());
  for (size_t begin = 0; begin < users.size(); begin += kUsers) {
    const size_t count = std::min(kUsers, users.size() - begin);
    const auto some = std::span(found).subspan(begin, count);
    if (read(users.subspan(begin, count), some)) continue;
    counts_.unavailable += count;
    for (StoredUser& user : some) user = {.available = false, .features = std::nullopt};
  }
  return found;
}

bool RedisFeatureStore::read(std::span<const std::string> users, std::span<StoredUser> found) {
  std::vector<Command> commands;
  for (const std::string& user : users) {
    commands.push_back({"GET", features_key(user)});
    commands.push_back({"ZREVRANGE", events_key(user), "0", std::to_string(kEvents - 1)});
  }
  return pipeline(commands, [&](size_t command, const redisReply& reply) {
    if (command % 2 == 0)
      read_features(reply, found[command / 2]);
    else
      read_events(reply, found[command / 2]);
  });
}

void RedisFeatureStore::read_features(const redisReply& reply, StoredUser& user) {
  if (reply.type != REDIS_REPLY_STRING) return;
  Json features = Json::parse(text_of(reply), nullptr, /*allow_exceptions=*/false);
  if (features.is_object())
    user.features = std::move(features);
  else
    ++counts_.bad_values;
}

void RedisFeatureStore::read_events(const redisReply& reply, StoredUser& user) {
  if (reply.type != REDIS_REPLY_ARRAY) return;
  for (size_t i = 0; i < reply.elements; ++i) {
    if (auto event = event_from_text(text_of(*reply.element[i])))
      user.events.push_back(std::move(*event));
    else
      ++counts_.bad_values;
  }
}

bool RedisFeatureStore::put(std::span<const NamedFeatures> users) {
  for (const NamedFeatures& entry : users) check_user_key(entry.user);
  counts_.writes += users.size();
  for (size_t begin = 0; begin < users.size(); begin += kUsers) {
    std::vector<Command> commands;
    for (const NamedFeatures& entry : users.subspan(begin, std::min(kUsers, users.size() - begin)))
      commands.push_back({"SET", features_key(entry.user), entry.features.dump()});
    if (pipeline(commands, nullptr)) continue;
    counts_.unavailable += users.size() - begin;
    return false;
  }
  return true;
}

bool RedisFeatureStore::append_event(const std::string& user, const UserEvent& event) {
  check_user_key(user);
  ++counts_.writes;
  const std::string key = events_key(user);
  const Command commands[] = {{"ZADD", key, std::to_string(event.time), to_json(event).dump()},
                              {"ZREMRANGEBYRANK", key, "0", std::to_string(-kEvents - 1)}};
  if (pipeline(commands, nullptr)) return true;
  ++counts_.unavailable;
  return false;
}

StoreCounters RedisFeatureStore::counters() const {
  StoreCounters counters = counts_.read(connections_.up());
  counters.reconnects = connections_.reconnects();
  return counters;
}

}  // namespace retort
