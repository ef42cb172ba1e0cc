#include "retort/common/error.h"

#include <cerrno>
#include <cstring>

namespace retort {

std::string errno_text() { return std::strerror(errno); }

}  // namespace retort
