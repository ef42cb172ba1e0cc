// One feature's value in a JSON object of raw features as ids or numbers: shared by the readers of
// users and items.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "retort/bundle/bundle.h"
#include "retort/common/json.h"

namespace retort {

/// What to do with names that the model does not have: requests are refused, descriptions that
/// were stored for an earlier model are read as far as they are known.
enum class UnknownNames { kRefuse, kIgnore };

/// Reads the value of one feature; DataErrors name it. What it refers to must outlive it.
class FeatureReader {
 public:
  FeatureReader(const Bundle& bundle, const FeatureSpec& spec) : bundle_(bundle), spec_(spec) {}

  /// Of a sparse feature: exactly one id for a categorical one, 0 where it is missing.
  std::vector<int32_t> ids(const Json& value) const;
  /// Of a dense feature, transformed. [width]
  std::vector<float> dense(const Json& value) const;
  /// Texts of a list of keys; "" for null.
  std::vector<std::string> texts(const Json& value) const;

 private:
  [[noreturn]] void refuse(const std::string& why) const;
  const Json& list(const Json& value) const;
  double number(const Json& value) const;
  std::string text(const Json& value) const;
  int32_t look_up(const Json& value) const;
  int32_t time_part(const Json& value) const;
  std::vector<int32_t> sequence(const Json& value) const;

  const Bundle& bundle_;
  const FeatureSpec& spec_;
};

/// Throws DataError with the nearest name if `features` is no object or has a key not in `names`;
/// `what`: "user feature".
void check_names(const Json& features, const std::vector<std::string>& names,
                 const std::string& what);

}  // namespace retort
