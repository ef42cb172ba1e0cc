#include "retort/report/places.h"

#include <algorithm>
#include <optional>

#include "retort/bundle/bundle_writer.h"
#include "retort/common/error.h"
#include "retort/common/log.h"

namespace retort {
namespace {

constexpr uintmax_t kLargestFile = uintmax_t{64} << 20;
constexpr int kDeepest = 8;

std::optional<ReportKind> kind_of(const Json& json) {
  if (!json.is_object()) return std::nullopt;
  const auto has = [&](const char* key, bool array) {
    return json.contains(key) && (array ? json[key].is_array() : json[key].is_object());
  };
  if (has("models", false) && has("evaluation", false)) return ReportKind::kComparison;
  if (has("data", false) && json.contains("title")) return ReportKind::kComparison;
  if (has("sections", false) && has("arms", true)) return ReportKind::kAbTest;
  if (has("rankers", false) && (has("arms", true) || has("tests", true)))
    return ReportKind::kAbTest;  // of a feed, or several summed up
  if (has("points", true) && has("chosen", false)) return ReportKind::kIndexes;
  return std::nullopt;
}

Json parse_quietly(const fs::path& file) {
  return Json::parse(read_file(file), nullptr, /*allow_exceptions=*/false);
}

class Finder {
 public:
  explicit Finder(std::vector<ReportPlace>& found) : found_(found) {}

  void look_in(const fs::path& folder, int depth) {
    if (depth > kDeepest) return;
    if (fs::exists(folder / "metrics.jsonl")) {
      if (fs::exists(folder / "run.json")) return add(ReportKind::kRun, folder);
      return log_warning("report", "{}: has no run.json and is passed by", folder.string());
    }
    if (const fs::path manifest = folder / "manifest.json"; fs::exists(manifest)) {
      const Json json = parse_quietly(manifest);
      if (json.is_object() && json.value("kind", "") == "bundle") add(ReportKind::kBundle, folder);
      return;  // a dataset, otherwise
    }
    if (fs::exists(folder / "world.json")) return;
    const std::vector<int64_t> versions = bundle_versions(folder);
    if (!versions.empty()) return look_in(folder / std::to_string(versions.back()), depth + 1);
    std::vector<fs::path> entries;
    for (const auto& entry : fs::directory_iterator(folder))
      if (!entry.is_symlink()) entries.push_back(entry.path());
    std::sort(entries.begin(), entries.end());
    for (const fs::path& entry : entries)
      if (fs::is_regular_file(entry) && entry.extension() == ".json") look_at(entry);
    for (const fs::path& entry : entries)
      // The grid of learning rates: runs that were only tried; the one chosen is beside it.
      if (fs::is_directory(entry) && entry.filename() != "rates") look_in(entry, depth + 1);
  }

  /// False if the file is nothing that a report shows.
  bool look_at(const fs::path& file) {
    if (fs::file_size(file) > kLargestFile) return false;
    Json json = parse_quietly(file);
    if (json.is_discarded()) log_warning("report", "{}: is no JSON", file.string());
    const auto kind = kind_of(json);
    if (kind) found_.push_back({*kind, file, file.string(), std::move(json)});
    return kind.has_value();
  }

 private:
  void add(ReportKind kind, const fs::path& folder) {
    found_.push_back({kind, folder, folder.string()});
  }
  std::vector<ReportPlace>& found_;
};

}  // namespace

std::vector<ReportPlace> find_places(std::span<const fs::path> paths) {
  std::vector<ReportPlace> found;
  Finder finder(found);
  for (const fs::path& path : paths) {
    if (fs::is_directory(path)) {
      finder.look_in(path.lexically_normal(), 0);
    } else if (!fs::exists(path)) {
      fail<IoError>("{}: there is no such file or folder", path.string());
    } else if (!finder.look_at(path)) {
      fail<DataError>(
          "{}: not JSON of compare, evaluate, abtest or index tune, which a report shows",
          path.string());
    }
  }
  return found;
}

}  // namespace retort
