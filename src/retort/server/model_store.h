// The models that a server has, each with its folder of versions: loads new ones beside those that
// serve, swaps them in, and goes back where it is told to.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "retort/common/json.h"
#include "retort/server/served_model.h"

namespace retort {

struct ModelSource {
  std::string name;
  fs::path folder;  // of versions, or one version, which is then served for good
};

/// Thread-safe. A version is verified, loaded, warmed up and tried at low priority before it is
/// swapped in; requests that hold the old one finish with it. A bad one is refused: the old one
/// serves on, and the folder is looked at again once its files change; where the index is not the
/// bundle's own, at every look, for it may have come.
class ModelStore {
 public:
  using Served = std::shared_ptr<ServedModel>;
  /// Called by the loading thread: with a model before it is swapped in, and after; with the name
  /// of one whose version was refused.
  struct Hooks {
    std::function<void(ServedModel& model)> loaded;
    std::function<void(const ServedModel& model)> swapped;
    std::function<void(const std::string& name)> refused;
    OpenIndex open_index;
  };

  /// Loads the newest good version of each. Throws DataError if a model has none, ConfigError on a
  /// name given twice.
  ModelStore(std::vector<ModelSource> sources, std::chrono::milliseconds poll, Hooks hooks = {});
  ~ModelStore();
  ModelStore(const ModelStore&) = delete;
  ModelStore& operator=(const ModelStore&) = delete;

  /// The version that serves; null if there is no such model.
  Served find(const std::string& name) const;
  std::vector<std::string> names() const;
  /// Serves exactly this version from now on, or the newest again (nullopt). Returns what serves
  /// then. Throws DataError if there is no such version or it is refused, ConfigError if there is
  /// no such model.
  Served pin(const std::string& name, std::optional<int64_t> version);
  /// {"models": [{"name", "version", "pinned", "versions", "refused": {version: reason}, ..}]}
  Json describe() const;

 private:
  struct Refusal {
    std::string reason, files;  // what its files were, see files_of
  };
  struct Model {
    ModelSource source;
    bool fixed = false;
    Served served;
    std::optional<int64_t> pinned;
    std::map<int64_t, Refusal> refused;
  };
  void watch(const std::stop_token& stop);
  std::vector<int64_t> wanted_versions(const Model& model) const;
  void refresh(Model& model);
  Served load(Model& model, int64_t version);
  void swap(Model& model, Served next);
  void drop_retired();

  std::chrono::milliseconds poll_;
  Hooks hooks_;
  mutable std::mutex mutex_;     // of what follows
  std::vector<Model> models_;    // fixed in number and order
  std::vector<Served> retired_;  // still held by requests
  std::mutex loading_;           // one load at a time
  std::condition_variable_any wake_;
  std::jthread watcher_;
};

}  // namespace retort
