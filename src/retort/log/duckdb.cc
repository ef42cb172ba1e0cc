#include "retort/log/duckdb.h"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <memory>
#include <mutex>
#include <thread>

#include <duckdb.h>

#include "retort/common/error.h"
#include "retort/common/progress.h"
#include "retort/common/thread_pool.h"

namespace retort {
namespace {

/// Owns a DuckDB handle that is destroyed through a function taking its address.
template <class Handle, void (*destroy)(Handle*)>
struct Owned {
  Handle handle{};
  Owned() = default;
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  ~Owned() { destroy(&handle); }
};
using Statements = Owned<duckdb_extracted_statements, duckdb_destroy_extracted>;
using Prepared = Owned<duckdb_prepared_statement, duckdb_destroy_prepare>;
using Pending = Owned<duckdb_pending_result, duckdb_destroy_pending>;
using Result = Owned<duckdb_result, duckdb_destroy_result>;
using Chunk = Owned<duckdb_data_chunk, duckdb_destroy_data_chunk>;
void destroy_appender(duckdb_appender* appender) { duckdb_appender_destroy(appender); }
using Appender = Owned<duckdb_appender, destroy_appender>;
using LogicalType = Owned<duckdb_logical_type, duckdb_destroy_logical_type>;

/// One column of a chunk: where its values and its validity lie.
struct Vector {
  duckdb_vector vector = nullptr;
  duckdb_type type = DUCKDB_TYPE_INVALID;
  const void* data = nullptr;
  uint64_t* validity = nullptr;

  explicit Vector(duckdb_vector from) : vector(from) {
    LogicalType logical;
    logical.handle = duckdb_vector_get_column_type(from);
    type = duckdb_get_type_id(logical.handle);
    data = duckdb_vector_get_data(from);
    validity = duckdb_vector_get_validity(from);
  }
  bool valid(int64_t row) const {
    return validity == nullptr || duckdb_validity_row_is_valid(validity, static_cast<idx_t>(row));
  }
  template <class T>
  T at(int64_t row) const {
    return static_cast<const T*>(data)[row];
  }
};

int64_t integer_of(const Vector& column, int64_t row) {
  switch (column.type) {
    case DUCKDB_TYPE_BOOLEAN:
      return column.at<bool>(row) ? 1 : 0;
    case DUCKDB_TYPE_TINYINT:
      return column.at<int8_t>(row);
    case DUCKDB_TYPE_SMALLINT:
      return column.at<int16_t>(row);
    case DUCKDB_TYPE_INTEGER:
      return column.at<int32_t>(row);
    case DUCKDB_TYPE_TIMESTAMP:
    case DUCKDB_TYPE_TIMESTAMP_TZ:
    case DUCKDB_TYPE_BIGINT:
      return column.at<int64_t>(row);
    case DUCKDB_TYPE_UTINYINT:
      return column.at<uint8_t>(row);
    case DUCKDB_TYPE_USMALLINT:
      return column.at<uint16_t>(row);
    case DUCKDB_TYPE_UINTEGER:
      return column.at<uint32_t>(row);
    case DUCKDB_TYPE_UBIGINT:
      return static_cast<int64_t>(column.at<uint64_t>(row));
    case DUCKDB_TYPE_HUGEINT:  // count and sum: the value fits where the caller expects 64 bits
      return static_cast<int64_t>(column.at<duckdb_hugeint>(row).lower);
    default:
      break;
  }
  fail<ArgumentError>("ResultChunk: the column's DuckDB type {} is no integer",
                      static_cast<int>(column.type));
}

template <class T>
constexpr duckdb_type duckdb_type_of() {
  if constexpr (std::is_same_v<T, uint8_t>) return DUCKDB_TYPE_UTINYINT;
  if constexpr (std::is_same_v<T, int32_t>) return DUCKDB_TYPE_INTEGER;
  if constexpr (std::is_same_v<T, int64_t>) return DUCKDB_TYPE_BIGINT;
  if constexpr (std::is_same_v<T, float>) return DUCKDB_TYPE_FLOAT;
}

double number_of(const Vector& column, int64_t row) {
  if (column.type == DUCKDB_TYPE_FLOAT) return column.at<float>(row);
  if (column.type == DUCKDB_TYPE_DOUBLE) return column.at<double>(row);
  if (column.type == DUCKDB_TYPE_HUGEINT)
    return duckdb_hugeint_to_double(column.at<duckdb_hugeint>(row));
  return static_cast<double>(integer_of(column, row));
}

std::string_view text_of(const Vector& column, int64_t row) {
  check(column.type == DUCKDB_TYPE_VARCHAR, "ResultChunk: the column's DuckDB type {} is no text",
        static_cast<int>(column.type));
  auto* text = const_cast<duckdb_string_t*>(static_cast<const duckdb_string_t*>(column.data)) + row;
  return {duckdb_string_t_data(text), duckdb_string_t_length(*text)};
}

/// Child vector and range of a list cell.
std::pair<Vector, duckdb_list_entry> list_of(const Vector& column, int64_t row) {
  check(column.type == DUCKDB_TYPE_LIST, "ResultChunk: the column's DuckDB type {} is no list",
        static_cast<int>(column.type));
  return {Vector(duckdb_list_vector_get_child(column.vector)), column.at<duckdb_list_entry>(row)};
}

/// Passes Ctrl-C on to a connection, whose query may be deep in a sort when it comes. The flag is
/// set again and again because DuckDB clears it when a query begins.
class InterruptWatch {
 public:
  explicit InterruptWatch(duckdb_connection connection)
      : thread_([connection](const std::stop_token& stop) {
          std::mutex mutex;
          std::condition_variable_any wake;
          std::unique_lock lock(mutex);
          while (!wake.wait_for(lock, stop, std::chrono::milliseconds(50),
                                [&stop] { return stop.stop_requested(); }))
            if (interrupted()) duckdb_interrupt(connection);
        }) {}

