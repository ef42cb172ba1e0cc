#include "retort/kernel/rows.h"

#include <bit>
#include <utility>

#include "retort/kernel/clones.h"

namespace retort {
namespace {

template <class From, class To>
[[gnu::always_inline]] inline void take(const From* row, int64_t dim, To scale, bool more,
                                        To* out) {
  const auto value = [&](int64_t d) {
    if constexpr (std::is_same_v<From, Bf16>)
      return std::bit_cast<float>(static_cast<uint32_t>(row[d]) << 16);
    else
      return row[d];
  };
  if (more)
    for (int64_t d = 0; d < dim; ++d) out[d] += scale * value(d);
  else
    for (int64_t d = 0; d < dim; ++d) out[d] = scale * value(d);
}

}  // namespace

RETORT_CLONES void take_row(const float* row, int64_t dim, float scale, bool more, float* out) {
  take(row, dim, scale, more, out);
}

RETORT_CLONES void take_row(const Bf16* row, int64_t dim, float scale, bool more, float* out) {
  take(row, dim, scale, more, out);
}

RETORT_CLONES void take_row(const double* row, int64_t dim, float scale, bool more, double* out) {
  take(row, dim, static_cast<double>(scale), more, out);
}

void GroupedIds::group(std::span<const int64_t> ids) {
  const size_t size = std::bit_ceil(2 * ids.size() + 2);
  const int shift = 64 - std::countr_zero(size);
  slots_.assign(size, -1);
  slot_of_.resize(ids.size());
  distinct_.clear();
  begin_.clear();
  for (size_t p = 0; p < ids.size(); ++p) {
    const auto id = static_cast<uint64_t>(ids[p]);
    size_t at = (id * 0x9E3779B97F4A7C15) >> shift;
    while (slots_[at] >= 0 && distinct_[static_cast<size_t>(slots_[at])] != ids[p])
      at = (at + 1) % size;
    if (slots_[at] < 0) {
      slots_[at] = static_cast<int32_t>(distinct_.size());
      distinct_.push_back(ids[p]);
      begin_.push_back(0);
    }
    slot_of_[p] = slots_[at];
    ++begin_[static_cast<size_t>(slots_[at])];
  }
  int32_t total = 0;
  for (int32_t& count : begin_) count = std::exchange(total, total + count);
  next_.assign(begin_.begin(), begin_.end());
  begin_.push_back(total);
  order_.resize(ids.size());
  for (size_t p = 0; p < ids.size(); ++p)
    order_[static_cast<size_t>(next_[static_cast<size_t>(slot_of_[p])]++)] =
        static_cast<int32_t>(p);
}

}  // namespace retort
