#include "retort/common/huge_pages.h"

#include <cstdint>

#include <linux/mman.h>
#include <sys/mman.h>

namespace retort {

void use_huge_pages(const void* memory, size_t bytes, bool filled) {
  constexpr uintptr_t kPage = uintptr_t{2} << 20;
  const auto begin = reinterpret_cast<uintptr_t>(memory);
  const uintptr_t first = (begin + kPage - 1) / kPage * kPage,
                  last = (begin + bytes) / kPage * kPage;
  if (first >= last) return;
  void* pages = static_cast<std::byte*>(const_cast<void*>(memory)) + (first - begin);
  ::madvise(pages, last - first, MADV_HUGEPAGE);
#ifdef MADV_COLLAPSE
  if (filled) ::madvise(pages, last - first, MADV_COLLAPSE);
#else
  static_cast<void>(filled);
#endif
}

}  // namespace retort
