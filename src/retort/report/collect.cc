#include "retort/report/collect.h"

#include <algorithm>
#include <cmath>
#include <sstream>

#include "retort/bundle/bundle.h"
#include "retort/common/error.h"
#include "retort/report/places.h"
#include "retort/report/projection.h"

namespace retort {
namespace {

constexpr size_t kCurvePoints = 300;  // of a training curve
constexpr int64_t kMostTopics = 40;

/// Every n-th of a list, so that at most kCurvePoints and the last are left.
Json thinned(const Json& values) {
  const size_t step = values.size() / kCurvePoints + 1;
  Json kept = Json::array();
  for (size_t at = 0; at < values.size(); ++at)
    if (at % step == 0 || at + 1 == values.size()) kept.push_back(values[at]);
  return kept;
}

Json number_or_null(const Json& record, const char* key) {
  const auto found = record.find(key);
  return found != record.end() && found->is_number() ? *found : Json();
}

/// Columns of the records of one split.
Json curve_of(const std::vector<Json>& records, const char* split,
              std::initializer_list<const char*> keys) {
  Json curve = Json::object();
  for (const char* key : keys) {
    Json values = Json::array();
    for (const Json& record : records)
      if (record.value("split", "") == split) values.push_back(number_or_null(record, key));
    curve[key] = thinned(values);
  }
  return curve;
}

std::vector<Json> records_of(const fs::path& file) {
  std::vector<Json> records;
  std::istringstream lines(read_file(file));
  for (std::string line; std::getline(lines, line);) {
    if (line.empty()) continue;
    Json record = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    // The last line of a run that was killed may be cut.
    if (record.is_object() && record.contains("step")) records.push_back(std::move(record));
  }
  return records;
}

Json read_object(const fs::path& file) {
  Json json = Json::parse(read_file(file), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) fail<DataError>("{}: is not one JSON object", file.string());
  return json;
}

Json run_of(const ReportPlace& place) {
  const Json info = read_object(place.path / "run.json");
  const std::vector<Json> records = records_of(place.path / "metrics.jsonl");
  const Json result = info.value("result", Json::object());
  // Runs of a comparison are COMPARISON/LABEL/seedK.
  const std::string folder = place.path.filename().string();
  const bool seed = folder.starts_with("seed");
  return {{"name", place.name},
          {"group", seed ? place.path.parent_path().filename().string() : folder},
          {"recipe", info.value("name", "")},
          {"status", info.value("status", "")},
          {"result", result},
          {"metric", result.value("metric", "")},
          {"train", curve_of(records, "train", {"step", "epoch", "loss", "seconds"})},
          {"valid", curve_of(records, "valid", {"step", "epoch", "loss", "metric", "seconds"})}};
}

/// For results that say no verdict of their own, as those of earlier versions.
std::string verdict_between(const Json& difference) {
  const auto at = [&](const char* key) {
    return difference.contains(key) && difference[key].is_number() ? difference[key].get<double>()
                                                                   : 0.0;
  };
  return at("low") > 0 ? "better" : at("high") < 0 ? "worse" : "not distinguishable";
}

/// One dataset's part of a comparison.
Json comparison_of(const std::string& name, const std::string& title, const std::string& data,
                   const Json& json) {
  Json one{{"name", name}, {"title", title}, {"data", data}};
  for (const char* key : {"evaluation", "seeds", "datasets", "models", "kinds", "differences",
                          "claims", "warnings", "details"})
    if (json.contains(key)) one[key] = json[key];
  if (one.contains("differences"))
    for (Json& difference : one["differences"])
      if (!difference.contains("verdict")) difference["verdict"] = verdict_between(difference);
  Json titles = Json::object();
  for (const Json& row : json.value("table", Json::array()))
    if (row.contains("label") && row.contains("title"))
      titles[row["label"].get<std::string>()] = row["title"];
  one["titles"] = titles;
  return one;
}

void add_comparisons(const ReportPlace& place, Json& comparisons) {
  const Json& json = place.json;
  if (json.contains("models")) {
    const std::string data = json["evaluation"].value("dataset", "");
    comparisons.push_back(comparison_of(place.name, place.path.stem().string(), data, json));
    return;
  }
  for (const auto& [data, part] : json["data"].items())
    if (part.is_object() && part.contains("models"))
      comparisons.push_back(comparison_of(place.name, json.value("title", ""), data, part));
}

/// A test of a feed has a part for each ranker where that of the platform has sections; in a sum of
/// several the differences are relative ones.
Json abtest_of(ReportPlace place) {
  Json test = std::move(place.json);
  test["name"] = place.name;
  if (test.contains("sections")) return test;
  for (const auto& [ranker, judged] : test["rankers"].items()) {
    Json& part = test["sections"]["behind " + ranker] = judged;
    for (const char* list : {"differences", "order"}) {
      if (!part.contains(list)) continue;
      for (Json& difference : part[list]) {
        if (difference.contains("relative")) continue;
        for (const char* key : {"value", "low", "high"}) {
          difference["relative"][key] = difference.value(key, Json());
          difference.erase(key);
        }
      }
    }
  }
  test.erase("rankers");
  return test;
}

/// nullptr: none of the bundle's text attributes will do.
const TextAttribute* topic_of(const ItemAttributes& attributes, const std::string& wanted,
                              std::string& name) {
  std::vector<std::string> names{"topic", "category", "segment", "genre"};
  if (!wanted.empty()) names = {wanted};
  const auto text = [&](const std::string& of) -> const TextAttribute* {
    const auto found = attributes.columns().find(of);
    return found == attributes.columns().end() ? nullptr
                                               : std::get_if<TextAttribute>(&found->second);
  };
  for (const std::string& candidate : names) {
    name = candidate;
    if (const TextAttribute* found = text(candidate)) return found;
  }
  if (!wanted.empty()) return nullptr;
  for (const auto& [candidate, column] : attributes.columns()) {
    name = candidate;
    const auto* found = std::get_if<TextAttribute>(&column);
    if (found && found->values.size() > 1 && found->values.size() <= kMostTopics) return found;
  }
  return nullptr;
}

std::string topic_at(const TextAttribute* topic, int64_t item) {
  if (topic == nullptr) return "";
  const int64_t first = topic->offsets[static_cast<size_t>(item)];
  if (first == topic->offsets[static_cast<size_t>(item) + 1]) return "";
  return std::string(topic->values[topic->codes[static_cast<size_t>(first)]]);
}

Json bundle_of(const ReportPlace& place, const ReportOptions& options, bool& has_topic) {
  const Bundle bundle(place.path);
  std::string name;
  const TextAttribute* topic = topic_of(bundle.attributes(), options.topic, name);
  has_topic = has_topic || topic != nullptr;
  const int64_t count = std::min(bundle.items(), options.items), stride = bundle.vector_dim();
  std::vector<float> vectors;
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < count; ++i) {
    rows.push_back(i * bundle.items() / count);
    const auto row = bundle.item_vectors().subspan(static_cast<size_t>(rows.back() * stride),
                                                   static_cast<size_t>(stride));
    vectors.insert(vectors.end(), row.begin(), row.end());
  }
  const Projection projection = project(vectors, bundle.spec().dim(), stride);
  Json topics = Json::array(), points = Json::array();
  const auto rounded = [](float value) { return std::round(value * 1e4) / 1e4; };
  for (size_t i = 0; i < rows.size(); ++i) {
    const std::string text = topic_at(topic, rows[i]);
    auto found = std::find(topics.begin(), topics.end(), text);
    const auto at = std::distance(topics.begin(), found);
    if (found == topics.end()) topics.push_back(text);
    points.push_back({rounded(projection.points[i][0]), rounded(projection.points[i][1]), at,
                      std::string(bundle.item_keys()[rows[i]])});
  }
  return {{"name", place.name},
          {"model", bundle.model()},
          {"version", bundle.version()},
          {"items", bundle.items()},
          {"users", bundle.users()},
          {"dim", bundle.vector_dim()},
          {"topic", topic == nullptr ? "" : name},
          {"topics", topics},
          {"points", points},
          {"explained", projection.explained}};
}

}  // namespace

