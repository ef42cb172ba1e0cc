#include "retort/dataset/builder_features.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "retort/common/error.h"

namespace retort {
namespace {

constexpr int64_t kHourRows = 25, kWeekdayRows = 8, kSecondsRows = 16, kAgeRows = 32;
constexpr int64_t kSumRows = 24, kCountRows = 16;  // of an item's events together

/// Reads one entry; every function reads the keys of one concern.
class EntryReader {
 public:
  EntryReader(const Json& json, const std::string& name)
      : fields_(Json{{"features", {{name, json}}}}, "features." + name) {
    entry_.specs.emplace_back().name = name;
  }

  FeatureEntry read() {
    std::string name;
    fields_.read("name", name);
    read_side();
    read_source();
    read_transform();
    if (spec().source == FeatureSource::kHistory) read_sequence();
    if (spec().sparse()) read_ids();
    fields_.finish();
    return std::move(entry_);
  }

 private:
  FeatureSpec& spec() { return entry_.specs.front(); }
  [[noreturn]] void wrong(const std::string& key, const std::string& why) {
    fail<ConfigError>("{}: {}", fields_.name(key), why);
  }

  void read_side() {
    std::string side = "user", kind = "categorical";
    fields_.read_choice("side", side, {"user", "item", "pair"});
    fields_.read_choice("kind", kind, {"categorical", "bag", "sequence", "dense"});
    spec().side = side == "user" ? Side::kUser : side == "item" ? Side::kItem : Side::kPair;
    spec().kind = kind == "categorical" ? FeatureKind::kCategorical
                  : kind == "bag"       ? FeatureKind::kBag
                  : kind == "sequence"  ? FeatureKind::kSequence
                                        : FeatureKind::kDense;
  }

  void read_source() {
    std::string time, as_of, cross;
    fields_.read("time", time);
    fields_.read("as_of", as_of);
    fields_.read("cross", cross);
    if (static_cast<int>(!time.empty()) + static_cast<int>(!as_of.empty()) +
            static_cast<int>(!cross.empty()) >
        1)
      wrong("time", "give one of time, as_of and cross");
    if (!time.empty())
      read_time();
    else if (!as_of.empty())
      read_as_of();
    else if (!cross.empty())
      read_cross(cross);
    else if (spec().kind == FeatureKind::kSequence)
      spec().source = FeatureSource::kHistory;
    else
      read_column();
  }

  void read_time() {
    spec().source = FeatureSource::kTime;
    fields_.read_choice("time", spec().part, {"hour", "weekday", "age"});
    if (spec().part == "hour") spec().rows = kHourRows;
    if (spec().part == "weekday") spec().rows = kWeekdayRows;
    if (spec().part == "age" && spec().side != Side::kItem)
      wrong("side", "age is the item's age: side = \"item\"");
    if (spec().part != "age" && spec().kind != FeatureKind::kCategorical)
      wrong("kind", spec().part + " is categorical");
  }

  void read_as_of() {
    spec().source = FeatureSource::kAsOf;
    fields_.read_choice("as_of", spec().statistic, {"clicks", "reads", "mean_log_seconds", "age"});
    spec().of = spec().side == Side::kUser ? "user" : "item";
    fields_.read("of", spec().of);
    fields_.read_duration("window", spec().window);
  }

  void read_cross(const std::string& of) {
    spec().source = FeatureSource::kCross;
    spec().of = of;
    if (spec().side != Side::kPair) wrong("side", "an interaction is of the side \"pair\"");
    fields_.read("stream", spec().stream);
    fields_.read("last", spec().last);
    if (spec().last < 0) wrong("last", "write 0 (the default) or more events");
    std::string statistic = "count";
    fields_.read_choice("statistic", statistic, {"count", "seconds", "age"});
    if (statistic != "count") spec().statistic = statistic;
  }

