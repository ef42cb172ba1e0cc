// Loops over single rows of embedding tables and of their gradients. Used by nn/.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "retort/kernel/bf16.h"

namespace retort {

/// Places of equal ids side by side: distinct[k] stands at order[begin[k]], .., order[begin[k + 1]
/// - 1], which rise. Distinct ids in the order of their first place. Reuses its memory.
class GroupedIds {
 public:
  void group(std::span<const int64_t> ids);
  std::span<const int64_t> distinct() const { return distinct_; }
  std::span<const int32_t> places(int64_t k) const {
    return std::span(order_).subspan(
        static_cast<size_t>(begin_[static_cast<size_t>(k)]),
        static_cast<size_t>(begin_[static_cast<size_t>(k) + 1] - begin_[static_cast<size_t>(k)]));
  }

 private:
  std::vector<int32_t> slots_;  // a hash table of places among the distinct ids, -1: empty
  std::vector<int64_t> distinct_;
  std::vector<int32_t> begin_, order_, slot_of_, next_;
};

/// out[d] = (or +=, with `more`) scale * row[d].
void take_row(const float* row, int64_t dim, float scale, bool more, float* out);
void take_row(const Bf16* row, int64_t dim, float scale, bool more, float* out);
void take_row(const double* row, int64_t dim, float scale, bool more, double* out);

/// Has all lines of a row brought into the first-level cache, to read or to write.
inline void fetch_row(const void* row, int64_t bytes, bool write) {
  const char* at = static_cast<const char*>(row);
  for (int64_t line = 0; line < bytes; line += 64)
    write ? __builtin_prefetch(at + line, 1) : __builtin_prefetch(at + line, 0);
  write ? __builtin_prefetch(at + bytes - 1, 1) : __builtin_prefetch(at + bytes - 1, 0);
}

}  // namespace retort
