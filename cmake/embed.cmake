# Writes OUT, a C++ source that defines `std::span<const EmbeddedFile> FUNCTION()`: the files of
# FILES (separated by |), as they are. Run by retort_embed (retort.cmake) when one of them changes.
string(REPLACE "|" ";" files "${FILES}")
set(arrays "")
set(rows "")
set(number 0)
foreach(file IN LISTS files)
  get_filename_component(name "${file}" NAME)
  file(SHA256 "${file}" digest)
  file(SIZE "${file}" size)
  file(READ "${file}" bytes HEX)
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
  # Lines that an editor can open.
  string(REGEX REPLACE "(0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,)"
         "\\1\n" bytes "${bytes}")
  string(APPEND arrays "constexpr unsigned char kFile${number}[] = {\n${bytes}0};\n")
  string(APPEND rows
    "      {\"${name}\", {reinterpret_cast<const char*>(kFile${number}), ${size}}, \"${digest}\"},\n")
  math(EXPR number "${number} + 1")
endforeach()
set(text "// Made by cmake/embed.cmake.
#include <span>

#include \"retort/common/embedded_file.h\"

namespace retort {
namespace {

${arrays}
}  // namespace

std::span<const EmbeddedFile> ${FUNCTION}() {
  static const EmbeddedFile files[] = {
${rows}  };
  return files;
}

}  // namespace retort
")
file(WRITE "${OUT}" "${text}")
