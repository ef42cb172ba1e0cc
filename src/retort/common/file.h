// Files that matter: read whole or mapped, written so that a reader never sees half of one,
// and digested. Every function throws IoError naming the path and the system's reason.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace retort {

namespace fs = std::filesystem;

std::string read_file(const fs::path& path);

/// Temporary name in the same folder, fsync, rename, fsync of the folder. A crash leaves the
/// old file or the new one, and at worst a stray `.tmp-*` beside it.
void write_file(const fs::path& path, std::string_view bytes);
/// The same of pieces one after another, without joining them in memory.
void write_file(const fs::path& path, std::span<const std::string_view> pieces);

/// fsync of a file or a folder.
void sync_path(const fs::path& path);

/// Lower-case hexadecimal SHA-256.
std::string sha256(std::string_view bytes);
std::string sha256_file(const fs::path& path);

/// A file mapped for reading. Movable; an empty file is an empty span. The content must not be
/// changed while mapped.
class MappedFile {
 public:
  MappedFile() = default;
  explicit MappedFile(const fs::path& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();
  std::span<const std::byte> bytes() const { return {data_, size_}; }

 private:
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

/// A folder that appears whole or not at all: fill `path()`, then `commit()` syncs everything in
/// it and renames it to its final name. Destroyed without commit, it removes what was written.
class FolderInMaking {
 public:
  /// Throws IoError if `target` exists already, unless the new folder is to take its place: then
  /// there is one of the two at any moment, and the old one is removed afterwards.
  explicit FolderInMaking(fs::path target, bool replace = false);
  FolderInMaking(const FolderInMaking&) = delete;
  FolderInMaking& operator=(const FolderInMaking&) = delete;
  ~FolderInMaking();
  const fs::path& path() const { return path_; }
  void commit();

 private:
  fs::path target_, path_;
  bool replace_ = false, committed_ = false;
};

}  // namespace retort
