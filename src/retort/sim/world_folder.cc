#include "retort/sim/world_folder.h"

namespace retort {

SimulateResult write_world(const fs::path& out,
                           const std::function<Json(DuckDb&, const fs::path&)>& write) {
  FolderInMaking folder(out);
  SimulateResult result{.folder = out, .summary = {}};
  {
    DuckDb db({.database = {}, .memory_limit = "1GB", .temporary_folder = folder.path() / "spill"});
    fs::create_directory(folder.path() / "truth");
    result.summary = write(db, folder.path());
  }
  fs::remove_all(folder.path() / "spill");
  write_file(folder.path() / "world.json", result.summary.dump(2) + "\n");
  folder.commit();
  return result;
}

}  // namespace retort
