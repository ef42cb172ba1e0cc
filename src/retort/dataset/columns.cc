#include "retort/dataset/columns.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <set>

#include "retort/common/error.h"
#include "retort/common/thread_pool.h"

namespace retort {
namespace {

static_assert(std::endian::native == std::endian::little, "columns are mapped as little-endian");

constexpr std::string_view kManifest = "manifest.json", kDigest = "manifest.json.sha256";

template <class T>
std::string file_name(std::string_view name) {
  return fmt::format("{}.{}", name, column_type<T>());
}

bool is_column_type(std::string_view type) {
  return type == "u8" || type == "i32" || type == "i64" || type == "f32" || type == "f64";
}

/// Relative paths of all files below the folder, the manifest and its digest excepted, sorted.
std::vector<std::string> files_below(const fs::path& folder) {
  std::vector<std::string> paths;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_directory()) continue;
    const std::string path = fs::relative(entry.path(), folder).generic_string();
    if (path != kManifest && path != kDigest) paths.push_back(path);
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

/// Every thread takes the largest file that is left.
std::vector<std::string> digests_of(const fs::path& folder, const std::vector<std::string>& paths) {
  std::vector<std::string> digests(paths.size());
  std::vector<std::pair<uintmax_t, size_t>> by_size;
  for (size_t at = 0; at < paths.size(); ++at)
    by_size.emplace_back(fs::file_size(folder / paths[at]), at);
  std::sort(by_size.rbegin(), by_size.rend());
  std::atomic<size_t> next = 0;
  parallel_for(0, threads(), 1, [&](int64_t, int64_t) {
    for (size_t at = next++; at < by_size.size(); at = next++)
      digests[by_size[at].second] = sha256_file(folder / paths[by_size[at].second]);
  });
  return digests;
}

/// What manifest.json.sha256 holds; `sha256sum -c` understands it.
std::string digest_line(std::string_view manifest) {
  return fmt::format("{}  {}\n", sha256(manifest), kManifest);
}

Json parse_verified_manifest(const fs::path& folder) {
  const fs::path path = folder / kManifest, digest_path = folder / kDigest;
  if (!fs::is_directory(folder)) fail<DataError>("{}: no such folder", folder.string());
  for (const fs::path& needed : {path, digest_path})
    if (!fs::is_regular_file(needed))
      fail<DataError>("{}: missing; the folder is no finished dataset or bundle", needed.string());
  const std::string text = read_file(path);
  if (read_file(digest_path) != digest_line(text))
    fail<DataError>("{}: does not have the digest that {} states; one of the two was altered",
                    path.string(), kDigest);
  try {
    Json manifest = Json::parse(text);
    if (manifest.contains("files") && manifest["files"].is_object()) return manifest;
  } catch (const nlohmann::json::exception& error) {
    fail<DataError>("{}: no JSON: {}", path.string(), error.what());
  }
  fail<DataError>("{}: key 'files' is missing", path.string());
}

void check_names(const fs::path& folder, const Json& listed,
                 const std::vector<std::string>& found) {
  const std::set<std::string> present(found.begin(), found.end());
  for (const auto& [name, entry] : listed.items())
    if (!present.contains(name))
      fail<DataError>("{}: missing, though the manifest lists it", (folder / name).string());
  for (const std::string& name : found)
    if (!listed.contains(name))
      fail<DataError>("{}: extra, the manifest does not list it", (folder / name).string());
}

void check_sizes(const fs::path& folder, const Json& listed) {
  for (const auto& [name, entry] : listed.items()) {
    if (!entry.is_object() || !entry.contains("bytes") || !entry["bytes"].is_number_unsigned() ||
        !entry.contains("sha256") || !entry["sha256"].is_string())
      fail<DataError>("{}: the entry '{}' lacks bytes or sha256", (folder / kManifest).string(),
                      name);
    const auto bytes = fs::file_size(folder / name);
    if (bytes != entry["bytes"].get<uint64_t>())
      fail<DataError>("{}: has {} bytes where the manifest states {}", (folder / name).string(),
                      bytes, entry["bytes"].get<uint64_t>());
  }
}

void check_digests(const fs::path& folder, const Json& listed,
                   const std::vector<std::string>& found) {
  const std::vector<std::string> digests = digests_of(folder, found);
  for (size_t i = 0; i < found.size(); ++i)
    if (listed[found[i]]["sha256"].get<std::string>() != digests[i])
      fail<DataError>("{}: its content was altered (SHA-256 differs from the manifest)",
                      (folder / found[i]).string());
}

}  // namespace

template <class T>
ColumnWriter<T>::ColumnWriter(const fs::path& folder, std::string_view name)
    : path_(folder / file_name<T>(name)), file_(path_, std::ios::binary | std::ios::trunc) {
  if (!file_) fail<IoError>("{}: cannot open for writing: {}", path_.string(), errno_text());
}

template <class T>
void ColumnWriter<T>::flush() {
  file_.write(reinterpret_cast<const char*>(buffer_.data()),
              static_cast<std::streamsize>(used_ * sizeof(T)));
  if (!file_) fail<IoError>("{}: cannot write: {}", path_.string(), errno_text());
  written_ += static_cast<int64_t>(used_);
  used_ = 0;
}

template <class T>
void ColumnWriter<T>::close() {
  flush();
  file_.close();
  if (!file_) fail<IoError>("{}: cannot write: {}", path_.string(), errno_text());
}

template <class T>
void write_column(const fs::path& folder, std::string_view name, std::span<const T> values) {
  const fs::path path = folder / file_name<T>(name);
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  if (!file) fail<IoError>("{}: cannot open for writing: {}", path.string(), errno_text());
  file.write(reinterpret_cast<const char*>(values.data()),
             static_cast<std::streamsize>(values.size_bytes()));
  file.close();
  if (!file) fail<IoError>("{}: cannot write: {}", path.string(), errno_text());
}

void write_strings(const fs::path& folder, std::string_view name,
                   std::span<const std::string> values) {
  ColumnWriter<uint8_t> bytes(folder, fmt::format("{}.bytes", name));
  ColumnWriter<int64_t> offsets(folder, fmt::format("{}.offsets", name));
  offsets.push(0);
  for (const std::string& value : values) {
    for (const char c : value) bytes.push(static_cast<uint8_t>(c));
    offsets.push(bytes.size());
  }
  bytes.close();
  offsets.close();
}

Strings::Strings(std::span<const uint8_t> bytes, std::span<const int64_t> offsets)
    : bytes_(bytes), offsets_(offsets) {
  check(offsets.empty() || offsets.back() <= static_cast<int64_t>(bytes.size()),
        "Strings: the offsets end at {} of {} bytes", offsets.empty() ? 0 : offsets.back(),
        bytes.size());
}

std::string_view Strings::operator[](int64_t index) const {
  const auto at = static_cast<size_t>(index);
  const auto begin = static_cast<size_t>(offsets_[at]), end = static_cast<size_t>(offsets_[at + 1]);
  return {reinterpret_cast<const char*>(bytes_.data()) + begin, end - begin};
}

Columns::Columns(const fs::path& folder) : folder_(folder) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string extension = entry.path().extension().string();
    if (entry.is_regular_file() && extension.size() > 1 && is_column_type(extension.substr(1)))
      files_.emplace(entry.path().filename().string(), MappedFile(entry.path()));
  }
  if (error) fail<IoError>("{}: cannot list: {}", folder.string(), error.message());
}

