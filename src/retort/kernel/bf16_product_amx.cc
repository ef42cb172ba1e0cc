// Both operands of a product are packed into pieces of two tiles, 32 numbers wide and 32 deep, with
// zeros behind the edges; one loop multiplies pieces, and only packing and storing see the shapes.
#include "retort/kernel/bf16_product_amx.h"

#include <algorithm>
#include <cstdlib>
#include <optional>

#include <omp.h>

#include "retort/kernel/amx.h"

namespace retort {
namespace {

constexpr int64_t kPanel = 2 * kTile;        // rows of the left operand, columns of the right one
constexpr int64_t kDepth = 32;               // numbers along the sum in a tile
constexpr int64_t kPiece = kPanel * kDepth;  // of bf16: two tiles
constexpr int64_t kHalf = kTile * kDepth;    // one tile

int64_t pieces(int64_t size) { return (size + kPanel - 1) / kPanel; }

/// Memory of a thread that only grows.
class Scratch {
 public:
  Scratch() = default;
  ~Scratch() { std::free(memory_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  Bf16* get(int64_t count) {
    if (count > size_) {
      std::free(memory_);
      constexpr int64_t kPage = 4096;
      const int64_t bytes = (count * int64_t{sizeof(Bf16)} + kPage - 1) / kPage * kPage;
      memory_ = static_cast<Bf16*>(std::aligned_alloc(kPage, static_cast<size_t>(bytes)));
      if (memory_ == nullptr) std::abort();
      size_ = count;
    }
    return memory_;
  }

 private:
  Bf16* memory_ = nullptr;
  int64_t size_ = 0;
};

/// The first `count` of 16 or 32 lanes.
__mmask16 first16(int64_t count) {
  return count >= 16 ? __mmask16(0xFFFF) : __mmask16((1u << (count < 0 ? 0 : count)) - 1);
}
__mmask32 first32(int64_t count) {
  return count >= 32 ? __mmask32(0xFFFFFFFF) : __mmask32((1u << (count < 0 ? 0 : count)) - 1);
}

/// v[i][j] of 32 bits becomes v[j][i].
void transpose(__m512i* v) {
  __m512i t[16];
  for (int64_t i = 0; i < 8; ++i) {
    t[2 * i] = _mm512_unpacklo_epi32(v[2 * i], v[2 * i + 1]);
    t[2 * i + 1] = _mm512_unpackhi_epi32(v[2 * i], v[2 * i + 1]);
  }
  for (int64_t i = 0; i < 4; ++i) {
    v[4 * i] = _mm512_unpacklo_epi64(t[4 * i], t[4 * i + 2]);
    v[4 * i + 1] = _mm512_unpackhi_epi64(t[4 * i], t[4 * i + 2]);
    v[4 * i + 2] = _mm512_unpacklo_epi64(t[4 * i + 1], t[4 * i + 3]);
    v[4 * i + 3] = _mm512_unpackhi_epi64(t[4 * i + 1], t[4 * i + 3]);
  }
  for (int64_t i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(v[i], v[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(v[i], v[i + 4], 0xDD);
    t[i + 8] = _mm512_shuffle_i32x4(v[i + 8], v[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(v[i + 8], v[i + 12], 0xDD);
  }
  for (int64_t i = 0; i < 4; ++i) {
    v[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
    v[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
    v[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xDD);
    v[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xDD);
  }
}

void store_tile(const __m512i* v, Bf16* to) {
  for (int i = 0; i < 16; ++i) _mm512_store_si512(to + i * kDepth, v[i]);
}

/// 32 floats of a row to bf16, in order; those behind `count` are 0.
__m512i round_row(const float* from, int64_t count) {
  const __m512 low = _mm512_maskz_loadu_ps(first16(count), from);
  const __m512 high = _mm512_maskz_loadu_ps(first16(count - 16), from + 16);
  return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low));
}

/// A gradient before its ReLU. `output` may be nullptr.
struct Gradient {
  const Bf16* dy;
  const Bf16* output;
  __m512i row32(int64_t at, __mmask32 lanes) const {
    if (output != nullptr)  // as integers, exactly the positive numbers are above 0
      lanes = _mm512_mask_cmpgt_epi16_mask(lanes, _mm512_maskz_loadu_epi16(lanes, output + at),
                                           _mm512_setzero_si512());
    return _mm512_maskz_loadu_epi16(lanes, dy + at);
  }
};

/// Left operand: 32 rows of `from` (those that there are), `depth` numbers each.
void pack_rows(const Gradient& from, int64_t stride, int64_t first, int64_t rows, int64_t depth,
               Bf16* to) {
  for (int64_t k = 0; k < depth; k += kDepth, to += kPiece)
    for (int64_t r = 0; r < kPanel; ++r)
      _mm512_store_si512(to + r * kDepth,
                         first + r < rows ? from.row32((first + r) * stride + k, first32(depth - k))
                                          : _mm512_setzero_si512());
}

/// The two pairs of numbers of rows a and b, 32 each: the first 16 columns', then the others'.
struct Pairs {
  __m512i low, high;
};
Pairs interleave(__m512i a, __m512i b) {
  alignas(64) static constexpr int16_t kLow[32] = {0,  32, 1,  33, 2,  34, 3,  35, 4,  36, 5,
                                                   37, 6,  38, 7,  39, 8,  40, 9,  41, 10, 42,
                                                   11, 43, 12, 44, 13, 45, 14, 46, 15, 47};
  const __m512i low = _mm512_load_si512(kLow);
  return {_mm512_permutex2var_epi16(a, low, b),
          _mm512_permutex2var_epi16(a, _mm512_add_epi16(low, _mm512_set1_epi16(16)), b)};
}

/// Adds the pairs' two numbers to `sum`.
__m512 add_pair(__m512 sum, __m512i pair) {
  const __m512i upper = _mm512_set1_epi32(static_cast<int>(0xFFFF0000));
  sum += _mm512_castsi512_ps(_mm512_slli_epi32(pair, 16));
  return sum + _mm512_castsi512_ps(_mm512_and_si512(pair, upper));
}

/// A slice of 32 rows of g [rows, width], from `begin` on, as a part of the left operand of g^T:
/// panel m's piece goes to `to` + m * `step`. Writes the slice's column sums, if asked to.
void pack_columns(const Gradient& from, int64_t width, int64_t begin, int64_t rows, Bf16* to,
                  int64_t step, float* sums) {
  for (int64_t first = 0; first < width; first += kPanel, to += step) {
    const __mmask32 lanes = first32(width - first);
    __m512 low_sum = _mm512_setzero_ps(), high_sum = low_sum;
    __m512i low[16], high[16];
    for (int64_t p = 0; p < 16; ++p) {
      const auto row = [&](int64_t at) {
        return at < rows ? from.row32(at * width + first, lanes) : _mm512_setzero_si512();
      };
      const Pairs both = interleave(row(begin + 2 * p), row(begin + 2 * p + 1));
      low_sum = add_pair(low_sum, low[p] = both.low);
      high_sum = add_pair(high_sum, high[p] = both.high);
    }
    transpose(low);
    store_tile(low, to);
    transpose(high);
    store_tile(high, to + kHalf);
    if (sums == nullptr) continue;
    _mm512_mask_storeu_ps(sums + first, static_cast<__mmask16>(lanes), low_sum);
    _mm512_mask_storeu_ps(sums + first + kTile, static_cast<__mmask16>(lanes >> 16), high_sum);
  }
}

/// Right operand of x W^T: rows [first, first + 32) of W as columns.
void pack_weight_rows(const float* weight, const ProductSizes& s, int64_t first, Bf16* to) {
  for (int64_t k = 0; k < s.in; k += kDepth, to += kPiece)
    for (int64_t half = 0; half < 2; ++half) {
      __m512i v[16];
      for (int64_t n = 0; n < 16; ++n) {
        const int64_t row = first + half * kTile + n;
        v[n] =
            row < s.out ? round_row(weight + row * s.stride + k, s.in - k) : _mm512_setzero_si512();
      }
      transpose(v);
      store_tile(v, to + half * kHalf);
    }
}

/// Right operand of g W: columns [first, first + 32) of W.
void pack_weight_columns(const float* weight, const ProductSizes& s, int64_t first, Bf16* to) {
  alignas(64) int16_t order[32];
  for (int i = 0; i < 32; ++i) order[i] = static_cast<int16_t>(i / 2 + i % 2 * 16);
  const __m512i interleave = _mm512_load_si512(order);
  for (int64_t k = 0; k < s.out; k += kDepth, to += kPiece)
    for (int64_t half = 0; half < 2; ++half) {
      const int64_t column = first + half * kTile;
      const __mmask16 lanes = first16(s.in - column);
      for (int64_t p = 0; p < 16; ++p) {
        const auto row = [&](int64_t at) {
          return at < s.out ? _mm512_maskz_loadu_ps(lanes, weight + at * s.stride + column)
                            : _mm512_setzero_ps();
        };
        const auto both =
            reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(row(k + 2 * p + 1), row(k + 2 * p)));
        _mm512_store_si512(to + half * kHalf + p * kDepth,
                           _mm512_permutexvar_epi16(interleave, both));
      }
    }
}

/// A slice of 32 rows of x, from `begin` on, as a part of the right operand of g^T x.
void pack_inputs(const Bf16* x, const ProductSizes& s, int64_t begin, Bf16* to, int64_t step) {
  for (int64_t first = 0; first < s.in; first += kPanel, to += step) {
    const __mmask32 lanes = first32(s.in - first);
    for (int64_t p = 0; p < 16; ++p) {
      const auto row = [&](int64_t at) {
        return at < s.rows ? _mm512_maskz_loadu_epi16(lanes, x + at * s.columns + first)
                           : _mm512_setzero_si512();
      };
      const Pairs both = interleave(row(begin + 2 * p), row(begin + 2 * p + 1));
      _mm512_store_si512(to + p * kDepth, both.low);
      _mm512_store_si512(to + kHalf + p * kDepth, both.high);
    }
  }
}

/// c [32, 32] = (or +=) the product of `depths` pieces.
template <bool kMore>
void multiply(const Bf16* left, const Bf16* right, int64_t depths, float* c) {
  constexpr int64_t kBytes = kPanel * sizeof(float);
  if constexpr (kMore) {
    _tile_loadd(0, c, kBytes);
    _tile_loadd(1, c + kTile, kBytes);
    _tile_loadd(2, c + kTile * kPanel, kBytes);
    _tile_loadd(3, c + kTile * kPanel + kTile, kBytes);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  for (int64_t k = 0; k < depths; ++k, left += kPiece, right += kPiece) {
    _tile_loadd(4, left, 64);
    _tile_loadd(6, right, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, right + kHalf, 64);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(5, left + kHalf, 64);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, c, kBytes);
  _tile_stored(1, c + kTile, kBytes);
  _tile_stored(2, c + kTile * kPanel, kBytes);
  _tile_stored(3, c + kTile * kPanel + kTile, kBytes);
}

/// A block of 32 x 32 of y [rows, width], from `row` and `column` on.
struct Block {
  int64_t row, column, rows, width;
  void* y;
};

/// Has the block's lines brought in for writing while its sums are made.
void expect(const Block& b, bool floats) {
  const int64_t size = floats ? sizeof(float) : sizeof(Bf16);
  for (int64_t r = 0; r < kPanel && b.row + r < b.rows; ++r) {
    const char* at = static_cast<char*>(b.y) + ((b.row + r) * b.width + b.column) * size;
    __builtin_prefetch(at, 1);
    if (floats) __builtin_prefetch(at + 64, 1);
  }
}

__m512 widen(__m256i narrow) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(narrow), 16));
}

/// Stores the sums `c` of a block.
void finish(const float* c, const ProductEnd& end, const Block& b) {
  const __mmask32 lanes = first32(b.width - b.column);
  const __mmask16 low = static_cast<__mmask16>(lanes), high = static_cast<__mmask16>(lanes >> 16);
  __m512 bias[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
  if (end.bias != nullptr) {
    bias[0] = _mm512_maskz_loadu_ps(low, end.bias + b.column);
    bias[1] = _mm512_maskz_loadu_ps(high, end.bias + b.column + kTile);
  }
  const void* added = end.summand.rows;
  const int64_t count = std::min(kPanel, b.rows - b.row);
  for (int64_t r = 0; r < count; ++r) {
    const int64_t place = (b.row + r) * b.width + b.column;
    float* floats = static_cast<float*>(b.y) + place;
    Bf16* narrow = static_cast<Bf16*>(b.y) + place;
    __m512 first = _mm512_load_ps(c + r * kPanel) + bias[0],
           second = _mm512_load_ps(c + r * kPanel + kTile) + bias[1];
    if (added != nullptr) {
      const int64_t at =
          (end.summand.owner != nullptr ? end.summand.owner[b.row + r] : b.row + r) * b.width +
          b.column;
      if (end.float_output) {
        const float* summand = static_cast<const float*>(added) + at;
        first += _mm512_maskz_loadu_ps(low, summand);
        second += _mm512_maskz_loadu_ps(high, summand + kTile);
      } else {
        const __m512i summand =
            _mm512_maskz_loadu_epi16(lanes, static_cast<const Bf16*>(added) + at);
        first += widen(_mm512_castsi512_si256(summand));
        second += widen(_mm512_extracti64x4_epi64(summand, 1));
      }
    }
    if (end.relu) {
      first = _mm512_max_ps(first, _mm512_setzero_ps());
      second = _mm512_max_ps(second, _mm512_setzero_ps());
    }
    if (end.float_output) {
      _mm512_mask_storeu_ps(floats, low, first);
      _mm512_mask_storeu_ps(floats + kTile, high, second);
    } else {
      _mm512_mask_storeu_epi16(narrow, lanes,
                               reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(second, first)));
    }
  }
}

class TileGuard {
 public:
  TileGuard() {
    const TileConfig config;
    _tile_loadconfig(&config);
  }
  ~TileGuard() { _tile_release(); }
  TileGuard(const TileGuard&) = delete;
  TileGuard& operator=(const TileGuard&) = delete;
};

thread_local Scratch shared_scratch;  // of the calling thread: what all threads read
thread_local Scratch own_scratch;     // of each thread

int threads_for(int64_t products) {
  constexpr int64_t kWorth = 1 << 21;  // multiplications worth a thread
  return static_cast<int>(
      std::max<int64_t>(1, std::min<int64_t>(omp_get_max_threads(), products / kWorth)));
}

/// y [rows, width] = left operand (rows of g, `depth` numbers each) x right one.
/// pack(panel, to) makes the right operand's panels.
template <class Pack>
void rows_times(const Gradient& g, int64_t g_stride, int64_t rows, int64_t depth, int64_t width,
                const ProductEnd& end, const Pack& pack, void* y) {
  constexpr int64_t kGroup = 4;  // panels of rows that pass a panel of columns in turn
  const int64_t depths = pieces(depth), columns = pieces(width), panels = pieces(rows);
  const int64_t groups = (panels + kGroup - 1) / kGroup, size = depths * kPiece;
  Bf16* right = shared_scratch.get(columns * size);
#pragma omp parallel num_threads(threads_for(rows* depth* width))
  {
#pragma omp for schedule(static)
    for (int64_t n = 0; n < columns; ++n) pack(n * kPanel, right + n * size);
    const TileGuard tiles;
    Bf16* left = own_scratch.get(kGroup * size);
    alignas(64) float c[2][kPanel * kPanel];
#pragma omp for schedule(static)
    for (int64_t group = 0; group < groups; ++group) {
      const int64_t first = group * kGroup, last = std::min(panels, first + kGroup);
      for (int64_t m = first; m < last; ++m)
        pack_rows(g, g_stride, m * kPanel, rows, depth, left + (m - first) * size);
      // A block is stored while the next one is multiplied.
      int now = 0;
      std::optional<Block> before;
      for (int64_t n = 0; n < columns; ++n)
        for (int64_t m = first; m < last; ++m, now = 1 - now) {
          const Block block{m * kPanel, n * kPanel, rows, width, y};
          expect(block, end.float_output);
          multiply<false>(left + (m - first) * size, right + n * size, depths, c[now]);
          if (before) finish(c[1 - now], end, *before);
          before = block;
        }
      finish(c[1 - now], end, *before);
    }
  }
}

/// Stores the 32 rows of dW that begin with 32 * m; `sums` are its blocks of 32 x 32.
void store_panel(const float* sums, const ProductSizes& s, int64_t m, float* dweight) {
  const int64_t count = std::min(kPanel, s.out - m * kPanel);
  for (int64_t r = 0; r < count; ++r)
    for (int64_t column = 0; column < s.in; column += kTile)
      _mm512_mask_storeu_ps(
          dweight + (m * kPanel + r) * s.stride + column, first16(s.in - column),
          _mm512_load_ps(sums + column / kPanel * kPanel * kPanel + r * kPanel + column % kPanel));
}

}  // namespace

bool product_amx_supported() {
  static const bool supported = __builtin_cpu_supports("avx512bf16") && amx_permitted(kAmxBf16);
  return supported;
}

void product_amx_forward(const ProductSizes& s, const ProductEnd& end, const Bf16* x,
                         const float* weight, void* y) {
  rows_times(
      {x, nullptr}, s.columns, s.rows, s.in, s.out, end,
      [&](int64_t first, Bf16* to) { pack_weight_rows(weight, s, first, to); }, y);
}

void product_amx_data(const ProductSizes& s, const Bf16* dy, const Bf16* output,
                      const float* weight, bool add, Bf16* dx) {
  // Columns behind `in` are those of a right operand of zeros.
  rows_times(
      {dy, output}, s.out, s.rows, s.out, s.columns, {.summand = {add ? dx : nullptr, nullptr}},
      [&](int64_t first, Bf16* to) { pack_weight_columns(weight, s, first, to); }, dx);
}

void product_amx_weights(const ProductSizes& s, const Bf16* x, const Bf16* dy, const Bf16* output,
                         float* dweight, float* dbias) {
  constexpr int64_t kRows = 512;  // packed at a time: both operands stay in the second-level cache
  constexpr int64_t kSize = kRows / kDepth * kPiece, kSums = kPanel * kPanel, kFloat = 2;
  const Gradient g{dy, output};
  const int64_t panels = pieces(s.out), columns = pieces(s.in), slices = pieces(s.rows);
  // In units of bf16: sums of 32 x 32 as they are made, sums of slices, both operands.
  const int64_t block_sums = panels * columns * kSums * kFloat,
                slice_sums = slices * s.out * kFloat;
  Bf16* memory = shared_scratch.get(block_sums + panels * kSize + columns * kSize + slice_sums);
  auto* sums = reinterpret_cast<float*>(memory);
  Bf16* left = memory + block_sums;
  Bf16* right = left + panels * kSize;
  auto* bias_sums = dbias != nullptr ? reinterpret_cast<float*>(right + columns * kSize) : nullptr;
#pragma omp parallel num_threads(threads_for(s.rows* s.in* s.out))
  {
    const TileGuard tiles;
    for (int64_t begin = 0; begin < s.rows; begin += kRows) {
      const int64_t end = std::min(s.rows, begin + kRows), depths = pieces(end - begin);
#pragma omp for schedule(static)
      for (int64_t k = 0; k < depths; ++k) {
        const int64_t row = begin + k * kDepth;
        pack_columns(g, s.out, row, s.rows, left + k * kPiece, kSize,
                     dbias != nullptr ? bias_sums + row / kDepth * s.out : nullptr);
        pack_inputs(x, s, row, right + k * kPiece, kSize);
      }
#pragma omp for schedule(static)
      for (int64_t m = 0; m < panels; ++m)
        for (int64_t n = 0; n < columns; ++n) {
          float* c = sums + (m * columns + n) * kSums;
          if (begin == 0)
            multiply<false>(left + m * kSize, right + n * kSize, depths, c);
          else
            multiply<true>(left + m * kSize, right + n * kSize, depths, c);
        }
    }
#pragma omp for schedule(static)
    for (int64_t m = 0; m < panels; ++m) store_panel(sums + m * columns * kSums, s, m, dweight);
  }
  if (dbias == nullptr) return;
  std::fill_n(dbias, s.out, 0.0F);
  for (int64_t k = 0; k < slices; ++k)
    for (int64_t o = 0; o < s.out; ++o) dbias[o] += bias_sums[k * s.out + o];
}

}  // namespace retort
