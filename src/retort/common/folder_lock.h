// Keeps two processes from changing one folder at the same time.
#pragma once

#include "retort/common/file.h"

namespace retort {

/// The sole right to change a folder, among those who ask for it. It ends with the object, or with
/// its process however that ends, and leaves nothing behind.
class FolderLock {
 public:
  /// Throws IoError naming the folder if another holder is at work in it. A file system that knows
  /// no locks grants the right to everybody.
  explicit FolderLock(const fs::path& folder);
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;
  ~FolderLock();

 private:
  int descriptor_ = -1;
};

}  // namespace retort
