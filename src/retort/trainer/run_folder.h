// The files of a run: recipe.json (resolved), model.json (the student's architecture), run.json
// (what trained it, on what, with which result), checkpoints/. A run folder appears whole, with a
// checkpoint of step 0, or not at all; one process at a time trains in it (FolderLock).
#pragma once

#include <cstdint>
#include <string>

#include "retort/common/file.h"
#include "retort/common/json.h"
#include "retort/dataset/dataset.h"

namespace retort {

/// Places inside a run folder.
struct RunPaths {
  explicit RunPaths(const fs::path& run);
  fs::path recipe, info, model, last, best, teacher_best;
};

/// SHA-256 of a dataset's manifest: what a run remembers of the rows it was trained on.
std::string dataset_digest(const Dataset& dataset);

/// A fresh run.json: name, versions, seed, device, dataset, status "running".
Json make_run_info(const Json& recipe, const Dataset& dataset, uint64_t seed,
                   const std::string& device);
void write_json(const fs::path& path, const Json& json);
/// Throws DataError naming the file if it is missing or no JSON.
Json read_json(const fs::path& path);

/// Dotted name of the first key whose value differs, `prefix` before it; "" if they are equal.
std::string first_difference(const Json& a, const Json& b, const std::string& prefix);

/// Throws ConfigError unless recipe, seed and dataset are those the run began with; the message
/// names what differs.
void check_same_run(const fs::path& run, const Json& recipe, const Dataset& dataset, uint64_t seed);

}  // namespace retort