 private:
  std::jthread thread_;
};

std::string message_of(std::string_view what, const char* error) {
  const std::string text = error == nullptr ? "unknown error of DuckDB" : error;
  return what.empty() ? text : fmt::format("{}: {}", what, text);
}

}  // namespace

struct ResultChunk::State {
  std::vector<Vector> columns;
  int64_t rows = 0;
};

int64_t ResultChunk::rows() const { return state_->rows; }

bool ResultChunk::is_null(int column, int64_t row) const {
  return !state_->columns[static_cast<size_t>(column)].valid(row);
}

bool ResultChunk::boolean(int column, int64_t row) const { return integer(column, row) != 0; }

int64_t ResultChunk::integer(int column, int64_t row) const {
  return integer_of(state_->columns[static_cast<size_t>(column)], row);
}

double ResultChunk::number(int column, int64_t row) const {
  return number_of(state_->columns[static_cast<size_t>(column)], row);
}

template <class T>
std::span<const T> ResultChunk::values(int column) const {
  const Vector& from = state_->columns[static_cast<size_t>(column)];
  check(from.type == duckdb_type_of<T>(), "ResultChunk: column {} has another DuckDB type, {}",
        column, static_cast<int>(from.type));
  return {static_cast<const T*>(from.data), static_cast<size_t>(state_->rows)};
}
template std::span<const uint8_t> ResultChunk::values(int) const;
template std::span<const int32_t> ResultChunk::values(int) const;
template std::span<const int64_t> ResultChunk::values(int) const;
template std::span<const float> ResultChunk::values(int) const;

std::string_view ResultChunk::text(int column, int64_t row) const {
  return text_of(state_->columns[static_cast<size_t>(column)], row);
}

std::vector<int64_t> ResultChunk::integers(int column, int64_t row) const {
  const auto [child, range] = list_of(state_->columns[static_cast<size_t>(column)], row);
  std::vector<int64_t> values;
  for (idx_t i = range.offset; i < range.offset + range.length; ++i)
    values.push_back(integer_of(child, static_cast<int64_t>(i)));
  return values;
}

std::vector<double> ResultChunk::numbers(int column, int64_t row) const {
  const auto [child, range] = list_of(state_->columns[static_cast<size_t>(column)], row);
  std::vector<double> values;
  for (idx_t i = range.offset; i < range.offset + range.length; ++i) {
    const auto at = static_cast<int64_t>(i);
    values.push_back(child.valid(at) ? number_of(child, at) : __builtin_nan(""));
  }
  return values;
}

std::vector<std::string> ResultChunk::texts(int column, int64_t row) const {
  const auto [child, range] = list_of(state_->columns[static_cast<size_t>(column)], row);
  std::vector<std::string> values;
  for (idx_t i = range.offset; i < range.offset + range.length; ++i) {
    const auto at = static_cast<int64_t>(i);
    if (child.valid(at)) values.emplace_back(text_of(child, at));
  }
  return values;
}

struct DuckDb::State {
  duckdb_database database = nullptr;
  duckdb_connection connection = nullptr;
  std::optional<InterruptWatch> watch;  // of one that may be interrupted
  ~State() {
    watch.reset();
    duckdb_disconnect(&connection);
    duckdb_close(&database);
  }

