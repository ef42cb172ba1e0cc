#include "retort/encoder/item_features.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include "retort/common/error.h"
#include "retort/common/text.h"

namespace retort {
namespace {

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();
constexpr const char* kPublished = "published";
constexpr const char* kClicks = "popularity_clicks";
constexpr size_t kRows = 1024;    // items encoded at once
constexpr double kLatest = 4e17;  // microseconds: the year 14,645

/// Looks values up under the names of features, columns and attributes.
class ItemReader {
 public:
  ItemReader(const Bundle& bundle, const std::string& id, const Json& features, int64_t now)
      : bundle_(bundle), id_(id), features_(features), now_(now) {}

  void check(UnknownNames unknown) const {
    if (!features_.is_object() || unknown == UnknownNames::kRefuse)
      check_names(features_, names(), "item feature");
  }

  Json value_of(const FeatureSpec& spec) const {
    if (const Json* own = given(spec.name)) return *own;
    if (spec.source == FeatureSource::kTime) return age();
    if (spec.source != FeatureSource::kAttribute) return {};
    if (spec.column == "item") return id_;
    const Json* other =
        bundle_.schema().find(spec.column) == nullptr ? given(spec.column) : nullptr;
    return other == nullptr ? Json() : *other;
  }

  AttributeValue attribute(const std::string& name, bool number) const {
    const Json value = attribute_value(name);
    if (number) return number_of(name, value);
    std::vector<std::string> texts;
    if (value.is_array())
      for (const Json& entry : value) add_text(name, entry, texts);
    else
      add_text(name, value, texts);
    return texts;
  }

  double clicks() const {
    const Json* value = given(kClicks);
    if (value == nullptr) return 0;
    if (!value->is_number() || value->get<double>() < 0)
      refuse(kClicks, *value, "a number of clicks, 0 or more");
    return value->get<double>();
  }

 private:
  [[noreturn]] static void refuse(const std::string& name, const Json& value,
                                  const std::string& expected) {
    fail<DataError>("features: '{}' is {}, expected {}", name, value.dump(), expected);
  }

  /// nullptr where absent or null.
  const Json* given(const std::string& name) const {
    const auto found = features_.find(name);
    return found == features_.end() || found->is_null() ? nullptr : &*found;
  }

  std::vector<std::string> names() const {
    std::vector<std::string> names{kPublished, kClicks};
    for (const FeatureSpec& spec : bundle_.schema().features) {
      if (spec.side != Side::kItem) continue;
      names.push_back(spec.name);
      if (spec.source == FeatureSource::kAttribute && spec.column != "item")
        names.push_back(spec.column);
    }
    for (const auto& [name, column] : bundle_.attributes().columns()) names.push_back(name);
    return names;
  }

  Json age() const {
    const Json* published = given(kPublished);
    if (published == nullptr) return {};
    const int64_t moment = moment_of(*published, kPublished);
    if (moment >= now_) return {};
    return static_cast<double>(now_ - moment) / 1e6;
  }

  Json attribute_value(const std::string& name) const {
    if (const Json* own = given(name)) return *own;
    for (const FeatureSpec& spec : bundle_.schema().features)
      if (spec.side == Side::kItem && spec.source == FeatureSource::kAttribute &&
          (spec.column == name || spec.name == name) && spec.column != "item")
        return value_of(spec);
    return {};
  }

  static double number_of(const std::string& name, const Json& value) {
    if (value.is_null()) return kMissing;
    if (value.is_number()) return value.get<double>();
    if (value.is_string()) {
      const auto& text = value.get_ref<const std::string&>();
      double number = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
      if (error == std::errc() && end == text.data() + text.size()) return number;
    }
    refuse(name, value, "a number: `where` compares it as one");
  }

  /// Empty texts are missing values.
  static void add_text(const std::string& name, const Json& value, std::vector<std::string>& to) {
    if (value.is_null()) return;
    if (!value.is_string() && !value.is_number()) refuse(name, value, "a text or a list of texts");
    std::string text = value.is_string() ? value.get<std::string>() : value.dump();
    if (!text.empty()) to.push_back(std::move(text));
  }

  const Bundle& bundle_;
  const std::string& id_;
  const Json& features_;
  int64_t now_;
};

/// beta * log q by clicks, of a bundle with the popularity dimension.
class Popularity {
 public:
  explicit Popularity(const Bundle& bundle)
      : beta_(bundle.spec().beta), least_(least_log_share(bundle)) {}
  float operator()(double clicks) const {
    return static_cast<float>(beta_) * static_cast<float>(std::log(clicks + 1.0) + least_);
  }

