// Keys and values that survive the process: an LMDB folder, or memory alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "retort/common/file.h"
#include "retort/server/fair_mutex.h"

struct MDB_env;
struct MDB_txn;

namespace retort {

/// Thread-safe; one object a folder in a process. A process killed at any moment leaves the state
/// after the last write that returned, or after the one under way. Each value carries a checksum.
/// Errors: IoError where the disk is full or a file cannot be read or written (what was there
/// stays, and later calls are tried anew), DataError where the folder holds no such store or a
/// value was altered, ArgumentError for a key that is empty or longer than kLongestKey.
class KeyStore {
 public:
  static constexpr size_t kLongestKey = 500;

  struct Options {
    size_t map_bytes = size_t{64} << 20;  // largest file at first; doubled when it is full
    bool sync_meta = true;  // false: a machine that crashes may lose the last write, never more
  };
  /// Makes the folder where it is missing; empty: memory alone.
  KeyStore(fs::path folder, Options options);
  ~KeyStore();
  KeyStore(const KeyStore&) = delete;
  KeyStore& operator=(const KeyStore&) = delete;

  /// Sees and makes changes of one write.
  class Writer {
   public:
    std::optional<std::string> get(std::string_view key) const;
    void put(std::string_view key, std::string_view value);
    void erase(std::string_view key);

   private:
    friend class KeyStore;
    Writer(const KeyStore& store, MDB_txn* txn) : store_(store), txn_(txn) {}
    const KeyStore& store_;
    MDB_txn* txn_;                                              // nullptr: in memory
    std::map<std::string, std::optional<std::string>> staged_;  // in memory
  };

  std::optional<std::string> get(std::string_view key) const;
  /// Of one moment.
  std::vector<std::optional<std::string>> get(std::span<const std::string> keys) const;
  /// Every key in ascending order, of one moment.
  void each(const std::function<void(std::string_view key, std::string_view value)>& visit) const;
  int64_t size() const;
  /// All of the change or nothing, on disk when it returns. `change` may be called again, after the
  /// file has grown.
  void write(const std::function<void(Writer& writer)>& change);

 private:
  class Transaction;
  void open();
  void close();
  bool closed() const;
  void reopen();
  void grow();
  std::optional<std::string> checked(std::string_view key, std::string_view stored) const;
  [[noreturn]] void refuse(int code, const char* what) const;

  fs::path folder_;
  Options options_;
  MDB_env* env_ = nullptr;
  unsigned table_ = 0;
  mutable FairSharedMutex map_mutex_;  // exclusive: the file is mapped anew
  mutable std::mutex memory_mutex_;
  std::map<std::string, std::string, std::less<>> memory_;
};

}  // namespace retort
