// Everything that a report shows, as one JSON document: what page/sections.js draws and text.h
// prints.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "retort/common/file.h"
#include "retort/common/json.h"

namespace retort {

struct ReportOptions {
  std::string title = "Retort report";
  std::string topic{};   // item attribute that colours the vectors; empty: see collect_report
  int64_t items = 2000;  // of a bundle, evenly spaced, whose vectors are shown
};

/// {"title", "runs": [{"name", "group", "recipe", "status", "result", "train": {"step": [..],
/// "loss": [..]}, "valid": {"step", "loss", "metric"}, "metric"}],
/// "comparisons": [{"name", "title", "data", "evaluation", "seeds", "datasets", "models", "kinds",
/// "titles", "differences": [.. "verdict"], "claims", "warnings", "details"}], "abtests": as
/// abtest.json of the platform with "name" its path; rankers of a feed are its sections "behind
/// RANKER", with "order" and "counterfactual"; "indexes": as index tune --json with "name",
/// "bundles": [{"name", "model", "version", "items", "users", "dim", "topic", "topics", "points":
/// [[x, y, topic, id]], "explained"}]}. Without options.topic the first text attribute called
/// topic, category, segment or genre counts, else the first with 2 to 40 values, else none.
/// Throws DataError if nothing is found, or for a run or bundle that cannot be read, and what
/// find_places throws; ConfigError for a topic that no bundle has.
Json collect_report(std::span<const fs::path> paths, const ReportOptions& options);

}  // namespace retort
