// Connections to a Postgres database, for the index that lives in one.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "retort/common/error.h"

struct pg_conn;
struct pg_result;

namespace retort {

/// The database cannot be reached or refuses a command. Names neither user nor password.
class PostgresError : public IoError {
 public:
  using IoError::IoError;
};

/// Values of $1, $2, .. of a command.
class PostgresParameters {
 public:
  PostgresParameters& add(std::string_view text);
  PostgresParameters& add(int64_t number);
  /// As pgvector's vector: write $N::vector in the command.
  PostgresParameters& add_vector(std::span<const float> vector);
  /// As an array: write $N::int4[].
  PostgresParameters& add_array(std::span<const int32_t> numbers);
  int size() const { return static_cast<int>(values_.size()); }

 private:
  friend class PostgresConnection;
  std::vector<std::string> values_;
  std::vector<int> binary_;  // 1: as the database keeps it, 0: as text
};

/// Rows of an answer, as text.
class PostgresRows {
 public:
  int64_t size() const;
  std::string_view text(int64_t row, int column) const;
  int64_t integer(int64_t row, int column) const;
  double number(int64_t row, int column) const;

 private:
  friend class PostgresConnection;
  struct Clear {
    void operator()(pg_result* result) const;
  };
  std::unique_ptr<pg_result, Clear> result_;
};

/// One connection; of one thread at a time.
class PostgresConnection {
 public:
  /// url: "postgresql://USER@HOST/DATABASE" or libpq's key words; empty: what the environment says
  /// (PGHOST and the like). Waits two seconds at most unless the URL says otherwise. Throws
  /// PostgresError.
  explicit PostgresConnection(const std::string& url);
  /// Throws PostgresError with what the database says.
  PostgresRows run(const std::string& command, const PostgresParameters& parameters = {});
  bool good() const;

 private:
  struct Finish {
    void operator()(pg_conn* connection) const;
  };
  std::unique_ptr<pg_conn, Finish> connection_;
};

/// Connections that threads borrow. Thread-safe. After a failure nobody waits for another: for a
/// while that doubles from 50 ms to 2 s, whoever asks is told so at once.
class PostgresPool {
 public:
  /// Makes one connection; throws PostgresError.
  explicit PostgresPool(std::string url);

  /// work(connection) on a connection that nobody else has. Throws PostgresError; one that breaks
  /// is replaced.
  template <class Work>
  auto with(Work&& work) {
    std::unique_ptr<PostgresConnection> connection = borrow();
    try {
      auto result = work(*connection);
      give_back(std::move(connection));
      return result;
    } catch (const PostgresError&) {
      failed(std::move(connection));
      throw;
    }
  }

 private:
  std::unique_ptr<PostgresConnection> borrow();
  void give_back(std::unique_ptr<PostgresConnection> connection);
  void failed(std::unique_ptr<PostgresConnection> connection);
  void pause_longer();

  std::string url_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<PostgresConnection>> idle_;
  std::chrono::milliseconds pause_{0};
  std::chrono::steady_clock::time_point closed_until_{};
  std::string reason_;
};

}  // namespace retort
