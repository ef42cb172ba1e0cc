#include "tests/support/scratch_folder.h"

#include <cstdlib>
#include <string>

#include "retort/common/error.h"

namespace retort {

ScratchFolder::ScratchFolder() {
  std::string name = (fs::temp_directory_path() / "retort-test-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) fail<IoError>("{}: {}", name, errno_text());
  path_ = name;
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

}  // namespace retort
