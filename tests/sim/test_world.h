// A small world that the tests of this room share, simulated once a process.
#pragma once

#include <string>

#include <unistd.h>

#include "retort/common/file.h"
#include "retort/common/log.h"
#include "retort/common/progress.h"
#include "retort/sim/oracle.h"
#include "retort/sim/simulate.h"

namespace retort::testing {

inline fs::path scratch(const std::string& name) {
  const fs::path path =
      fs::temp_directory_path() / ("retort-sim-" + std::to_string(::getpid()) + "-" + name);
  fs::remove_all(path);
  return path;
}

inline Json small_recipe() {
  return Json{{"world", {{"users", 300}, {"items", 200}, {"days", 4}, {"seed", 11}}}};
}

/// A folder that is simulated on construction and removed with the object.
struct SimulatedFolder {
  explicit SimulatedFolder(const Json& recipe, const std::string& name) : path(scratch(name)) {
    Progress::set_enabled(false);
    summary = simulate(recipe, {.out = path, .seed = {}}).summary;
  }
  ~SimulatedFolder() { fs::remove_all(path); }
  fs::path path;
  Json summary;
};

inline const SimulatedFolder& shared_world() {
  static const SimulatedFolder folder(small_recipe(), "shared");
  return folder;
}

inline const Oracle& shared_oracle() {
  static const Oracle oracle(shared_world().path);
  return oracle;
}

}  // namespace retort::testing
