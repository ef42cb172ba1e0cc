#include "retort/dataset/schema.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <string_view>

#include "retort/common/error.h"
#include "retort/common/text.h"

namespace retort {
namespace {

constexpr std::array<std::string_view, 3> kSides{"user", "item", "pair"};
constexpr std::array<std::string_view, 4> kKinds{"categorical", "bag", "sequence", "dense"};
constexpr std::array<std::string_view, 6> kSources{"attribute", "context", "time",
                                                   "history",   "as_of",   "cross"};

[[noreturn]] void wrong(const FeatureSpec& spec, std::string_view key, const std::string& why) {
  fail<DataError>("feature '{}': key '{}': {}", spec.name, key, why);
}

/// Reads the keys of one feature; remembers which it was asked for.
class Keys {
 public:
  Keys(const Json& json, FeatureSpec& spec, std::string prefix = {})
      : json_(json), spec_(spec), prefix_(std::move(prefix)) {}

  template <class T>
  void read(const std::string& key, T& value) {
    known_.insert(key);
    const auto at = json_.find(key);
    if (at == json_.end()) return;
    try {
      if (std::is_integral_v<T> && !std::is_same_v<T, bool> && !at->is_number_integer())
        wrong_type(key, *at);
      value = at->template get<T>();
    } catch (const nlohmann::json::exception&) {
      wrong_type(key, *at);
    }
  }
  template <class E, size_t N>
  void read_name(const std::string& key, E& value, const std::array<std::string_view, N>& names) {
    if (!json_.contains(key)) wrong(spec_, prefix_ + key, "is missing");
    std::string text;
    read(key, text);
    const auto at = std::find(names.begin(), names.end(), text);
    if (at == names.end())
      wrong(spec_, prefix_ + key, fmt::format("'{}' is none of: {}", text, fmt::join(names, ", ")));
    value = static_cast<E>(at - names.begin());
  }
  const Json* sub(const std::string& key) {
    known_.insert(key);
    const auto at = json_.find(key);
    return at == json_.end() ? nullptr : &*at;
  }
  void finish() const {
    for (const auto& [key, value] : json_.items()) {
      if (known_.contains(key)) continue;
      const std::string near = nearest_name(key, {known_.begin(), known_.end()});
      wrong(spec_, prefix_ + key,
            near.empty() ? "is unknown" : "is unknown; did you mean '" + near + "'?");
    }
  }