bool Columns::has(const std::string& name) const {
  const auto at = files_.lower_bound(name + '.');
  for (auto file = at; file != files_.end() && file->first.starts_with(name + '.'); ++file)
    if (is_column_type(std::string_view(file->first).substr(name.size() + 1))) return true;
  return false;
}

template <class T>
std::span<const T> Columns::get(const std::string& name) const {
  const std::string file = file_name<T>(name);
  const auto at = files_.find(file);
  if (at == files_.end())
    fail<DataError>("{}: missing{}", (folder_ / file).string(),
                    has(name) ? "; the column is there with another type" : "");
  const auto bytes = at->second.bytes();
  if (bytes.size() % sizeof(T) != 0)
    fail<DataError>("{}: {} bytes are no whole number of {} values", (folder_ / file).string(),
                    bytes.size(), column_type<T>());
  return {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
}

Strings Columns::strings(const std::string& name) const {
  const auto bytes = get<uint8_t>(name + ".bytes");
  const auto offsets = get<int64_t>(name + ".offsets");
  const bool ordered = !offsets.empty() && offsets.front() == 0 &&
                       std::is_sorted(offsets.begin(), offsets.end()) &&
                       offsets.back() == static_cast<int64_t>(bytes.size());
  if (!ordered)
    fail<DataError>("{}: the offsets do not rise from 0 to the {} bytes of the texts",
                    (folder_ / (name + ".offsets.i64")).string(), bytes.size());
  return {bytes, offsets};
}

std::vector<std::string> Columns::names() const {
  std::vector<std::string> names;
  names.reserve(files_.size());
  for (const auto& [file, mapped] : files_) names.push_back(file.substr(0, file.rfind('.')));
  return names;
}

Json list_files(const fs::path& folder) {
  const std::vector<std::string> paths = files_below(folder);
  const std::vector<std::string> digests = digests_of(folder, paths);
  Json files = Json::object();
  for (size_t i = 0; i < paths.size(); ++i)
    files[paths[i]] = {{"bytes", fs::file_size(folder / paths[i])}, {"sha256", digests[i]}};
  return files;
}

void write_manifest(const fs::path& folder, Json manifest) {
  write_manifest(folder, std::move(manifest), list_files(folder));
}

void write_manifest(const fs::path& folder, Json manifest, Json files) {
  manifest["files"] = std::move(files);
  const std::string text = manifest.dump(1) + '\n';
  write_file(folder / kManifest, text);
  write_file(folder / kDigest, digest_line(text));
}

Json read_manifest(const fs::path& folder, bool deep) {
  Json manifest = parse_verified_manifest(folder);
  const Json& listed = manifest["files"];
  const std::vector<std::string> found = files_below(folder);
  check_names(folder, listed, found);
  check_sizes(folder, listed);
  if (deep) check_digests(folder, listed, found);
  return manifest;
}

#define RETORT_COLUMN(T)                                                                \
  template class ColumnWriter<T>;                                                       \
  template void write_column<T>(const fs::path&, std::string_view, std::span<const T>); \
  template std::span<const T> Columns::get<T>(const std::string&) const;
RETORT_COLUMN(uint8_t)
RETORT_COLUMN(int32_t)
RETORT_COLUMN(int64_t)
RETORT_COLUMN(float)
RETORT_COLUMN(double)
#undef RETORT_COLUMN

}  // namespace retort
