#include "retort/server/key_store.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <shared_mutex>
#include <utility>

#include <lmdb.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "retort/common/error.h"
#include "retort/common/log.h"

namespace retort {
namespace {

using Checksum = uint64_t;
constexpr unsigned kReaders = 1024;

MDB_val value_of(std::string_view text) {
  return {text.size(), const_cast<char*>(text.data())};  // LMDB reads it only
}
std::string_view text_of(const MDB_val& value) {
  return {static_cast<const char*>(value.mv_data), value.mv_size};
}

void check_key(std::string_view key) {
  check(!key.empty() && key.size() <= KeyStore::kLongestKey, "a key of {} bytes; it has 1 to {}",
        key.size(), KeyStore::kLongestKey);
}

}  // namespace

/// Aborted unless committed.
class KeyStore::Transaction {
 public:
  Transaction(const KeyStore& store, unsigned flags) : store_(store) {
    if (store.env_ == nullptr)
      fail<IoError>("{}: cannot be opened again after an error", store.folder_.string());
    if (const int code = mdb_txn_begin(store.env_, nullptr, flags, &txn_); code != 0)
      store.refuse(code, "cannot be opened for a transaction");
  }
  ~Transaction() {
    if (txn_ != nullptr) mdb_txn_abort(txn_);
  }
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  MDB_txn* get() const { return txn_; }
  void commit() {
    if (const int code = mdb_txn_commit(std::exchange(txn_, nullptr)); code != 0)
      store_.refuse(code, "cannot be written");
  }

