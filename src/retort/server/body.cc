#include "retort/server/body.h"

#include "retort/common/text.h"

namespace retort {

const Json* Body::find(const char* key) {
  known_.insert(key);
  const auto at = body_.find(key);
  return at == body_.end() || at->is_null() ? nullptr : &*at;
}

void Body::wrong(const char* key, const std::string& expected) {
  throw HttpError(400, fmt::format("'{}' must be {}", key, expected));
}

int64_t Body::whole(const char* key, const Json& value, int64_t low, int64_t high) {
  const bool fits = value.is_number_integer() &&
                    !(value.is_number_unsigned() && value.get<uint64_t>() > INT64_MAX) &&
                    value.get<int64_t>() >= low && value.get<int64_t>() <= high;
  if (!fits) wrong(key, fmt::format("a whole number from {} to {}", low, high));
  return value.get<int64_t>();
}

std::vector<std::string> Body::texts(const char* key, const Json& value) {
  if (!value.is_array()) wrong(key, "a list of texts");
  std::vector<std::string> texts;
  for (const Json& entry : value) {
    if (!entry.is_string()) wrong(key, "a list of texts");
    texts.push_back(entry.get<std::string>());
  }
  return texts;
}

/// One number is a list of one.
std::vector<double> Body::numbers(const char* key, const Json& value) {
  if (value.is_number()) return {value.get<double>()};
  if (!value.is_array()) wrong(key, "a number or a list of numbers");
  std::vector<double> numbers;
  for (const Json& entry : value) {
    if (!entry.is_number()) wrong(key, "a number or a list of numbers");
    numbers.push_back(entry.get<double>());
  }
  return numbers;
}

void Body::finish() const {
  for (const auto& [key, value] : body_.items()) {
    if (known_.contains(key)) continue;
    const std::vector<std::string> known(known_.begin(), known_.end());
    const std::string near = nearest_name(key.substr(0, 64), known);
    throw HttpError(400, near.empty() ? fmt::format("unknown key '{}'; there are {}",
                                                    key.substr(0, 64), fmt::join(known, ", "))
                                      : fmt::format("unknown key '{}'; did you mean '{}'?",
                                                    key.substr(0, 64), near));
  }
}

}  // namespace retort
