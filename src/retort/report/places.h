// Finds what a report can show below the folders that it is given.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "retort/common/file.h"
#include "retort/common/json.h"

namespace retort {

/// kComparison: what compare and evaluate write; kIndexes: what index tune --json prints.
enum class ReportKind { kRun, kComparison, kAbTest, kIndexes, kBundle };

struct ReportPlace {
  ReportKind kind;
  fs::path path;     // folder of a run or bundle, else the file
  std::string name;  // the path as the reader knows it
  Json json{};       // of a file
};

/// In the order given, below each by path. A folder named directly may be a run, a bundle, a folder
/// of versions (the newest counts) or anything above these; datasets, worlds and files that are
/// something else are passed by. Throws IoError if a path does not exist, DataError for a file
/// named directly that is none of these.
std::vector<ReportPlace> find_places(std::span<const fs::path> paths);

}  // namespace retort
