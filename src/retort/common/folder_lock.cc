#include "retort/common/folder_lock.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "retort/common/error.h"

namespace retort {

FolderLock::FolderLock(const fs::path& folder)
    : descriptor_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  if (descriptor_ < 0) fail<IoError>("{}: cannot open: {}", folder.string(), std::strerror(errno));
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;
  ::close(descriptor_);
  fail<IoError>("{}: another process is at work in it; wait for that one, or choose another folder",
                folder.string());
}

FolderLock::~FolderLock() { ::close(descriptor_); }

}  // namespace retort