  void read_column() {
    std::string from = "table";
    fields_.read_choice("from", from, {"table", "event"});
    spec().source = from == "event" ? FeatureSource::kContext : FeatureSource::kAttribute;
    fields_.read("column", spec().column);
    if (spec().column.empty()) wrong("column", "is missing: a column's name or an expression");
    const bool key = spec().column == "user" || spec().column == "item";
    if (key && from == "table" && (spec().column == "user") != (spec().side == Side::kUser))
      wrong("column", "'" + spec().column + "' is the key of the other side");
    if (spec().source == FeatureSource::kContext && spec().side != Side::kUser)
      wrong("side", "columns of the event belong to the user side: sampled items have none");
    entry_.expression = spec().column;
    if (spec().kind == FeatureKind::kBag) fields_.read("separator", entry_.separator);
    if (spec().kind == FeatureKind::kDense) fields_.read("width", spec().width);
    if (spec().width < 1) wrong("width", "write 1 or more");
    fields_.read("hidden", spec().hidden);
    if (spec().hidden && (spec().side != Side::kItem || from != "table"))
      wrong("hidden", "only attributes of items are stored for other features alone");
  }

  void read_transform() {
    const bool number =
        spec().kind == FeatureKind::kDense || spec().part == "age" || fields_.has("transform");
    if (!number) return;
    Transform& transform = spec().transform;
    fields_.read_choice("transform", transform.kind, {"none", "log", "standard", "bucket"});
    if (transform.kind == "bucket")
      read_buckets();
    else if (spec().kind != FeatureKind::kDense)
      wrong("kind", "a number is dense, or bucketed by transform = \"bucket\"");
  }

  void read_buckets() {
    Transform& transform = spec().transform;
    if (spec().width > 1) wrong("transform", "only one value a row can be bucketed");
    spec().kind = FeatureKind::kCategorical;
    fields_.read("boundaries", transform.boundaries);
    if (transform.boundaries.empty()) entry_.buckets = 16;
    fields_.read("buckets", entry_.buckets);
    if (!transform.boundaries.empty() && entry_.buckets > 0)
      wrong("buckets", "give boundaries or a number of buckets, not both");
    if (transform.boundaries.empty() && entry_.buckets < 2) wrong("buckets", "write 2 or more");
    for (size_t i = 0; i < transform.boundaries.size(); ++i)
      if (!std::isfinite(transform.boundaries[i]) ||
          (i > 0 && transform.boundaries[i] <= transform.boundaries[i - 1]))
        wrong("boundaries", "are not finite and rising");
    spec().rows = static_cast<int64_t>(transform.boundaries.size()) + 2;
  }

  void read_sequence() {
    fields_.read("of", spec().of);
    fields_.read("stream", spec().stream);
    fields_.read("last", spec().last);
    fields_.read("distinct", spec().distinct);
    if (spec().of.empty()) wrong("of", "is missing: the item feature whose ids are listed");
    if (spec().last < 1 || spec().last > 100) wrong("last", "write 1 to 100 clicks");
    std::vector<std::string> with;
    fields_.read("with", with);
    for (const std::string& side_information : with) {
      if (side_information != "seconds" && side_information != "age" && side_information != "count")
        wrong("with", "'" + side_information + "' is none of: seconds, age, count");
      if (side_information == "count" && !spec().distinct)
        wrong("with", "a count of an item's events needs distinct = true");
      FeatureSpec side = spec();
      side.name += '.' + side_information;
      side.with = side_information;
      side.rows = side_information == "age"     ? kAgeRows
                  : side_information == "count" ? kCountRows
                  : spec().distinct             ? kSumRows
                                                : kSecondsRows;
      entry_.specs.push_back(side);
    }
  }

  void read_ids() {
    fields_.read("oov_dropout", spec().oov_dropout);
    if (!(spec().oov_dropout >= 0 && spec().oov_dropout < 1))
      wrong("oov_dropout", "write a share of at least 0 and below 1");
    fields_.read("dropout", spec().dropout);
    if (!(spec().dropout >= 0 && spec().dropout < 1))
      wrong("dropout", "write a share of at least 0 and below 1");
    if (spec().dropout > 0 && spec().kind != FeatureKind::kBag)
      wrong("dropout", "is of bags; write oov_dropout");
    const bool texts =
        spec().source <= FeatureSource::kContext && spec().transform.kind != "bucket";
    if (!texts) return;
    spec().vocabulary = spec().name;
    fields_.read("vocabulary", spec().vocabulary);
    fields_.read("min_count", entry_.min_count);
    fields_.read("hash", entry_.hash);
    if (entry_.min_count < 0 || (entry_.min_count == 0 && spec().source == FeatureSource::kContext))
      wrong("min_count", "write 1 or more training rows, or 0 for all texts of a table");
    if (entry_.hash != 0 && entry_.hash < 2) wrong("hash", "write 2 rows or more");
  }

