// Files that are part of an executable: cmake/embed.cmake writes the functions that list them
// (retort_embed in cmake/retort.cmake).
#pragma once

#include <string_view>

namespace retort {

struct EmbeddedFile {
  std::string_view name;     // without its folder
  std::string_view content;  // ends with a NUL that it does not count
  std::string_view sha256;   // of the content, in hexadecimal digits
};

}  // namespace retort
