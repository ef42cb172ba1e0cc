#include "retort/kernel/near_product.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "retort/common/error.h"
#include "retort/common/thread_pool.h"
#include "retort/kernel/near_product_amx.h"

namespace retort {
namespace {

constexpr int64_t kPanel = PackedMatrix::kPanel;
using Vec [[gnu::vector_size(64), gnu::aligned(4), gnu::may_alias]] = float;

/// Products of kRows queries with kPanels panels, which lie `panel_size` floats apart.
template <int kRows, int kPanels>
[[gnu::always_inline]] inline void product_tile(const float* queries, int64_t dim,
                                                const float* panel, int64_t panel_size, float* out,
                                                int64_t stride) {
  Vec sums[kRows][kPanels] = {};
  for (int64_t d = 0; d < dim; ++d) {
    Vec columns[kPanels];
    for (int p = 0; p < kPanels; ++p)
      columns[p] = *reinterpret_cast<const Vec*>(panel + p * panel_size + d * kPanel);
    for (int r = 0; r < kRows; ++r)
      for (int p = 0; p < kPanels; ++p) sums[r][p] += queries[r * dim + d] * columns[p];
  }
  for (int r = 0; r < kRows; ++r)
    for (int p = 0; p < kPanels; ++p)
      *reinterpret_cast<Vec*>(out + r * stride + p * kPanel) = sums[r][p];
}

/// All queries times panels [first, last).
template <int kRows, int kPanels>
[[gnu::always_inline]] inline void products(const float* queries, int64_t count,
                                            const PackedMatrix& items, int64_t first, int64_t last,
                                            float* out, int64_t stride) {
  const int64_t dim = items.cols(), size = dim * kPanel;
  const auto rows = [&]<int kSome>(int64_t panel, float* column) __attribute__((always_inline)) {
    int64_t q = 0;
    for (; q + kRows <= count; q += kRows)
      product_tile<kRows, kSome>(queries + q * dim, dim, items.panel(panel), size,
                                 column + q * stride, stride);
    for (; q < count; ++q)
      product_tile<1, kSome>(queries + q * dim, dim, items.panel(panel), size, column + q * stride,
                             stride);
  };
  int64_t panel = first;
  for (; panel + kPanels <= last; panel += kPanels)
    rows.template operator()<kPanels>(panel, out + (panel - first) * kPanel);
  for (; panel < last; ++panel) rows.template operator()<1>(panel, out + (panel - first) * kPanel);
}

using PlainKernel = void (*)(const float*, int64_t, const PackedMatrix&, int64_t, int64_t, float*,
                             int64_t);
#define RETORT_PRODUCTS(isa, attribute, tile_rows, tile_panels)                                 \
  attribute void products_##isa(const float* queries, int64_t count, const PackedMatrix& items, \
                                int64_t first, int64_t last, float* out, int64_t stride) {      \
    products<tile_rows, tile_panels>(queries, count, items, first, last, out, stride);          \
  }

RETORT_PRODUCTS(generic, , 2, 1)
#if defined(__x86_64__)
RETORT_PRODUCTS(avx2, [[gnu::target("avx2,fma")]], 6, 1)
RETORT_PRODUCTS(avx512, [[gnu::target("avx512f,avx2,fma")]], 8, 3)
#endif
#undef RETORT_PRODUCTS

PlainKernel plain_kernel(std::string_view isa) {
#if defined(__x86_64__)
  if (isa == "avx512") return &products_avx512;
  if (isa == "avx2") return &products_avx2;
#endif
  return &products_generic;
}

double length_of(const float* row, int64_t dim) {
  double sum = 0;
  for (int64_t d = 0; d < dim; ++d) sum += double{row[d]} * row[d];
  return std::sqrt(sum);
}

int64_t rounded(int64_t count) {
  return (count + NearMatrix::kRound - 1) / NearMatrix::kRound * NearMatrix::kRound;
}

int64_t split_size(int64_t count, int64_t dim) { return rounded(count) * ((dim + 31) / 32) * 64; }

}  // namespace

