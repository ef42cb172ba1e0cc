#include "retort/common/file.h"

#include <atomic>
#include <cstdio>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "retort/common/error.h"

namespace retort {
namespace {

struct Descriptor {
  Descriptor(const fs::path& path, int flags, mode_t mode = 0644)
      : fd(::open(path.c_str(), flags | O_CLOEXEC, mode)) {
    if (fd < 0) fail<IoError>("{}: cannot open: {}", path.string(), errno_text());
  }
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int fd;
};

class Digest {
 public:
  Digest() : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) {
    if (!context_ || EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1)
      fail<Error>("SHA-256 is not available");
  }
  void update(const void* data, size_t size) { EVP_DigestUpdate(context_.get(), data, size); }
  std::string hex() {
    unsigned char raw[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    EVP_DigestFinal_ex(context_.get(), raw, &size);
    std::string text;
    for (unsigned int i = 0; i < size; ++i) text += fmt::format("{:02x}", raw[i]);
    return text;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

fs::path temporary_name(const fs::path& target) {
  static std::atomic<int> counter = 0;
  return target.parent_path() /
         fmt::format(".tmp-{}-{}-{}", ::getpid(), counter++, target.filename().string());
}

fs::path folder_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

}  // namespace

std::string read_file(const fs::path& path) {
  const Descriptor file(path, O_RDONLY);
  struct stat status {};
  if (::fstat(file.fd, &status) != 0) fail<IoError>("{}: {}", path.string(), errno_text());
  if (S_ISDIR(status.st_mode)) fail<IoError>("{}: is a folder, not a file", path.string());
  std::string bytes(static_cast<size_t>(status.st_size), '\0');
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = ::read(file.fd, bytes.data() + done, bytes.size() - done);
    if (got < 0) fail<IoError>("{}: cannot read: {}", path.string(), errno_text());
    if (got == 0) fail<IoError>("{}: ends after {} of {} bytes", path.string(), done, bytes.size());
    done += static_cast<size_t>(got);
  }
  return bytes;
}

void sync_path(const fs::path& path) {
  const Descriptor file(path, O_RDONLY);
  if (::fsync(file.fd) != 0) fail<IoError>("{}: cannot sync: {}", path.string(), errno_text());
}

void write_file(const fs::path& path, std::string_view bytes) {
  write_file(path, std::span(&bytes, 1));
}

void write_file(const fs::path& path, std::span<const std::string_view> pieces) {
  const fs::path temporary = temporary_name(path);
  try {
    const Descriptor file(temporary, O_WRONLY | O_CREAT | O_TRUNC);
    for (std::string_view rest : pieces) {
      while (!rest.empty()) {
        const ssize_t put = ::write(file.fd, rest.data(), rest.size());
        if (put < 0) fail<IoError>("{}: cannot write: {}", path.string(), errno_text());
        rest.remove_prefix(static_cast<size_t>(put));
      }
    }
    if (::fsync(file.fd) != 0) fail<IoError>("{}: cannot sync: {}", path.string(), errno_text());
    if (::rename(temporary.c_str(), path.c_str()) != 0)
      fail<IoError>("{}: cannot rename into place: {}", path.string(), errno_text());
  } catch (...) {
    ::unlink(temporary.c_str());
    throw;
  }
  sync_path(folder_of(path));
}

std::string sha256(std::string_view bytes) {
  Digest digest;
  digest.update(bytes.data(), bytes.size());
  return digest.hex();
}

std::string sha256_file(const fs::path& path) {
  // Read, not mapped: a fault for every page costs as much as half of the digest.
  const Descriptor file(path, O_RDONLY);
  std::vector<char> buffer(size_t{1} << 18);
  Digest digest;
  while (true) {
    const ssize_t got = ::read(file.fd, buffer.data(), buffer.size());
    if (got < 0) fail<IoError>("{}: cannot read: {}", path.string(), errno_text());
    if (got == 0) return digest.hex();
    digest.update(buffer.data(), static_cast<size_t>(got));
  }
}

MappedFile::MappedFile(const fs::path& path) {
  const Descriptor file(path, O_RDONLY);
  struct stat status {};
  if (::fstat(file.fd, &status) != 0) fail<IoError>("{}: {}", path.string(), errno_text());
  size_ = static_cast<size_t>(status.st_size);
  if (size_ == 0) return;
  void* mapped = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, file.fd, 0);
  if (mapped == MAP_FAILED) fail<IoError>("{}: cannot map: {}", path.string(), errno_text());
  data_ = static_cast<const std::byte*>(mapped);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

FolderInMaking::FolderInMaking(fs::path target, bool replace)
    : target_(target.has_filename() ? std::move(target) : target.parent_path()),  // "out/"
      path_(temporary_name(target_)),
      replace_(replace && fs::exists(target_)) {
  if (!replace_ && fs::exists(target_))
    fail<IoError>("{}: exists already; remove it or choose another name", target_.string());
  fs::create_directories(folder_of(target_));
  fs::create_directories(path_);
}

FolderInMaking::~FolderInMaking() {
  if (committed_) return;
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

void FolderInMaking::commit() {
  for (const auto& entry : fs::recursive_directory_iterator(path_)) sync_path(entry.path());
  sync_path(path_);
  if (::renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, target_.c_str(),
                  replace_ ? RENAME_EXCHANGE : 0) != 0) {
    if (errno == ENOTEMPTY || errno == EEXIST)
      fail<IoError>("{}: another process made it meanwhile", target_.string());
    fail<IoError>("{}: cannot rename into place: {}", target_.string(), errno_text());
  }
  committed_ = true;
  sync_path(folder_of(target_));
  if (replace_) fs::remove_all(path_);
}

}  // namespace retort