Json collect_report(std::span<const fs::path> paths, const ReportOptions& options) {
  Json report{{"title", options.title}};
  for (const char* key : {"runs", "comparisons", "abtests", "indexes", "bundles"})
    report[key] = Json::array();
  bool has_topic = false;
  for (ReportPlace& place : find_places(paths)) {
    switch (place.kind) {
      case ReportKind::kRun:
        report["runs"].push_back(run_of(place));
        break;
      case ReportKind::kComparison:
        add_comparisons(place, report["comparisons"]);
        break;
      case ReportKind::kAbTest:
        report["abtests"].push_back(abtest_of(std::move(place)));
        break;
      case ReportKind::kIndexes:
        place.json["name"] = place.name;
        report["indexes"].push_back(std::move(place.json));
        break;
      case ReportKind::kBundle:
        report["bundles"].push_back(bundle_of(place, options, has_topic));
        break;
    }
  }
  size_t parts = 0;
  for (const auto& [key, value] : report.items()) parts += value.is_array() ? value.size() : 0;
  if (parts == 0)
    fail<DataError>(
        "nothing to report: the folders hold no run, bundle, or JSON of compare, evaluate, abtest "
        "or index tune --json");
  if (!options.topic.empty() && !report["bundles"].empty() && !has_topic)
    fail<ConfigError>("no bundle has a text attribute '{}' to colour items by", options.topic);
  return report;
}

}  // namespace retort