std::vector<std::string_view> near_levels() {
  std::vector<std::string_view> names;
#if defined(__x86_64__)
  if (near_amx_supported()) names.emplace_back("amx_bf16");
  if (__builtin_cpu_supports("avx512f")) names.emplace_back("avx512");
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) names.emplace_back("avx2");
#endif
  names.emplace_back("generic");
  return names;
}

NearMatrix::NearMatrix(std::span<const float> rows, int64_t dim, std::string_view isa)
    : rows_(dim > 0 ? std::ssize(rows) / dim : 0), dim_(dim) {
  check(dim > 0 && rows_ * dim == std::ssize(rows), "{} floats are not rows of {}", rows.size(),
        dim);
  if (isa.empty()) isa = near_levels().front();
  for (int64_t row = 0; row < rows_; ++row)
    longest_ = std::max(longest_, length_of(rows.data() + row * dim, dim));
  plain_kernel_ = plain_kernel(isa);
#if defined(__x86_64__)
  split_in_two_ = isa == "amx_bf16";
#endif
  if (!split_in_two_) {
    plain_ = PackedMatrix(rows, rows_, dim);
    return;
  }
  split_.assign(static_cast<size_t>(split_size(rows_, dim)), 0);
  parallel_for(0, rounded(rows_) / kPanel, 16, [&](int64_t first, int64_t last) {
    const int64_t begin = first * kPanel, end = std::min(rows_, last * kPanel);
    if (begin < end)
      near_amx_split_items(rows.data() + begin * dim, end - begin, dim,
                           split_.data() + first * split_size(kRound, dim) / 2);
  });
}

NearMatrix::Queries NearMatrix::prepare(std::span<const float> queries) const {
  const int64_t count = dim_ > 0 ? std::ssize(queries) / dim_ : 0;
  check(count * dim_ == std::ssize(queries), "{} floats are not queries of {}", queries.size(),
        dim_);
  Queries ready;
  // Rounding of sums in fp32, here and in dot(), and the parts of parts that are left out.
  const double left_out = split_in_two_ ? 4.0 / (1 << 18) : 0.0;
  const double share = static_cast<double>(dim_ + 64) * 6 / (1 << 24) + left_out;
  for (int64_t q = 0; q < count; ++q) {
    const double length = length_of(queries.data() + q * dim_, dim_);
    const bool known = length < 1e18 && longest_ < 1e18;  // no product or sum overflows
    const double underflow = static_cast<double>(dim_) * 1e-37 * (1 + length + longest_);
    ready.margin.push_back(known ? static_cast<float>(share * length * longest_ + underflow)
                                 : std::numeric_limits<float>::infinity());
  }
  if (split_in_two_) {
    ready.split.assign(static_cast<size_t>(split_size(count, dim_)), 0);
    near_amx_split_queries(queries.data(), count, dim_, ready.split.data());
  } else {
    ready.plain.assign(queries.begin(), queries.end());
  }
  return ready;
}

void NearMatrix::multiply(const Queries& queries, int64_t first, int64_t count, int64_t begin,
                          int64_t end, float* out, int64_t stride) const {
  check(first % kRound == 0 && begin % kRound == 0 && begin <= end && end <= rows_,
        "near products of queries from {} and rows [{}, {})", first, begin, end);
  if (!split_in_two_) {
    plain_kernel_(queries.plain.data() + first * dim_, count, plain_, begin / kPanel,
                  (end + kPanel - 1) / kPanel, out, stride);
    return;
  }
#if defined(__x86_64__)
  const int64_t tiles = (dim_ + 31) / 32, half = split_size(kRound, dim_) / 2;
  near_amx_multiply(queries.split.data() + first / kPanel * half, rounded(count) / kPanel,
                    split_.data() + begin / kPanel * half, rounded(end - begin) / kPanel, tiles,
                    out, stride);
#endif
}

}  // namespace retort
