#include "retort/server/redis_connections.h"

#include <algorithm>
#include <csignal>
#include <utility>

#include <hiredis/hiredis.h>

#include "retort/common/log.h"

namespace retort {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds kFirstPause{50}, kLongestPause{2000};

timeval timeval_of(milliseconds time) {
  return {.tv_sec = time.count() / 1000, .tv_usec = (time.count() % 1000) * 1000};
}

/// Whether the server answers the command without an error.
bool answers(redisContext* context, std::initializer_list<std::string> command,
             std::string& error) {
  std::vector<const char*> words;
  std::vector<size_t> lengths;
  for (const std::string& word : command) {
    words.push_back(word.data());
    lengths.push_back(word.size());
  }
  auto* reply = static_cast<redisReply*>(
      redisCommandArgv(context, static_cast<int>(words.size()), words.data(), lengths.data()));
  const bool good = reply != nullptr && reply->type != REDIS_REPLY_ERROR;
  if (!good)
    error = reply == nullptr ? std::string(context->errstr) : std::string(reply->str, reply->len);
  if (reply != nullptr) freeReplyObject(reply);
  return good;
}

void ignore_broken_pipes() {
  struct sigaction now {};
  if (::sigaction(SIGPIPE, nullptr, &now) == 0 && now.sa_handler == SIG_DFL)
    std::signal(SIGPIPE, SIG_IGN);
}

}  // namespace

void RedisConnections::Free::operator()(redisContext* context) const { redisFree(context); }

RedisConnections::RedisConnections(RedisAddress address) : address_(std::move(address)) {
  ignore_broken_pipes();
  std::string error;
  Connection first = connect(error);
  if (first.context != nullptr) {
    idle_.push_back(std::move(first));
    open_ = 1;
  } else {
    log_warning("redis", "{}:{} cannot be reached: {}; it is tried again", address_.host,
                address_.port, error);
    generation_ = 1;
  }
  keeper_ = std::jthread([this](const std::stop_token& stop) { keep_connected(stop); });
}

RedisConnections::~RedisConnections() {
  keeper_.request_stop();
  changed_.notify_all();
}

RedisConnections::Connection RedisConnections::connect(std::string& error) const {
  Connection made;
  made.context.reset(
      redisConnectWithTimeout(address_.host.c_str(), address_.port, timeval_of(address_.timeout)));
  redisContext* context = made.context.get();
  if (context == nullptr || context->err != 0) {
    error = context == nullptr ? "no memory" : context->errstr;
    return {};
  }
  redisSetTimeout(context, timeval_of(address_.timeout));
  if ((!address_.password.empty() && !answers(context, {"AUTH", address_.password}, error)) ||
      (address_.db != 0 && !answers(context, {"SELECT", std::to_string(address_.db)}, error)) ||
      !answers(context, {"PING"}, error))
    return {};
  return made;
}

void RedisConnections::keep_connected(const std::stop_token& stop) {
  milliseconds pause{0};
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    if (pause.count() > 0)
      changed_.wait_for(lock, stop, pause, [] { return false; });
    else
      changed_.wait(lock, stop, [&] { return open_ < address_.connections; });
    if (stop.stop_requested()) return;
    const uint64_t generation = generation_;
    lock.unlock();
    std::string error;
    Connection made = connect(error);
    lock.lock();
    if (made.context == nullptr) {
      pause = pause.count() == 0 ? kFirstPause : std::min(2 * pause, kLongestPause);
      continue;
    }
    pause = milliseconds{0};
    if (generation != generation_) continue;  // dropped with the others while it was made
    if (generation_ > 0) ++reconnects_;
    if (generation_ > 0 && open_ == 0)
      log_info("redis", "{}:{} is reached again", address_.host, address_.port);
    ++open_;
    made.generation = generation_;
    idle_.push_back(std::move(made));
    changed_.notify_all();
  }
}

RedisConnections::Connection RedisConnections::borrow() {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, address_.timeout, [&] { return !idle_.empty() || open_ == 0; });
  if (idle_.empty()) return {};
  Connection taken = std::move(idle_.back());
  idle_.pop_back();
  return taken;
}

void RedisConnections::give_back(Connection connection) {
  const std::lock_guard lock(mutex_);
  if (connection.generation != generation_) return;  // dropped with the others meanwhile
  idle_.push_back(std::move(connection));
  changed_.notify_all();
}

void RedisConnections::drop(Connection connection) {
  std::vector<Connection> dropped;
  const std::lock_guard lock(mutex_);
  if (connection.generation != generation_) return;
  log_warning("redis", "{}:{} failed: {}; it is tried again", address_.host, address_.port,
              connection.context->errstr);
  dropped.swap(idle_);
  open_ = 0;
  ++generation_;
  changed_.notify_all();
}

bool RedisConnections::up() const {
  const std::lock_guard lock(mutex_);
  return open_ > 0;
}

uint64_t RedisConnections::reconnects() const {
  const std::lock_guard lock(mutex_);
  return reconnects_;
}

}  // namespace retort