  void check_interrupt() const {
    if (watch) retort::check_interrupt("ingest");
  }
  /// A query that ended in an error did so because of Ctrl-C, or of what it was asked.
  [[noreturn]] void fail_query(std::string_view what, const char* error) const {
    check_interrupt();
    throw DataError(message_of(what, error));
  }
  void prepare(Statements& statements, idx_t index, Prepared& prepared, std::string_view what) {
    if (duckdb_prepare_extracted_statement(connection, statements.handle, index,
                                           &prepared.handle) == DuckDBError)
      fail_query(what, duckdb_prepare_error(prepared.handle));
  }
  idx_t extract(const std::string& sql, Statements& statements, std::string_view what) {
    const idx_t count = duckdb_extract_statements(connection, sql.c_str(), &statements.handle);
    if (count == 0)
      throw DataError(message_of(what, duckdb_extract_statements_error(statements.handle)));
    return count;
  }

  /// Works on a pending query until its result is ready, looking at Ctrl-C and at the progress.
  void finish(Pending& pending, std::string_view what, Progress* progress) {
    for (int64_t round = 0;; ++round) {
      const duckdb_pending_state state = duckdb_pending_execute_task(pending.handle);
      if (state == DUCKDB_PENDING_ERROR) fail_query(what, duckdb_pending_error(pending.handle));
      if (duckdb_pending_execution_is_finished(state)) return;
      if (watch && interrupted()) {  // before other threads' tasks are waited for
        duckdb_interrupt(connection);
        check_interrupt();
      }
      if (state == DUCKDB_PENDING_NO_TASKS_AVAILABLE)
        std::this_thread::sleep_for(std::chrono::microseconds(200));
      if (progress != nullptr && round % 64 == 0) {
        const double share = duckdb_query_progress(connection).percentage;
        if (share >= 0) progress->update(static_cast<int64_t>(share));
      }
    }
  }
};

DuckDb::DuckDb(DuckDbOptions options) : state_(std::make_unique<State>()) {
  Owned<duckdb_config, duckdb_destroy_config> config;
  duckdb_create_config(&config.handle);
  const auto set = [&](const char* name, const std::string& value) {
    if (duckdb_set_config(config.handle, name, value.c_str()) == DuckDBError)
      fail<ConfigError>("DuckDB does not take {} = '{}'", name, value);
  };
  set("autoinstall_known_extensions", "false");
  set("autoload_known_extensions", "false");
  set("threads", std::to_string(options.threads > 0 ? options.threads : threads()));
  set("preserve_insertion_order", "true");
  if (!options.temporary_folder.empty()) set("temp_directory", options.temporary_folder.string());
  char* error = nullptr;
  const std::string path = options.database.string();
  if (duckdb_open_ext(path.empty() ? nullptr : path.c_str(), &state_->database, config.handle,
                      &error) == DuckDBError) {
    const std::string text = message_of(path, error);
    duckdb_free(error);
    throw IoError(text);
  }
  if (duckdb_connect(state_->database, &state_->connection) == DuckDBError)
    fail<IoError>("{}: DuckDB refuses a connection", path);
  if (options.interruptible) state_->watch.emplace(state_->connection);
  try {
    run("SET memory_limit = " + sql_string(options.memory_limit));
  } catch (const DataError& wrong) {
    fail<ConfigError>("memory limit '{}': write a size such as \"2GB\" ({})", options.memory_limit,
                      wrong.what());
  }
  run("SET enable_progress_bar = true; SET enable_progress_bar_print = false;"
      "SET TimeZone = 'UTC'");
}

DuckDb::~DuckDb() = default;

void DuckDb::run(const std::string& sql, std::string_view what, Progress* progress) {
  Statements statements;
  const idx_t count = state_->extract(sql, statements, what);
  for (idx_t i = 0; i < count; ++i) {
    Prepared prepared;
    state_->prepare(statements, i, prepared, what);
    Pending pending;
    if (duckdb_pending_prepared(prepared.handle, &pending.handle) == DuckDBError)
      state_->fail_query(what, duckdb_pending_error(pending.handle));
    state_->finish(pending, what, progress);
    Result result;
    if (duckdb_execute_pending(pending.handle, &result.handle) == DuckDBError)
      state_->fail_query(what, duckdb_result_error(&result.handle));
  }
}

void DuckDb::query(const std::string& sql, const std::function<void(const ResultChunk&)>& each,
                   std::string_view what) {
  Statements statements;
  state_->extract(sql, statements, what);
  Prepared prepared;
  state_->prepare(statements, 0, prepared, what);
  Result result;
  if (duckdb_execute_prepared_streaming(prepared.handle, &result.handle) == DuckDBError)
    state_->fail_query(what, duckdb_result_error(&result.handle));
  while (true) {
    state_->check_interrupt();
    Chunk chunk;
    chunk.handle = duckdb_fetch_chunk(result.handle);
    if (chunk.handle == nullptr) break;
    ResultChunk::State view;
    view.rows = static_cast<int64_t>(duckdb_data_chunk_get_size(chunk.handle));
    const idx_t columns = duckdb_data_chunk_get_column_count(chunk.handle);
    for (idx_t i = 0; i < columns; ++i)
      view.columns.emplace_back(duckdb_data_chunk_get_vector(chunk.handle, i));
    if (view.rows > 0) each(ResultChunk(&view));
  }
  if (const char* error = duckdb_result_error(&result.handle); error != nullptr && *error != '\0')
    state_->fail_query(what, error);
}

std::optional<int64_t> DuckDb::query_integer(const std::string& sql) {
  std::optional<int64_t> value;
  bool first = true;
  query(sql, [&](const ResultChunk& chunk) {
    if (first && !chunk.is_null(0, 0)) value = chunk.integer(0, 0);
    first = false;
  });
  return value;
}

std::optional<double> DuckDb::query_number(const std::string& sql) {
  std::optional<double> value;
  bool first = true;
  query(sql, [&](const ResultChunk& chunk) {
    if (first && !chunk.is_null(0, 0)) value = chunk.number(0, 0);
    first = false;
  });
  return value;
}

std::optional<std::string> DuckDb::query_text(const std::string& sql) {
  std::optional<std::string> value;
  bool first = true;
  query(sql, [&](const ResultChunk& chunk) {
    if (first && !chunk.is_null(0, 0)) value = std::string(chunk.text(0, 0));
    first = false;
  });
  return value;
}

std::vector<std::pair<std::string, std::string>> DuckDb::describe(const std::string& sql) {
  std::vector<std::pair<std::string, std::string>> columns;
  query("SELECT column_name, column_type FROM (DESCRIBE " + sql + ")",
        [&](const ResultChunk& chunk) {
          for (int64_t row = 0; row < chunk.rows(); ++row)
            columns.emplace_back(chunk.text(0, row), chunk.text(1, row));
        });
  return columns;
}

void DuckDb::append(const std::string& table, std::span<const int64_t> values) {
  TableAppender appender(*this, table);
  for (const int64_t value : values) {
    appender.integer(value);
    appender.end_row();
  }
  appender.close();
}

/// Rows gather in a chunk, column by column: a call of the C API for each value would cost as much
/// as what becomes of it.
struct TableAppender::State {
  struct Column {
    duckdb_type type = DUCKDB_TYPE_INVALID;
    duckdb_vector vector = nullptr;
    void* data = nullptr;
    uint64_t* validity = nullptr;  // null until a value is
  };
  std::string table;
  Appender appender;
  Chunk chunk;
  std::vector<Column> columns;
  size_t column = 0;
  idx_t row = 0;