 private:
  [[noreturn]] void wrong_type(const std::string& key, const Json& value) const {
    wrong(spec_, prefix_ + key, "has the wrong type: " + value.dump());
  }
  const Json& json_;
  FeatureSpec& spec_;
  std::string prefix_;
  std::set<std::string> known_;
};

bool one_of(const std::string& text, std::initializer_list<std::string_view> choices) {
  return std::find(choices.begin(), choices.end(), text) != choices.end();
}

void check_transform(const FeatureSpec& spec) {
  const Transform& transform = spec.transform;
  if (!one_of(transform.kind, {"none", "log", "standard", "bucket"}))
    wrong(spec, "transform.kind",
          fmt::format("'{}' is none of: none, log, standard, bucket", transform.kind));
  const bool bucket = transform.kind == "bucket";
  if (spec.kind == FeatureKind::kDense && bucket)
    wrong(spec, "transform.kind", "a bucketed feature is categorical, not dense");
  if (spec.kind != FeatureKind::kDense && !one_of(transform.kind, {"none", "bucket"}))
    wrong(spec, "transform.kind", "only dense features take '" + transform.kind + "'");
  if (bucket && spec.kind != FeatureKind::kCategorical)
    wrong(spec, "transform.kind", "only one value a row can be bucketed");
  if (!std::isfinite(transform.mean)) wrong(spec, "transform.mean", "is not finite");
  if (!std::isfinite(transform.deviation) || transform.deviation <= 0)
    wrong(spec, "transform.deviation", "is not a positive number");
  const auto& edges = transform.boundaries;
  for (size_t i = 0; i < edges.size(); ++i)
    if (!std::isfinite(edges[i]) || (i > 0 && edges[i] <= edges[i - 1]))
      wrong(spec, "transform.boundaries", "are not finite and rising");
  if (bucket && spec.rows < static_cast<int64_t>(edges.size()) + 2)
    wrong(spec, "rows",
          fmt::format("{} are too few for {} boundaries: {} ids", spec.rows, edges.size(),
                      edges.size() + 2));
}

void check_shape(const FeatureSpec& spec) {
  const bool good_name = !spec.name.empty() && spec.name.front() != '.' &&
                         std::all_of(spec.name.begin(), spec.name.end(), [](unsigned char c) {
                           return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.';
                         });
  if (!good_name) wrong(spec, "name", "write letters, digits, '_', '-' and '.' only");
  if (spec.sparse() && (spec.rows < 1 || spec.rows > INT32_MAX))
    wrong(spec, "rows",
          fmt::format("{} embedding rows; 1 to {} are possible", spec.rows, INT32_MAX));
  if (spec.width < 1) wrong(spec, "width", fmt::format("{} values a row", spec.width));
  if (spec.width > 1 && spec.source != FeatureSource::kAttribute &&
      spec.source != FeatureSource::kContext)
    wrong(spec, "width", "only attributes and context have more than one value a row");
  if (!(spec.oov_dropout >= 0 && spec.oov_dropout < 1))
    wrong(spec, "oov_dropout", fmt::format("{} is not in [0, 1)", spec.oov_dropout));
  if (!(spec.dropout >= 0 && spec.dropout < 1) ||
      (spec.dropout > 0 && spec.kind != FeatureKind::kBag))
    wrong(spec, "dropout", fmt::format("{} is not in [0, 1), or of no bag", spec.dropout));
  if (spec.kind == FeatureKind::kSequence && spec.source != FeatureSource::kHistory)
    wrong(spec, "kind", "a sequence comes from the history only");
  if (spec.kind == FeatureKind::kBag && spec.source != FeatureSource::kAttribute &&
      spec.source != FeatureSource::kContext)
    wrong(spec, "kind", "a bag comes from an attribute or the context only");
  if ((spec.side == Side::kPair) != (spec.source == FeatureSource::kCross))
    wrong(spec, "side", "pair features are those of source 'cross', and no others");
  if (spec.source == FeatureSource::kContext && spec.side != Side::kUser)
    wrong(spec, "side", "columns of the event belong to the user side: sampled items have none");
  const bool of_past =
      spec.source == FeatureSource::kHistory || spec.source == FeatureSource::kCross;
  if (!spec.stream.empty() && !of_past)
    wrong(spec, "stream", "only sequences and interactions look at a stream");
  if (spec.distinct && spec.source != FeatureSource::kHistory)
    wrong(spec, "distinct", "only sequences list items");
  if (spec.hidden && (spec.side != Side::kItem || spec.source != FeatureSource::kAttribute))
    wrong(spec, "hidden", "only attributes of items can be hidden");
}

void check_time(const FeatureSpec& spec) {
  if (!one_of(spec.part, {"hour", "weekday", "age"}))
    wrong(spec, "part", "'" + spec.part + "' is none of: hour, weekday, age");
  if (spec.part == "age") {
    if (spec.side != Side::kItem) wrong(spec, "part", "age is the item's: side is item");
    if (spec.sparse() && spec.transform.kind != "bucket")
      wrong(spec, "kind", "age is dense or bucketed");
    return;
  }
  if (spec.kind != FeatureKind::kCategorical || spec.transform.kind != "none")
    wrong(spec, "kind", spec.part + " is categorical");
  const int64_t needed = spec.part == "hour" ? 25 : 8;
  if (spec.rows < needed)
    wrong(spec, "rows", fmt::format("{} needs {} rows, not {}", spec.part, needed, spec.rows));
}

/// The feature that `of` names: an attribute of the item with a vocabulary, categorical or, for
/// interactions, a bag.
const FeatureSpec& item_feature(const Schema& schema, const FeatureSpec& spec) {
  const FeatureSpec* of = schema.find(spec.of);
  const bool kind =
      of != nullptr && (of->kind == FeatureKind::kCategorical ||
                        (of->kind == FeatureKind::kBag && spec.source == FeatureSource::kCross));
  if (!kind || of->side != Side::kItem || of->source != FeatureSource::kAttribute ||
      of->transform.kind == "bucket")
    wrong(spec, "of", "'" + spec.of + "' is no categorical item feature with a vocabulary");
  return *of;
}

void check_history(const Schema& schema, const FeatureSpec& spec) {
  if (spec.kind != FeatureKind::kSequence || spec.side != Side::kUser)
    wrong(spec, "kind", "the history is a sequence of the user side");
  if (spec.last < 1) wrong(spec, "last", fmt::format("{} clicks", spec.last));
  if (!one_of(spec.with, {"", "seconds", "age", "count"}))
    wrong(spec, "with", "'" + spec.with + "' is none of: seconds, age, count");
  if (spec.with == "count" && !spec.distinct)
    wrong(spec, "with", "a count of an item's events needs distinct = true");
  const int64_t ids = item_feature(schema, spec).rows;
  const int64_t needed = spec.with.empty() ? ids : spec.with == "age" ? 32 : 16;
  if (spec.rows < needed) wrong(spec, "rows", fmt::format("{} needed, not {}", needed, spec.rows));
}

void check_count(const Schema& schema, const FeatureSpec& spec) {
  if (spec.kind != FeatureKind::kDense &&
      !(spec.kind == FeatureKind::kCategorical && spec.transform.kind == "bucket"))
    wrong(spec, "kind", "a count or statistic is dense or bucketed");
  if (spec.source == FeatureSource::kCross) {
    if (spec.of != "item") item_feature(schema, spec);
    if (spec.last < 0) wrong(spec, "last", fmt::format("{} events", spec.last));
    if (!one_of(spec.statistic, {"", "seconds", "age"}))
      wrong(spec, "statistic", "'" + spec.statistic + "' is none of: seconds, age");
    return;
  }
  if (!one_of(spec.statistic, {"clicks", "reads", "mean_log_seconds", "age"}))
    wrong(spec, "statistic",
          "'" + spec.statistic + "' is none of: clicks, reads, mean_log_seconds, age");
  if (spec.window < 0) wrong(spec, "window", fmt::format("{} microseconds", spec.window));
  if (spec.side == Side::kUser && spec.of != "user")
    wrong(spec, "of", "a user's aggregates are of 'user', not '" + spec.of + "'");
  if (spec.side == Side::kItem && spec.of != "item") item_feature(schema, spec);
}

void check_feature(const Schema& schema, const FeatureSpec& spec) {
  check_shape(spec);
  check_transform(spec);
  if (spec.source == FeatureSource::kTime) check_time(spec);
  if (spec.source == FeatureSource::kHistory) check_history(schema, spec);
  if (spec.source == FeatureSource::kAsOf || spec.source == FeatureSource::kCross)
    check_count(schema, spec);
}

Json to_json(const Transform& transform) {
  Json json{{"kind", transform.kind}};
  if (transform.kind == "standard") {
    json["mean"] = transform.mean;
    json["deviation"] = transform.deviation;
  }
  if (!transform.boundaries.empty()) json["boundaries"] = transform.boundaries;
  return json;
}

/// Keys at their defaults are left out.
Json to_json(const FeatureSpec& spec) {
  const FeatureSpec defaults;
  Json json{{"name", spec.name},
            {"side", kSides[static_cast<size_t>(spec.side)]},
            {"kind", kKinds[static_cast<size_t>(spec.kind)]},
            {"source", kSources[static_cast<size_t>(spec.source)]}};
  const auto put = [&](const char* key, const auto& value, const auto& standard) {
    if (value != standard) json[key] = value;
  };
  put("column", spec.column, defaults.column);
  put("vocabulary", spec.vocabulary, defaults.vocabulary);
  put("rows", spec.rows, defaults.rows);
  put("width", spec.width, defaults.width);
  put("oov_dropout", spec.oov_dropout, defaults.oov_dropout);
  put("dropout", spec.dropout, defaults.dropout);
  put("part", spec.part, defaults.part);
  put("of", spec.of, defaults.of);
  put("stream", spec.stream, defaults.stream);
  put("last", spec.last, defaults.last);
  put("distinct", spec.distinct, defaults.distinct);
  put("with", spec.with, defaults.with);
  put("statistic", spec.statistic, defaults.statistic);
  put("window", spec.window, defaults.window);
  if (spec.transform.kind != "none") json["transform"] = to_json(spec.transform);
  put("hidden", spec.hidden, defaults.hidden);
  return json;
}

Transform transform_from_json(const Json& json, FeatureSpec& spec) {
  if (!json.is_object()) wrong(spec, "transform", "is no table: " + json.dump());
  Transform transform;
  Keys keys(json, spec, "transform.");
  keys.read("kind", transform.kind);
  keys.read("mean", transform.mean);
  keys.read("deviation", transform.deviation);
  keys.read("boundaries", transform.boundaries);
  keys.finish();
  return transform;
}

FeatureSpec feature_from_json(const Json& json) {
  FeatureSpec spec;
  if (!json.is_object()) fail<DataError>("schema: a feature is no table: {}", json.dump());
  if (const auto name = json.find("name"); name != json.end() && name->is_string())
    spec.name = name->get<std::string>();
  Keys keys(json, spec);
  keys.read("name", spec.name);
  keys.read_name("side", spec.side, kSides);
  keys.read_name("kind", spec.kind, kKinds);
  keys.read_name("source", spec.source, kSources);
  keys.read("column", spec.column);
  keys.read("vocabulary", spec.vocabulary);
  keys.read("rows", spec.rows);
  keys.read("width", spec.width);
  keys.read("oov_dropout", spec.oov_dropout);
  keys.read("dropout", spec.dropout);
  keys.read("part", spec.part);
  keys.read("of", spec.of);
  keys.read("stream", spec.stream);
  keys.read("last", spec.last);
  keys.read("distinct", spec.distinct);
  keys.read("with", spec.with);
  keys.read("statistic", spec.statistic);
  keys.read("window", spec.window);
  if (const Json* transform = keys.sub("transform"))
    spec.transform = transform_from_json(*transform, spec);
  keys.read("hidden", spec.hidden);
  keys.finish();
  return spec;
}

}  // namespace

double Transform::operator()(double x) const {
  if (!std::isfinite(x)) return 0;
  if (kind == "log") return std::log1p(std::max(x, 0.0));
  if (kind == "standard") return (x - mean) / deviation;
  check(kind == "none", "Transform: '{}' gives no dense value", kind);
  return x;
}

int32_t Transform::bucket(double x) const {
  if (std::isnan(x)) return 0;
  const auto above = std::upper_bound(boundaries.begin(), boundaries.end(), x);
  return 1 + static_cast<int32_t>(above - boundaries.begin());
}

int32_t FeatureSpec::side_bucket(double x) const {
  if (std::isnan(x)) return 0;
  const auto log2 = static_cast<int64_t>(std::ilogb(1.0 + std::max(x, 0.0)));
  return static_cast<int32_t>(std::min(rows - 1, 1 + log2));
}

std::vector<int> Schema::sparse_of(Side side) const {
  std::vector<int> indices;
  for (size_t i = 0; i < features.size(); ++i)
    if (features[i].side == side && features[i].sparse() && !features[i].hidden)
      indices.push_back(static_cast<int>(i));
  return indices;
}

std::vector<int> Schema::dense_of(Side side) const {
  std::vector<int> indices;
  for (size_t i = 0; i < features.size(); ++i)
    if (features[i].side == side && !features[i].sparse() && !features[i].hidden)
      indices.push_back(static_cast<int>(i));
  return indices;
}

int32_t Schema::dense_width(Side side) const {
  int32_t width = 0;
  for (const int index : dense_of(side)) width += features[static_cast<size_t>(index)].width;
  return width;
}

const FeatureSpec* Schema::find(const std::string& name) const {
  const auto at = std::find_if(features.begin(), features.end(),
                               [&](const FeatureSpec& spec) { return spec.name == name; });
  return at == features.end() ? nullptr : &*at;
}

Json to_json(const Schema& schema) {
  Json json = Json::array();
  for (const FeatureSpec& spec : schema.features) json.push_back(to_json(spec));
  return json;
}

Schema schema_from_json(const Json& json) {
  if (!json.is_array()) fail<DataError>("schema: a list of features is expected");
  Schema schema;
  std::set<std::string> names;
  for (const Json& entry : json) {
    schema.features.push_back(feature_from_json(entry));
    const FeatureSpec& spec = schema.features.back();
    if (!names.insert(spec.name).second) wrong(spec, "name", "occurs twice");
  }
  for (const FeatureSpec& spec : schema.features) check_feature(schema, spec);
  return schema;
}

}  // namespace retort
