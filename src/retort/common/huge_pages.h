// Large pages for memory that is read here and there: they spare most misses of the page tables.
#pragma once

#include <cstddef>

namespace retort {

/// Asks for large pages for the whole ones among these bytes. `filled` memory is moved to them now,
/// other memory gets them as it is touched. Where the system has none, nothing happens.
void use_huge_pages(const void* memory, size_t bytes, bool filled);

}  // namespace retort