 private:
  const KeyStore& store_;
  MDB_txn* txn_ = nullptr;
};

namespace {

struct MapFull {};

std::optional<std::string_view> find_in(MDB_txn* txn, unsigned table, std::string_view key,
                                        int& code) {
  MDB_val name = value_of(key), value{};
  code = mdb_get(txn, table, &name, &value);
  if (code != 0) return std::nullopt;
  return text_of(value);
}

}  // namespace

KeyStore::KeyStore(fs::path folder, Options options)
    : folder_(std::move(folder)), options_(options) {
  if (!folder_.empty()) open();
}

KeyStore::~KeyStore() { close(); }

void KeyStore::refuse(int code, const char* what) const {
  if (code == MDB_MAP_FULL) throw MapFull();
  if (code == MDB_INVALID || code == MDB_VERSION_MISMATCH || code == MDB_CORRUPTED ||
      code == MDB_PAGE_NOTFOUND || code == MDB_INCOMPATIBLE)
    fail<DataError>("{}: is no key store or is damaged ({})", folder_.string(), mdb_strerror(code));
  fail<IoError>("{}: {}: {}", folder_.string(), what, mdb_strerror(code));
}

void KeyStore::open() {
  std::error_code made;
  fs::create_directories(folder_, made);
  if (made) fail<IoError>("{}: cannot be made: {}", folder_.string(), made.message());
  MDB_env* env = nullptr;
  const auto attempt = [&](int code) {
    if (code == 0) return;
    mdb_env_close(env);
    refuse(code, "cannot be opened");
  };
  if (const int code = mdb_env_create(&env); code != 0) refuse(code, "cannot be opened");
  attempt(mdb_env_set_mapsize(env, options_.map_bytes));
  attempt(mdb_env_set_maxreaders(env, kReaders));
  const unsigned flags = MDB_NOTLS | (options_.sync_meta ? 0U : MDB_NOMETASYNC);
  attempt(mdb_env_open(env, folder_.c_str(), flags, 0600));
  int dead = 0;
  attempt(mdb_reader_check(env, &dead));  // readers that were killed keep pages from being reused
  MDB_txn* txn = nullptr;
  attempt(mdb_txn_begin(env, nullptr, 0, &txn));
  const int code = mdb_dbi_open(txn, nullptr, 0, &table_);
  if (code != 0) mdb_txn_abort(txn);
  attempt(code);
  attempt(mdb_txn_commit(txn));
  env_ = env;
}

bool KeyStore::closed() const {
  const std::shared_lock lock(map_mutex_);
  return env_ == nullptr;
}

void KeyStore::close() {
  if (env_ != nullptr) mdb_env_close(std::exchange(env_, nullptr));
}

/// A failed write of a page may leave the environment unusable until it is opened anew.
void KeyStore::reopen() {
  const std::unique_lock lock(map_mutex_);
  close();
  try {
    open();
  } catch (const Error& error) {
    log_warning("store", "{}", error.what());
  }
}

void KeyStore::grow() {
  const std::unique_lock lock(map_mutex_);
  MDB_envinfo info{};
  mdb_env_info(env_, &info);
  options_.map_bytes = info.me_mapsize * 2;
  if (const int code = mdb_env_set_mapsize(env_, options_.map_bytes); code != 0)
    fail<IoError>("{}: cannot grow to {} bytes: {}", folder_.string(), options_.map_bytes,
                  mdb_strerror(code));
  log_info("store", "{}: grown to at most {} MiB", folder_.string(), options_.map_bytes >> 20);
}

std::optional<std::string> KeyStore::checked(std::string_view key, std::string_view stored) const {
  Checksum sum = 0;
  if (stored.size() >= sizeof sum) std::memcpy(&sum, stored.data(), sizeof sum);
  const std::string_view value = stored.substr(std::min(stored.size(), sizeof sum));
  if (stored.size() < sizeof sum || sum != XXH64(value.data(), value.size(), 0))
    fail<DataError>("{}: the value of '{}' was altered", folder_.string(), key);
  return std::string(value);
}

std::optional<std::string> KeyStore::Writer::get(std::string_view key) const {
  check_key(key);
  if (txn_ == nullptr) {
    if (const auto at = staged_.find(std::string(key)); at != staged_.end()) return at->second;
    const auto at = store_.memory_.find(key);
    return at == store_.memory_.end() ? std::nullopt : std::optional(at->second);
  }
  int code = 0;
  const auto found = find_in(txn_, store_.table_, key, code);
  if (code == MDB_NOTFOUND) return std::nullopt;
  if (code != 0) store_.refuse(code, "cannot be read");
  return store_.checked(key, *found);
}

void KeyStore::Writer::put(std::string_view key, std::string_view value) {
  check_key(key);
  if (txn_ == nullptr) {
    staged_[std::string(key)] = std::string(value);
    return;
  }
  const Checksum sum = XXH64(value.data(), value.size(), 0);
  MDB_val name = value_of(key), room{sizeof sum + value.size(), nullptr};
  if (const int code = mdb_put(txn_, store_.table_, &name, &room, MDB_RESERVE); code != 0)
    store_.refuse(code, "cannot be written");
  std::memcpy(room.mv_data, &sum, sizeof sum);
  if (!value.empty())
    std::memcpy(static_cast<char*>(room.mv_data) + sizeof sum, value.data(), value.size());
}

void KeyStore::Writer::erase(std::string_view key) {
  check_key(key);
  if (txn_ == nullptr) {
    staged_[std::string(key)] = std::nullopt;
    return;
  }
  MDB_val name = value_of(key);
  const int code = mdb_del(txn_, store_.table_, &name, nullptr);
  if (code != 0 && code != MDB_NOTFOUND) store_.refuse(code, "cannot be written");
}

std::optional<std::string> KeyStore::get(std::string_view key) const {
  const std::string copy(key);
  return std::move(get(std::span(&copy, 1)).front());
}

std::vector<std::optional<std::string>> KeyStore::get(std::span<const std::string> keys) const {
  std::vector<std::optional<std::string>> values;
  for (const std::string& key : keys) check_key(key);
  if (folder_.empty()) {
    const std::lock_guard lock(memory_mutex_);
    for (const std::string& key : keys) {
      const auto at = memory_.find(key);
      values.push_back(at == memory_.end() ? std::nullopt : std::optional(at->second));
    }
    return values;
  }
  const std::shared_lock lock(map_mutex_);
  const Transaction transaction(*this, MDB_RDONLY);
  for (const std::string& key : keys) {
    int code = 0;
    const auto found = find_in(transaction.get(), table_, key, code);
    if (code != 0 && code != MDB_NOTFOUND) refuse(code, "cannot be read");
    values.push_back(found ? checked(key, *found) : std::nullopt);
  }
  return values;
}

void KeyStore::each(
    const std::function<void(std::string_view key, std::string_view value)>& visit) const {
  if (folder_.empty()) {
    const std::lock_guard lock(memory_mutex_);
    for (const auto& [key, value] : memory_) visit(key, value);
    return;
  }
  const std::shared_lock lock(map_mutex_);
  const Transaction transaction(*this, MDB_RDONLY);
  MDB_cursor* cursor = nullptr;
  if (const int code = mdb_cursor_open(transaction.get(), table_, &cursor); code != 0)
    refuse(code, "cannot be read");
  const std::unique_ptr<MDB_cursor, decltype(&mdb_cursor_close)> owner(cursor, mdb_cursor_close);
  MDB_val key{}, value{};
  int code = 0;
  while ((code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0)
    visit(text_of(key), *checked(text_of(key), text_of(value)));
  if (code != MDB_NOTFOUND) refuse(code, "cannot be read");
}

int64_t KeyStore::size() const {
  if (folder_.empty()) {
    const std::lock_guard lock(memory_mutex_);
    return std::ssize(memory_);
  }
  const std::shared_lock lock(map_mutex_);
  const Transaction transaction(*this, MDB_RDONLY);
  MDB_stat stat{};
  if (const int code = mdb_stat(transaction.get(), table_, &stat); code != 0)
    refuse(code, "cannot be read");
  return static_cast<int64_t>(stat.ms_entries);
}

void KeyStore::write(const std::function<void(Writer& writer)>& change) {
  if (folder_.empty()) {
    const std::lock_guard lock(memory_mutex_);
    Writer writer(*this, nullptr);
    change(writer);
    for (auto& [key, value] : writer.staged_)
      if (value)
        memory_[key] = std::move(*value);
      else
        memory_.erase(key);
    return;
  }
  while (true) {
    if (closed()) reopen();
    try {
      const std::shared_lock lock(map_mutex_);
      Transaction transaction(*this, 0);
      Writer writer(*this, transaction.get());
      change(writer);
      transaction.commit();
      return;
    } catch (const MapFull&) {
      grow();
    } catch (const IoError&) {
      reopen();
      throw;
    }
  }
}

}  // namespace retort
