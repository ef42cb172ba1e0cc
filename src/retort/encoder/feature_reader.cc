#include "retort/encoder/feature_reader.h"

#include <algorithm>
#include <limits>

#include "retort/common/error.h"
#include "retort/common/text.h"

namespace retort {
namespace {

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

}  // namespace

std::vector<int32_t> FeatureReader::ids(const Json& value) const {
  if (spec_.kind == FeatureKind::kSequence) return sequence(value);
  if (spec_.kind == FeatureKind::kBag) {
    std::vector<int32_t> ids;
    for (const Json& entry : list(value)) ids.push_back(look_up(entry));
    return ids;
  }
  if (value.is_null()) return {0};
  if (spec_.transform.kind == "bucket") return {spec_.transform.bucket(number(value))};
  if (spec_.source == FeatureSource::kTime) return {time_part(value)};
  return {look_up(value)};
}

std::vector<float> FeatureReader::dense(const Json& value) const {
  std::vector<double> raw(static_cast<size_t>(spec_.width), kMissing);
  if (value.is_array()) {
    if (std::ssize(value) != spec_.width)
      refuse(fmt::format("has {} values, expected {}", value.size(), spec_.width));
    for (size_t i = 0; i < raw.size(); ++i) raw[i] = number(value[i]);
  } else if (!value.is_null()) {
    if (spec_.width != 1) refuse(fmt::format("is no list of {} numbers", spec_.width));
    raw[0] = number(value);
  }
  std::vector<float> values;
  for (const double x : raw) values.push_back(static_cast<float>(spec_.transform(x)));
  return values;
}

std::vector<std::string> FeatureReader::texts(const Json& value) const {
  std::vector<std::string> texts;
  for (const Json& entry : list(value)) texts.push_back(text(entry));
  return texts;
}

void FeatureReader::refuse(const std::string& why) const {
  fail<DataError>("features: '{}' {}", spec_.name, why);
}

const Json& FeatureReader::list(const Json& value) const {
  static const Json empty = Json::array();
  if (value.is_null()) return empty;
  if (!value.is_array()) refuse(fmt::format("is {}, expected a list", value.dump()));
  return value;
}

double FeatureReader::number(const Json& value) const {
  if (value.is_null()) return kMissing;
  if (!value.is_number()) refuse(fmt::format("holds {}, expected a number", value.dump()));
  return value.get<double>();
}

std::string FeatureReader::text(const Json& value) const {
  if (value.is_null()) return "";
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_integer()) return value.dump();
  refuse(fmt::format("holds {}, expected a text", value.dump()));
}

int32_t FeatureReader::look_up(const Json& value) const {
  const std::string key = text(value);
  if (key.empty() || spec_.vocabulary.empty()) return 0;
  return bundle_.vocabulary(spec_.vocabulary).find(key);
}

int32_t FeatureReader::time_part(const Json& value) const {
  const bool hour = spec_.part == "hour";
  const int32_t last = hour ? 23 : 6;
  if (!value.is_number_integer() || value.get<double>() < 0 || value.get<double>() > last)
    refuse(fmt::format("is {}, expected {} 0 to {}", value.dump(),
                       hour ? "an hour from" : "a day of the week from Monday =", last));
  return 1 + value.get<int32_t>();
}

std::vector<int32_t> FeatureReader::sequence(const Json& value) const {
  std::vector<int32_t> ids;
  for (const Json& entry : list(value)) {
    if (std::ssize(ids) == spec_.last) break;
    ids.push_back(spec_.with.empty() ? look_up(entry) : spec_.side_bucket(number(entry)));
  }
  return ids;
}

void check_names(const Json& features, const std::vector<std::string>& names,
                 const std::string& what) {
  if (!features.is_object()) fail<DataError>("features: no JSON object");
  for (const auto& [name, value] : features.items()) {
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    const std::string near = nearest_name(name, names);
    fail<DataError>("features: '{}' is no {} of the model{}", name, what,
                    near.empty() ? fmt::format("; there are: {}", fmt::join(names, ", "))
                                 : "; did you mean '" + near + "'?");
  }
}

}  // namespace retort
