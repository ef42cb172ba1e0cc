#include "retort/server/postgres.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstdlib>

#include <fmt/ranges.h>
#include <libpq-fe.h>

namespace retort {
namespace {

using std::chrono::milliseconds;
constexpr milliseconds kFirstClosed{50}, kLongestClosed{2000};

/// libpq's message without its last line break.
std::string one_line(const char* message) {
  std::string text = message;
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

void append_big_endian(std::string& bytes, uint32_t value, int width) {
  for (int shift = 8 * (width - 1); shift >= 0; shift -= 8)
    bytes += static_cast<char>((value >> shift) & 0xff);
}

}  // namespace

PostgresParameters& PostgresParameters::add(std::string_view text) {
  if (text.find('\0') != std::string_view::npos)
    fail<DataError>("a text with a NUL byte cannot be kept in a Postgres database");
  values_.emplace_back(text);
  binary_.push_back(0);
  return *this;
}

PostgresParameters& PostgresParameters::add(int64_t number) { return add(std::to_string(number)); }

/// Its own binary form: dimensions, an unused half word, then the numbers, big-endian.
PostgresParameters& PostgresParameters::add_vector(std::span<const float> vector) {
  std::string bytes;
  bytes.reserve(4 + 4 * vector.size());
  append_big_endian(bytes, static_cast<uint32_t>(vector.size()), 2);
  append_big_endian(bytes, 0, 2);
  for (const float value : vector) append_big_endian(bytes, std::bit_cast<uint32_t>(value), 4);
  values_.push_back(std::move(bytes));
  binary_.push_back(1);
  return *this;
}

PostgresParameters& PostgresParameters::add_array(std::span<const int32_t> numbers) {
  return add(fmt::format("{{{}}}", fmt::join(numbers, ",")));
}

void PostgresRows::Clear::operator()(pg_result* result) const { PQclear(result); }

int64_t PostgresRows::size() const { return PQntuples(result_.get()); }

std::string_view PostgresRows::text(int64_t row, int column) const {
  const int at = static_cast<int>(row);
  return {PQgetvalue(result_.get(), at, column),
          static_cast<size_t>(PQgetlength(result_.get(), at, column))};
}

int64_t PostgresRows::integer(int64_t row, int column) const {
  const std::string_view digits = text(row, column);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size())
    fail<PostgresError>("the database answered '{}' where a whole number was asked", digits);
  return value;
}

double PostgresRows::number(int64_t row, int column) const {
  const std::string_view digits = text(row, column);
  double value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size())
    fail<PostgresError>("the database answered '{}' where a number was asked", digits);
  return value;
}

void PostgresConnection::Finish::operator()(pg_conn* connection) const { PQfinish(connection); }

PostgresConnection::PostgresConnection(const std::string& url) {
  // What stands before "dbname" are defaults that the URL overrides.
  const char* keys[] = {"connect_timeout", "tcp_user_timeout", "application_name",
                        "dbname",          "client_encoding",  nullptr};
  const char* values[] = {"2", "5000", "retort", url.c_str(), "UTF8", nullptr};
  connection_.reset(PQconnectdbParams(keys, values, 1));
  if (!good())
    fail<PostgresError>(
        "no connection to the database: {}",
        connection_ == nullptr ? "no memory" : one_line(PQerrorMessage(connection_.get())));
  PQsetNoticeProcessor(
      connection_.get(), [](void*, const char*) {}, nullptr);
}

bool PostgresConnection::good() const {
  return connection_ != nullptr && PQstatus(connection_.get()) == CONNECTION_OK;
}

PostgresRows PostgresConnection::run(const std::string& command,
                                     const PostgresParameters& parameters) {
  std::vector<const char*> values;
  std::vector<int> lengths;
  for (const std::string& value : parameters.values_) {
    values.push_back(value.data());
    lengths.push_back(static_cast<int>(value.size()));
  }
  PostgresRows rows;
  rows.result_.reset(PQexecParams(connection_.get(), command.c_str(), parameters.size(), nullptr,
                                  values.data(), lengths.data(), parameters.binary_.data(), 0));
  const ExecStatusType status = PQresultStatus(rows.result_.get());
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
    fail<PostgresError>("the database refuses: {}", one_line(PQerrorMessage(connection_.get())));
  return rows;
}

PostgresPool::PostgresPool(std::string url) : url_(std::move(url)) {
  idle_.push_back(std::make_unique<PostgresConnection>(url_));
}

std::unique_ptr<PostgresConnection> PostgresPool::borrow() {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      std::unique_ptr<PostgresConnection> connection = std::move(idle_.back());
      idle_.pop_back();
      return connection;
    }
    if (std::chrono::steady_clock::now() < closed_until_) throw PostgresError(reason_);
  }
  try {
    return std::make_unique<PostgresConnection>(url_);
  } catch (const PostgresError& error) {
    const std::lock_guard lock(mutex_);
    reason_ = error.what();
    pause_longer();
    throw;
  }
}

void PostgresPool::pause_longer() {
  pause_ = pause_.count() == 0 ? kFirstClosed : std::min(2 * pause_, kLongestClosed);
  closed_until_ = std::chrono::steady_clock::now() + pause_;
}

void PostgresPool::give_back(std::unique_ptr<PostgresConnection> connection) {
  const std::lock_guard lock(mutex_);
  pause_ = milliseconds{0};
  idle_.push_back(std::move(connection));
}

/// A command that was refused leaves its connection good; where one broke, the idle ones did too.
void PostgresPool::failed(std::unique_ptr<PostgresConnection> connection) {
  const std::lock_guard lock(mutex_);
  if (connection->good())
    idle_.push_back(std::move(connection));
  else
    idle_.clear();
}

}  // namespace retort
