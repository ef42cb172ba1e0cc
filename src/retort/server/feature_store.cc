#include "retort/server/feature_store.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "retort/common/error.h"
#include "retort/common/progress.h"
#include "retort/server/lmdb_feature_store.h"
#include "retort/server/redis_feature_store.h"

namespace retort {
namespace {

constexpr size_t kLongestUser = 400;
constexpr int64_t kBatch = 256;  // users written at once

/// A whole number in [least, most] after what it belongs to.
int number_of(std::string_view text, int least, int most, std::string_view what,
              const std::string& url) {
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < least || number > most)
    fail<ConfigError>("{}: {} '{}' is no number from {} to {}", url, what, text, least, most);
  return number;
}

/// What comes before the separator; `rest` keeps what comes behind it.
std::string_view take_until(std::string_view& rest, char separator) {
  const size_t at = rest.find(separator);
  const std::string_view taken = rest.substr(0, at);
  rest = at == std::string_view::npos ? std::string_view() : rest.substr(at + 1);
  return taken;
}

RedisAddress redis_address(const std::string& url) {
  RedisAddress address;
  std::string_view options = std::string_view(url).substr(std::string_view("redis://").size());
  std::string_view place = take_until(options, '?');
  if (const size_t at = place.rfind('@'); at != std::string_view::npos) {
    std::string_view user = place.substr(0, at);
    if (user.empty() || user.front() != ':')
      fail<ConfigError>("a redis URL names no user: redis://:PASSWORD@HOST:PORT/DB");
    address.password = user.substr(1);
    place.remove_prefix(at + 1);
  }
  std::string_view db = place;
  std::string_view host = take_until(db, '/');
  if (!db.empty()) address.db = number_of(db, 0, 1'000'000, "database", url);
  if (const size_t colon = host.rfind(':');
      colon != std::string_view::npos && host.find(']', colon) == std::string_view::npos) {
    address.port = number_of(host.substr(colon + 1), 1, 65535, "port", url);
    host = host.substr(0, colon);
  }
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (host.empty()) fail<ConfigError>("{}: no host; write redis://HOST:PORT/DB", url);
  address.host = host;
  while (!options.empty()) {
    std::string_view value = take_until(options, '&');
    const std::string_view name = take_until(value, '=');
    if (name == "timeout_ms")
      address.timeout = std::chrono::milliseconds(number_of(value, 1, 60'000, name, url));
    else if (name == "connections")
      address.connections = number_of(value, 1, 1000, name, url);
    else
      fail<ConfigError>("{}: unknown option '{}'; there are timeout_ms and connections", url, name);
  }
  return address;
}

/// The bundle's rows of users as raw features.
class Describer {
 public:
  explicit Describer(const Bundle& bundle)
      : bundle_(bundle),
        schema_(bundle.schema()),
        sparse_(schema_.sparse_of(Side::kUser)),
        dense_(schema_.dense_of(Side::kUser)) {
    for (const int index : sparse_) {
      const FeatureSpec& spec = feature(index);
      if (spec.kind == FeatureKind::kSequence && spec.with.empty() && !has_texts(spec))
        untold_.insert(spec.stream);
    }
  }

  Json describe(const SideBatch& users, int64_t row) const {
    const auto at = static_cast<size_t>(row);
    Json features{{"moment", bundle_.moment()}};
    for (size_t i = 0; i < sparse_.size(); ++i) {
      const SparseColumn& column = users.sparse[i];
      const auto begin = static_cast<size_t>(column.offsets[at]);
      const auto end = static_cast<size_t>(column.offsets[at + 1]);
      add_ids(feature(sparse_[i]), std::span(column.ids).subspan(begin, end - begin), features);
    }
    const auto width = static_cast<size_t>(schema_.dense_width(Side::kUser));
    auto values = std::span(users.dense).subspan(at * width, width);
    for (const int index : dense_) {
      const FeatureSpec& spec = feature(index);
      const auto own = values.first(static_cast<size_t>(spec.width));
      values = values.subspan(own.size());
      if (spec.source != FeatureSource::kContext) features[spec.name] = raw_numbers(spec, own);
    }
    return features;
  }

 private:
  const FeatureSpec& feature(int index) const {
    return schema_.features[static_cast<size_t>(index)];
  }
  /// Hashed vocabularies have none.
  bool has_texts(const FeatureSpec& spec) const {
    return !spec.vocabulary.empty() && bundle_.vocabulary(spec.vocabulary).rows() > 1 &&
           !bundle_.vocabulary(spec.vocabulary).text(1).empty();
  }

  void add_ids(const FeatureSpec& spec, std::span<const int32_t> ids, Json& features) const {
    if (spec.source == FeatureSource::kTime || spec.source == FeatureSource::kContext) return;
    if (spec.column == "user") return;  // it is the key
    if (spec.kind == FeatureKind::kSequence && untold_.contains(spec.stream)) return;
    if (spec.transform.kind != "bucket" && spec.with.empty() && !has_texts(spec)) return;
    Json values = Json::array();
    for (const int32_t id : ids) values.push_back(raw_value(spec, id));
    if (spec.kind != FeatureKind::kCategorical)
      features[spec.name] = values;
    else if (!values.empty() && !values[0].is_null())
      features[spec.name] = values[0];
  }

  /// A value that gives this id; null for 0.
  Json raw_value(const FeatureSpec& spec, int32_t id) const {
    if (id == 0) return {};
    if (!spec.with.empty()) return middle_of_side_bucket(id);
    if (spec.transform.kind != "bucket") return bundle_.vocabulary(spec.vocabulary).text(id);
    const std::vector<double>& edges = spec.transform.boundaries;
    if (edges.empty()) return 0;
    return id == 1 ? edges.front() - 1 : edges[static_cast<size_t>(id) - 2];
  }

  static Json raw_numbers(const FeatureSpec& spec, std::span<const float> values) {
    Json numbers = Json::array();
    for (const double value : values) {
      const Transform& transform = spec.transform;
      numbers.push_back(transform.kind == "log" ? std::expm1(value)
                        : transform.kind == "standard"
                            ? value * transform.deviation + transform.mean
                            : value);
    }
    return spec.width == 1 ? numbers[0] : numbers;
  }

  const Bundle& bundle_;
  const Schema& schema_;
  std::vector<int> sparse_, dense_;
  std::set<std::string> untold_;  // streams with a sequence that has no texts
};

}  // namespace

void check_user_key(const std::string& user) {
  if (user.empty() || user.size() > kLongestUser)
    fail<DataError>("user id of {} bytes; an id has 1 to {}", user.size(), kLongestUser);
}

std::unique_ptr<FeatureStore> open_feature_store(const std::string& url) {
  constexpr std::string_view kLmdb = "lmdb:";
  if (url.starts_with(kLmdb) && url.size() > kLmdb.size())
    return std::make_unique<LmdbFeatureStore>(url.substr(kLmdb.size()));
  if (url.starts_with("redis://")) return std::make_unique<RedisFeatureStore>(redis_address(url));
  fail<ConfigError>("'{}' is no store of users; write lmdb:FOLDER or redis://HOST:PORT/DB", url);
}

Json describe_user(const Bundle& bundle, const SideBatch& users, int64_t row) {
  return Describer(bundle).describe(users, row);
}

int64_t fill_feature_store(const Bundle& bundle, FeatureStore& store) {
  const Describer describer(bundle);
  Progress progress("users", bundle.users(), "users");
  for (int64_t begin = 0; begin < bundle.users(); begin += kBatch) {
    const int64_t end = std::min(begin + kBatch, bundle.users());
    std::vector<int32_t> rows;
    for (int64_t user = begin; user < end; ++user) rows.push_back(static_cast<int32_t>(user));
    const SideBatch users = bundle.user_features(rows);
    std::vector<NamedFeatures> named;
    for (int64_t row = 0; row < users.rows; ++row)
      named.push_back(
          {std::string(bundle.user_keys()[begin + row]), describer.describe(users, row)});
    if (!store.put(named))
      fail<IoError>("the store of users became unavailable after {} of {} users", begin,
                    bundle.users());
    progress.update(end);
  }
  return bundle.users();
}

}  // namespace retort
