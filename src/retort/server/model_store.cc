#include "retort/server/model_store.h"

#include <algorithm>
#include <charconv>

#include <malloc.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "retort/bundle/bundle_writer.h"
#include "retort/common/error.h"
#include "retort/common/log.h"

namespace retort {
namespace {

/// The lowest: where requests take all there is, loading takes long, and they hardly notice.
constexpr int kLowPriority = 19;
constexpr int64_t kNamedValues = 50;  // of an attribute, in the description of a model

/// Of the calling thread alone, as Linux has it.
void lower_priority() {
  setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), kLowPriority);
}

/// Names, sizes and times of a folder's files: another text once one of them changed.
std::string files_of(const fs::path& folder) {
  std::vector<std::string> lines;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error))
    lines.push_back(fmt::format("{} {} {}\n", entry.path().filename().string(),
                                entry.is_regular_file() ? entry.file_size(error) : 0,
                                entry.last_write_time(error).time_since_epoch().count()));
  std::sort(lines.begin(), lines.end());
  return fmt::format("{}", fmt::join(lines, ""));
}

/// The number that a version's folder is called; 0 if it is none.
int64_t number_of(const fs::path& folder) {
  const std::string name = folder.filename().string();
  int64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  return error == std::errc() && end == name.data() + name.size() ? number : 0;
}

/// {NAME: {"kind": "number"} or {"kind": "text", "values": [..]}}, of many values the first.
Json kinds_of(const ItemAttributes& attributes) {
  Json all = Json::object();
  for (const auto& [name, column] : attributes.columns()) {
    const auto* texts = std::get_if<TextAttribute>(&column);
    all[name] = {{"kind", texts == nullptr ? "number" : "text"}};
    if (texts == nullptr) continue;
    Json& values = all[name]["values"] = Json::array();
    for (int64_t i = 0; i < texts->values.size() && i < kNamedValues; ++i)
      if (!texts->values[i].empty()) values.push_back(std::string(texts->values[i]));
  }
  return all;
}

}  // namespace

ModelStore::ModelStore(std::vector<ModelSource> sources, std::chrono::milliseconds poll,
                       Hooks hooks)
    : poll_(poll), hooks_(std::move(hooks)) {
  for (ModelSource& source : sources) {
    for (const Model& other : models_)
      if (other.source.name == source.name)
        fail<ConfigError>(
            "model '{}' is given twice: call one of them otherwise, as in "
            "other=BUNDLES",
            source.name);
    Model model;
    model.fixed = fs::exists(source.folder / "manifest.json");
    model.source = std::move(source);
    models_.push_back(std::move(model));
  }
  for (Model& model : models_) {
    refresh(model);
    if (model.served != nullptr) continue;
    const std::string folder = model.source.folder.string();
    if (model.refused.empty())
      fail<DataError>("{}: neither a bundle nor a folder of bundles{}", folder,
                      fs::exists(folder) ? "" : " (it does not exist)");
    fail<DataError>("{}: no version can be served: {}", folder,
                    model.refused.rbegin()->second.reason);
  }
  watcher_ = std::jthread([this](const std::stop_token& stop) { watch(stop); });
}

ModelStore::~ModelStore() = default;

ModelStore::Served ModelStore::find(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  for (const Model& model : models_)
    if (model.source.name == name) return model.served;
  return nullptr;
}

std::vector<std::string> ModelStore::names() const {
  std::vector<std::string> names;
  for (const Model& model : models_) names.push_back(model.source.name);
  return names;
}

ModelStore::Served ModelStore::pin(const std::string& name, std::optional<int64_t> version) {
  const auto model = std::find_if(models_.begin(), models_.end(), [&](const Model& candidate) {
    return candidate.source.name == name;
  });
  if (model == models_.end()) fail<ConfigError>("there is no model '{}'", name);
  // A thread of its own, for its priority.
  std::packaged_task<Served()> task([&] {
    lower_priority();
    const std::lock_guard one_load(loading_);
    if (!version) {
      {
        const std::lock_guard lock(mutex_);
        model->pinned.reset();
      }
      refresh(*model);
      return find(name);
    }
    Served now = find(name);
    if (now->version() != *version) {
      now = load(*model, *version);
      if (now == nullptr) {
        const std::lock_guard lock(mutex_);
        throw DataError(model->refused.at(*version).reason);
      }
      swap(*model, now);
    }
    const std::lock_guard lock(mutex_);
    model->pinned = version;
    return now;
  });
  std::future<Served> result = task.get_future();
  std::jthread(std::move(task)).join();
  return result.get();
}