  void check(duckdb_state state) {
    if (state == DuckDBError)
      throw IoError(message_of(table, duckdb_appender_error(appender.handle)));
  }
  void open() {
    std::vector<std::unique_ptr<LogicalType>> types;
    std::vector<duckdb_logical_type> handles;
    for (idx_t i = 0; i < duckdb_appender_column_count(appender.handle); ++i) {
      types.push_back(std::make_unique<LogicalType>());
      types.back()->handle = duckdb_appender_column_type(appender.handle, i);
      handles.push_back(types.back()->handle);
    }
    chunk.handle = duckdb_create_data_chunk(handles.data(), handles.size());
    columns.resize(handles.size());
    for (size_t i = 0; i < columns.size(); ++i) columns[i].type = duckdb_get_type_id(handles[i]);
    begin_chunk();
  }
  void begin_chunk() {
    row = 0;
    for (size_t i = 0; i < columns.size(); ++i) {
      columns[i].vector = duckdb_data_chunk_get_vector(chunk.handle, i);
      columns[i].data = duckdb_vector_get_data(columns[i].vector);
      columns[i].validity = nullptr;
    }
  }
  void end_chunk() {
    if (row == 0) return;
    duckdb_data_chunk_set_size(chunk.handle, row);
    check(duckdb_append_data_chunk(appender.handle, chunk.handle));
    duckdb_data_chunk_reset(chunk.handle);
    begin_chunk();
  }
  Column& next() {
    retort::check(column < columns.size(), "{}: a row of more than {} values", table,
                  columns.size());
    return columns[column++];
  }
  /// Where a list of so many values lies: the vector of all lists' values, and its place there.
  std::pair<duckdb_vector, idx_t> next_list(size_t count) {
    const Column& to = next();
    retort::check(to.type == DUCKDB_TYPE_LIST, "{}: column {} is no list", table, column);
    const idx_t at = duckdb_list_vector_get_size(to.vector);
    if (duckdb_list_vector_reserve(to.vector, at + count) == DuckDBError ||
        duckdb_list_vector_set_size(to.vector, at + count) == DuckDBError)
      fail<IoError>("{}: no room for a list", table);
    static_cast<duckdb_list_entry*>(to.data)[row] = {at, count};
    return {duckdb_list_vector_get_child(to.vector), at};
  }
  template <class T, class Value>
  void set(const Column& to, Value value) {
    static_cast<T*>(to.data)[row] = static_cast<T>(value);
  }
  template <class Value>
  void set_number(Value value) {
    const Column& to = next();
    switch (to.type) {
      case DUCKDB_TYPE_BOOLEAN:
        return set<bool>(to, value != 0);
      case DUCKDB_TYPE_INTEGER:
        return set<int32_t>(to, value);
      case DUCKDB_TYPE_BIGINT:
      case DUCKDB_TYPE_TIMESTAMP:
        return set<int64_t>(to, value);
      case DUCKDB_TYPE_FLOAT:
        return set<float>(to, value);
      case DUCKDB_TYPE_DOUBLE:
        return set<double>(to, value);
      default:
        fail<ArgumentError>("{}: column {} has a DuckDB type that is not appended, {}", table,
                            column, static_cast<int>(to.type));
    }
  }
};

TableAppender::TableAppender(DuckDb& db, const std::string& table)
    : state_(std::make_unique<State>()) {
  state_->table = table;
  state_->check(duckdb_appender_create(db.state_->connection, nullptr, table.c_str(),
                                       &state_->appender.handle));
  state_->open();
}

TableAppender::~TableAppender() = default;

void TableAppender::text(std::string_view value) {
  const State::Column& to = state_->next();
  check(to.type == DUCKDB_TYPE_VARCHAR, "{}: column {} is no text", state_->table, state_->column);
  duckdb_vector_assign_string_element_len(to.vector, state_->row, value.data(), value.size());
}
void TableAppender::integer(int64_t value) { state_->set_number(value); }
void TableAppender::number(float value) { state_->set_number(value); }
void TableAppender::moment(int64_t microseconds) { state_->set_number(microseconds); }
void TableAppender::texts(std::span<const std::string_view> values) {
  auto [vector, at] = state_->next_list(values.size());
  for (const std::string_view value : values)
    duckdb_vector_assign_string_element_len(vector, at++, value.data(), value.size());
}
void TableAppender::numbers(std::span<const float> values) {
  const auto [vector, at] = state_->next_list(values.size());
  std::copy(values.begin(), values.end(), static_cast<float*>(duckdb_vector_get_data(vector)) + at);
}
void TableAppender::null() {
  State::Column& to = state_->next();
  if (to.validity == nullptr) {
    duckdb_vector_ensure_validity_writable(to.vector);
    to.validity = duckdb_vector_get_validity(to.vector);
  }
  duckdb_validity_set_row_invalid(to.validity, state_->row);
}
void TableAppender::end_row() {
  check(state_->column == state_->columns.size(), "{}: a row of {} values, expected {}",
        state_->table, state_->column, state_->columns.size());
  state_->column = 0;
  if (++state_->row == duckdb_vector_size()) state_->end_chunk();
}
void TableAppender::close() {
  state_->end_chunk();
  state_->check(duckdb_appender_close(state_->appender.handle));
}

std::string sql_string(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("''") : std::string(1, c);
  return quoted + '\'';
}

std::string sql_name(std::string_view identifier) {
  std::string quoted = "\"";
  for (const char c : identifier) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + '"';
}

}  // namespace retort
