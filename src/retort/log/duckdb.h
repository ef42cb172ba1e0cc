// DuckDB through its C API: a connection that never touches the network, and typed results.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "retort/common/file.h"

namespace retort {

class Progress;

/// One vector of up to a few thousand rows of a result, read by column.
class ResultChunk {
 public:
  int64_t rows() const;
  bool is_null(int column, int64_t row) const;
  bool boolean(int column, int64_t row) const;
  int64_t integer(int column, int64_t row) const;  // any integer type, or TIMESTAMP in us
  double number(int column, int64_t row) const;    // FLOAT, DOUBLE or any integer type
  /// All rows of a column whose DuckDB type is T's own; what stands where a row is NULL is
  /// anything.
  template <class T>
  std::span<const T> values(int column) const;
  std::string_view text(int column, int64_t row) const;  // VARCHAR; valid during the callback
  /// The elements of a LIST cell. `numbers` gives NaN for a NULL element, `texts` leaves it out.
  std::vector<int64_t> integers(int column, int64_t row) const;
  std::vector<double> numbers(int column, int64_t row) const;
  std::vector<std::string> texts(int column, int64_t row) const;

 private:
  friend class DuckDb;
  struct State;
  explicit ResultChunk(State* state) : state_(state) {}
  State* state_;
};

struct DuckDbOptions {
  fs::path database{};  // empty = in memory
  std::string memory_limit = "2GB";
  fs::path temporary_folder{};  // where DuckDB spills; empty = beside the database
  int threads = 0;              // 0 = threads() of the process
  bool interruptible =
      true;  // false: goes on after Ctrl-C, as what must be written at the end does
};

/// A database with one connection. Extensions are neither installed nor loaded on their own.
class DuckDb {
 public:
  explicit DuckDb(DuckDbOptions options = {});
  ~DuckDb();
  DuckDb(const DuckDb&) = delete;
  DuckDb& operator=(const DuckDb&) = delete;

  /// Runs statements that give no rows. Throws DataError with DuckDB's message and `what`, and
  /// Interrupted on Ctrl-C. `progress` is set to the percentage done.
  void run(const std::string& sql, std::string_view what = {}, Progress* progress = nullptr);
  /// Streams the result in chunks without materialising it; columns are those of the query.
  void query(const std::string& sql, const std::function<void(const ResultChunk&)>& each,
             std::string_view what = {});
  /// First column of the first row; nullopt if there is no row or it is NULL.
  std::optional<int64_t> query_integer(const std::string& sql);
  std::optional<double> query_number(const std::string& sql);
  std::optional<std::string> query_text(const std::string& sql);
  /// Names and DuckDB type names of a query's columns, without running it.
  std::vector<std::pair<std::string, std::string>> describe(const std::string& sql);
  /// Appends rows to a table of one BIGINT column.
  void append(const std::string& table, std::span<const int64_t> values);

 private:
  friend class TableAppender;
  struct State;
  std::unique_ptr<State> state_;
};

/// Appends rows to a table of texts, numbers, booleans, moments and lists, value by value in the
/// order of its columns. Throws IoError with DuckDB's message, ArgumentError on a value that the
/// column does not take or a row of another length.
class TableAppender {
 public:
  TableAppender(DuckDb& db, const std::string& table);
  ~TableAppender();
  TableAppender(const TableAppender&) = delete;
  TableAppender& operator=(const TableAppender&) = delete;

  void text(std::string_view value);
  void integer(int64_t value);
  void number(float value);
  void moment(int64_t microseconds);                     // TIMESTAMP
  void texts(std::span<const std::string_view> values);  // VARCHAR[]
  void numbers(std::span<const float> values);           // FLOAT[]
  void null();
  void end_row();
  /// Must be called: rows that were not closed are lost.
  void close();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// 'It''s' and "a ""b""".
std::string sql_string(std::string_view text);
std::string sql_name(std::string_view identifier);

}  // namespace retort
