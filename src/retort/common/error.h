// The exceptions of Retort and the checks that throw them. Used by every room.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

#include <fmt/format.h>

namespace retort {

/// Base of everything Retort throws. `exit_code()` is what the command line ends with.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
  virtual int exit_code() const noexcept { return 1; }
};

/// Wrong usage or a wrong recipe: the message names key, value and remedy. Exit code 2.
class ConfigError : public Error {
 public:
  using Error::Error;
  int exit_code() const noexcept override { return 2; }
};

/// Bad data: the message names file, line or row, field and value. Exit code 3.
class DataError : public Error {
 public:
  using Error::Error;
  int exit_code() const noexcept override { return 3; }
};

/// A file that cannot be read or written. Exit code 1.
class IoError : public Error {
 public:
  using Error::Error;
};

/// The work was interrupted (Ctrl-C) after it had saved what it could. Exit code 130.
class Interrupted : public Error {
 public:
  using Error::Error;
  int exit_code() const noexcept override { return 130; }
};

/// A caller's mistake: sizes that do not fit, an argument out of range.
class ArgumentError : public Error {
 public:
  using Error::Error;
};

/// Throws E with a formatted message: `fail<DataError>("{}: row {}", file, row)`.
template <class E, class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw E(fmt::format(format, std::forward<Args>(args)...));
}

/// Throws ArgumentError with the formatted message unless the condition holds. Always on.
template <class... Args>
void check(bool condition, fmt::format_string<Args...> format, Args&&... args) {
  if (!condition) [[unlikely]]
    fail<ArgumentError>(format, std::forward<Args>(args)...);
}

/// "EACCES: permission denied" of the current errno, for messages.
std::string errno_text();

}  // namespace retort