  Fields fields_;
  FeatureEntry entry_;
};

void check_name(const std::string& name, const std::string& key) {
  const bool good = !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '-';
  });
  if (!good)
    fail<ConfigError>("recipe key '{}': '{}' is no name; write letters, digits, '_' and '-'", key,
                      name);
}

/// Features that share a vocabulary make it together.
void check_shared(const std::vector<FeatureEntry>& entries) {
  std::map<std::string, const FeatureEntry*> first;
  for (const FeatureEntry& entry : entries) {
    if (!entry.has_texts()) continue;
    check_name(entry.spec().vocabulary, "features." + entry.spec().name + ".vocabulary");
    const auto [at, added] = first.emplace(entry.spec().vocabulary, &entry);
    if (!added && (at->second->hash != entry.hash || at->second->min_count != entry.min_count))
      fail<ConfigError>(
          "features '{}' and '{}' share the vocabulary '{}' with other min_count or "
          "hash; give both the same",
          at->second->spec().name, entry.spec().name, entry.spec().vocabulary);
  }
}

}  // namespace

ContextColumn FeatureEntry::typed_column() const {
  ContextColumn column;
  column.feature = spec().name;
  column.expression = expression;
  column.separator = separator;
  column.width = spec().width;
  if (spec().kind == FeatureKind::kBag)
    column.kind = ContextColumn::Kind::kTexts;
  else if (spec().width > 1)
    column.kind = ContextColumn::Kind::kNumbers;
  else if (spec().kind == FeatureKind::kDense || spec().transform.kind == "bucket")
    column.kind = ContextColumn::Kind::kNumber;
  return column;
}

std::vector<FeatureEntry> read_features(const Json& recipe) {
  std::vector<FeatureEntry> entries;
  const auto listed = recipe.find("features");
  if (listed == recipe.end() || !listed->is_array() || listed->empty())
    fail<ConfigError>(
        "the recipe names no features: write [[features]] tables, at least the "
        "user's and the item's id");
  std::set<std::string> names;
  for (const Json& json : *listed) {
    const auto name = json.find("name");
    if (name == json.end() || !name->is_string())
      fail<ConfigError>("recipe key 'features': entry {} has no name", entries.size() + 1);
    check_name(name->get<std::string>(), "features.name");
    entries.push_back(EntryReader(json, name->get<std::string>()).read());
    for (const FeatureSpec& spec : entries.back().specs)
      if (!names.insert(spec.name).second)
        fail<ConfigError>("recipe key 'features': the name '{}' occurs twice", spec.name);
  }
  check_shared(entries);
  std::map<std::string, int64_t> unknown_rows;
  for (const FeatureEntry& entry : entries)
    if (entry.has_texts()) unknown_rows[entry.spec().vocabulary] = 1;
  std::vector<FeatureEntry> tried = entries;
  make_schema(tried, unknown_rows);
  return entries;
}

Schema make_schema(std::vector<FeatureEntry>& entries, const std::map<std::string, int64_t>& rows) {
  Schema schema;
  for (FeatureEntry& entry : entries)
    if (entry.has_texts()) entry.specs.front().rows = rows.at(entry.spec().vocabulary);
  const auto of_name = [&](const std::string& name) -> const FeatureSpec* {
    for (const FeatureEntry& entry : entries)
      if (entry.spec().name == name) return &entry.spec();
    return nullptr;
  };
  for (FeatureEntry& entry : entries) {
    FeatureSpec& spec = entry.specs.front();
    if (spec.source == FeatureSource::kHistory) {
      const FeatureSpec* of = of_name(spec.of);
      if (of == nullptr)
        fail<ConfigError>("recipe key 'features.{}.of': there is no feature '{}'", spec.name,
                          spec.of);
      spec.vocabulary = of->vocabulary;
      spec.rows = of->rows;
    }
    for (const FeatureSpec& each : entry.specs) schema.features.push_back(each);
  }
  try {
    return schema_from_json(to_json(schema));
  } catch (const DataError& error) {
    fail<ConfigError>("recipe: {}", error.what());
  }
}

}  // namespace retort