 private:
  /// log q of an item nobody clicked: as the bundle states it or, of bundles that do not, that of
  /// its least clicked item.
  static double least_log_share(const Bundle& bundle) {
    const Json& manifest = bundle.manifest();
    if (const auto clicks = manifest.find(kClicks); clicks != manifest.end() && clicks->is_number())
      return -std::log(clicks->get<double>() + static_cast<double>(bundle.items()));
    const auto dim = static_cast<size_t>(bundle.vector_dim());
    double least = std::numeric_limits<double>::infinity();
    for (size_t at = dim - 1; at < bundle.item_vectors().size(); at += dim)
      least = std::min(least, bundle.item_vectors()[at] / bundle.spec().beta);
    return least;
  }
  double beta_, least_;
};

void append_row(const SideBatch& from, SideBatch& to) {
  to.rows += 1;
  to.sparse.resize(from.sparse.size());
  for (size_t i = 0; i < from.sparse.size(); ++i) {
    SparseColumn& column = to.sparse[i];
    if (column.offsets.empty()) column.offsets.push_back(0);
    column.ids.insert(column.ids.end(), from.sparse[i].ids.begin(), from.sparse[i].ids.end());
    column.offsets.push_back(static_cast<int32_t>(column.ids.size()));
  }
  to.dense.insert(to.dense.end(), from.dense.begin(), from.dense.end());
}

}  // namespace

RawItem raw_item(const Bundle& bundle, const std::string& id, const Json& features, int64_t now,
                 UnknownNames unknown) {
  const ItemReader reader(bundle, id, features, now);
  reader.check(unknown);
  const Schema& schema = bundle.schema();
  RawItem item;
  item.features.rows = 1;
  for (const int index : schema.sparse_of(Side::kItem)) {
    const FeatureSpec& spec = schema.features[static_cast<size_t>(index)];
    SparseColumn column{FeatureReader(bundle, spec).ids(reader.value_of(spec)), {0}};
    column.offsets.push_back(static_cast<int32_t>(column.ids.size()));
    item.features.sparse.push_back(std::move(column));
  }
  for (const int index : schema.dense_of(Side::kItem)) {
    const FeatureSpec& spec = schema.features[static_cast<size_t>(index)];
    const std::vector<float> values = FeatureReader(bundle, spec).dense(reader.value_of(spec));
    item.features.dense.insert(item.features.dense.end(), values.begin(), values.end());
  }
  for (const auto& [name, column] : bundle.attributes().columns())
    item.attributes.push_back(
        reader.attribute(name, std::holds_alternative<NumberAttribute>(column)));
  item.clicks = reader.clicks();
  return item;
}

int64_t moment_of(const Json& value, std::string_view name) {
  if (value.is_number_integer() && std::abs(value.get<double>()) < kLatest)
    return value.get<int64_t>();
  try {
    if (value.is_string()) return parse_moment(value.get<std::string>(), name);
  } catch (const ConfigError&) {
  }
  fail<DataError>(
      "features: '{}' is {}, expected a moment such as \"2023-05-16 07:00:00\" (UTC) or "
      "microseconds since 1970",
      name, value.dump());
}

float popularity_of(const Bundle& bundle, double clicks) {
  return bundle.spec().beta == 0 ? 0 : Popularity(bundle)(clicks);
}

std::vector<float> encode_items(const Bundle& bundle, const TowerEncoder& encoder,
                                std::span<const RawItem* const> items) {
  const auto dim = static_cast<size_t>(bundle.vector_dim());
  const auto width = static_cast<size_t>(encoder.dim());
  std::vector<float> vectors(items.size() * dim);
  std::vector<float> block;
  std::optional<Popularity> popularity;
  if (dim > width) popularity.emplace(bundle);
  for (size_t begin = 0; begin < items.size(); begin += kRows) {
    const size_t end = std::min(items.size(), begin + kRows);
    SideBatch batch;
    for (size_t i = begin; i < end; ++i) append_row(items[i]->features, batch);
    block.resize((end - begin) * width);
    encoder.encode_items(batch, block);
    for (size_t i = begin; i < end; ++i) {
      std::copy_n(block.data() + (i - begin) * width, width, vectors.data() + i * dim);
      if (popularity) vectors[i * dim + width] = (*popularity)(items[i]->clicks);
    }
  }
  return vectors;
}

}  // namespace retort
