// Reads the keys of a request's body and answers a wrong one by name.
#pragma once

#include <set>
#include <string>
#include <type_traits>
#include <vector>

#include "retort/server/http.h"

namespace retort {

/// Every key that was not read by the time of `finish` is an error that names the nearest known
/// one. `body` must outlive it.
class Body {
 public:
  explicit Body(const Json& body) : body_(body) {}

  /// Sets `value` if the key is there and not null. Throws HttpError 400 naming key and expected
  /// type.
  template <class T>
  bool read(const char* key, T& value) {
    const Json* at = find(key);
    if (at == nullptr) return false;
    if constexpr (std::is_same_v<T, Json>) {
      value = *at;
    } else if constexpr (std::is_same_v<T, bool>) {
      if (!at->is_boolean()) wrong(key, "true or false");
      value = at->get<bool>();
    } else if constexpr (std::is_integral_v<T>) {
      value = static_cast<T>(
          whole(key, *at, std::numeric_limits<T>::min(), std::numeric_limits<T>::max()));
    } else if constexpr (std::is_floating_point_v<T>) {
      if (!at->is_number()) wrong(key, "a number");
      value = at->get<T>();
    } else if constexpr (std::is_same_v<T, std::string>) {
      if (!at->is_string()) wrong(key, "a text");
      value = at->get<std::string>();
    } else if constexpr (std::is_same_v<T, std::vector<double>>) {
      value = numbers(key, *at);
    } else {
      static_assert(std::is_same_v<T, std::vector<std::string>>);
      value = texts(key, *at);
    }
    return true;
  }
  bool has(const char* key) { return find(key) != nullptr; }
  void finish() const;

 private:
  const Json* find(const char* key);
  [[noreturn]] static void wrong(const char* key, const std::string& expected);
  static int64_t whole(const char* key, const Json& value, int64_t low, int64_t high);
  static std::vector<std::string> texts(const char* key, const Json& value);
  static std::vector<double> numbers(const char* key, const Json& value);

  const Json& body_;
  std::set<std::string> known_;
};

}  // namespace retort