Json ModelStore::describe() const {
  const std::lock_guard lock(mutex_);
  Json models = Json::array();
  for (const Model& model : models_) {
    const ServedModel& served = *model.served;
    Json refused = Json::object();
    for (const auto& [version, refusal] : model.refused)
      refused[std::to_string(version)] = refusal.reason;
    models.push_back({{"name", model.source.name},
                      {"recipe", served.bundle().model()},
                      {"version", served.version()},
                      {"pinned", model.pinned.has_value()},
                      {"versions", bundle_versions(model.source.folder)},
                      {"refused", refused},
                      {"users", served.bundle().users()},
                      {"items", served.bundle().items()},
                      {"dim", served.bundle().vector_dim()},
                      {"index", hooks_.open_index ? Json{{"name", "pgvector"}}
                                                  : served.bundle().manifest()["index"]},
                      {"created", served.bundle().manifest()["created"]},
                      {"tasks", task_names(served.bundle().spec())},
                      {"fusion", task_shares(served.bundle().spec())},
                      {"attributes", kinds_of(served.bundle().attributes())},
                      {"load_seconds", served.load_seconds()},
                      {"smoke_recall", served.smoke_recall()}});
  }
  return {{"models", models}};
}

void ModelStore::watch(const std::stop_token& stop) {
  lower_priority();
  std::mutex sleeping;
  while (true) {
    {
      std::unique_lock lock(sleeping);
      wake_.wait_for(lock, stop, poll_, [] { return false; });
    }
    if (stop.stop_requested()) return;
    const std::lock_guard one_load(loading_);
    for (Model& model : models_) {
      try {
        refresh(model);
      } catch (const std::exception& error) {
        log_warning("server", "{}: {}", model.source.folder.string(), error.what());
      }
    }
    drop_retired();
  }
}

/// What should serve, best first.
std::vector<int64_t> ModelStore::wanted_versions(const Model& model) const {
  if (model.fixed) return {std::max<int64_t>(1, number_of(model.source.folder))};
  std::vector<int64_t> versions = bundle_versions(model.source.folder);
  std::reverse(versions.begin(), versions.end());
  return versions;
}

/// Serves the newest version that is good, or the pinned one while its folder is there. With none
/// left, what serves goes on.
void ModelStore::refresh(Model& model) {
  Served served;
  std::optional<int64_t> pinned;
  {
    const std::lock_guard lock(mutex_);
    served = model.served;
    pinned = model.pinned;
  }
  if (model.fixed && served != nullptr) return;
  const std::vector<int64_t> versions = wanted_versions(model);
  if (pinned && std::find(versions.begin(), versions.end(), *pinned) != versions.end()) return;
  for (const int64_t version : versions) {
    if (served != nullptr && served->version() == version) return;
    Served next = load(model, version);
    if (next != nullptr) return swap(model, std::move(next));
  }
}

/// Null if it is refused; where it was before, its files are only read again once they changed.
ModelStore::Served ModelStore::load(Model& model, int64_t version) {
  const fs::path folder =
      model.fixed ? model.source.folder : model.source.folder / std::to_string(version);
  const std::string files = files_of(folder);
  {
    const std::lock_guard lock(mutex_);
    const auto before = model.refused.find(version);
    if (before != model.refused.end() && before->second.files == files && !hooks_.open_index)
      return nullptr;
  }
  std::string reason;
  try {
    auto next =
        std::make_shared<ServedModel>(model.source.name, version, folder, hooks_.open_index);
    if (hooks_.loaded) hooks_.loaded(*next);
    const std::lock_guard lock(mutex_);
    model.refused.erase(version);
    return next;
  } catch (const std::exception& error) {
    reason = error.what();
  }
  {
    const std::lock_guard lock(mutex_);
    Refusal& refusal = model.refused[version];
    if (refusal.reason == reason && refusal.files == files) return nullptr;  // has been said
    refusal = {reason, files};
  }
  log_warning("server", "{} version {} is refused: {}", model.source.name, version, reason);
  if (hooks_.refused) hooks_.refused(model.source.name);
  return nullptr;
}

void ModelStore::swap(Model& model, Served next) {
  const Served now = next;
  {
    const std::lock_guard lock(mutex_);
    std::swap(model.served, next);
    if (next != nullptr) retired_.push_back(next);
  }
  log_info("server", "{} serves version {} ({:.2f} s to load)", model.source.name, now->version(),
           now->load_seconds());
  if (hooks_.swapped) hooks_.swapped(*now);
}

/// Frees old versions on this thread once no request holds them: that takes milliseconds, which no
/// request is to pay.
void ModelStore::drop_retired() {
  std::vector<Served> done;
  {
    const std::lock_guard lock(mutex_);
    for (Served& old : retired_)
      if (old.use_count() == 1) done.push_back(std::move(old));
    std::erase(retired_, nullptr);
  }
  if (done.empty()) return;
  done.clear();
  malloc_trim(0);
}

}  // namespace retort
