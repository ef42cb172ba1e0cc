// Near products by AMX tiles of bf16: (a + b) (c + d) ~ a c + a d + b c, each number the sum of a
// bf16 and of what that leaves out, as bf16.
#include "retort/kernel/near_product_amx.h"

#include "retort/kernel/amx.h"

namespace retort {
namespace {

constexpr int64_t kBlock = kTile * 32;  // bf16 in a tile

inline uint16_t to_bf16(float value) {
  uint32_t bits;
  __builtin_memcpy(&bits, &value, sizeof(bits));
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

inline float from_bf16(uint16_t value) {
  const uint32_t bits = static_cast<uint32_t>(value) << 16;
  float wide;
  __builtin_memcpy(&wide, &bits, sizeof(wide));
  return wide;
}

inline void add_products(int part_of_queries, int part_of_items, const uint16_t* first_query,
                         const uint16_t* second_query, const uint16_t* first_item,
                         const uint16_t* second_item) {
  _tile_loadd(4, first_query + part_of_queries * kBlock, 64);
  _tile_loadd(5, second_query + part_of_queries * kBlock, 64);
  _tile_loadd(6, first_item + part_of_items * kBlock, 64);
  _tile_loadd(7, second_item + part_of_items * kBlock, 64);
  _tile_dpbf16ps(0, 4, 6);
  _tile_dpbf16ps(1, 4, 7);
  _tile_dpbf16ps(2, 5, 6);
  _tile_dpbf16ps(3, 5, 7);
}

}  // namespace

bool near_amx_supported() {
  static const bool supported = amx_permitted(kAmxBf16);
  return supported;
}

void near_amx_split_queries(const float* queries, int64_t count, int64_t dim, uint16_t* out) {
  const int64_t tiles = (dim + 31) / 32;
  for (int64_t row = 0; row < count; ++row)
    for (int64_t d = 0; d < dim; ++d) {
      const float value = queries[row * dim + d];
      uint16_t* block = out + ((row / kTile) * tiles + d / 32) * 2 * kBlock;
      const int64_t at = row % kTile * 32 + d % 32;
      block[at] = to_bf16(value);
      block[kBlock + at] = to_bf16(value - from_bf16(block[at]));
    }
}

void near_amx_split_items(const float* rows, int64_t count, int64_t dim, uint16_t* out) {
  const int64_t tiles = (dim + 31) / 32;
  for (int64_t row = 0; row < count; ++row)
    for (int64_t d = 0; d < dim; ++d) {
      const float value = rows[row * dim + d];
      uint16_t* block = out + ((row / kTile) * tiles + d / 32) * 2 * kBlock;
      const int64_t at = (d % 32 / 2) * 32 + row % kTile * 2 + d % 2;
      block[at] = to_bf16(value);
      block[kBlock + at] = to_bf16(value - from_bf16(block[at]));
    }
}

void near_amx_multiply(const uint16_t* queries, int64_t groups, const uint16_t* items,
                       int64_t panels, int64_t tiles, float* out, int64_t stride) {
  const TileConfig config;
  _tile_loadconfig(&config);
  const int64_t size = tiles * 2 * kBlock;  // of a group or a panel
  for (int64_t panel = 0; panel < panels; panel += 2)
    for (int64_t group = 0; group < groups; group += 2) {
      _tile_zero(0);
      _tile_zero(1);
      _tile_zero(2);
      _tile_zero(3);
      for (int64_t tile = 0; tile < tiles; ++tile) {
        const uint16_t* query = queries + group * size + tile * 2 * kBlock;
        const uint16_t* item = items + panel * size + tile * 2 * kBlock;
        add_products(0, 1, query, query + size, item, item + size);
        add_products(1, 0, query, query + size, item, item + size);
        add_products(0, 0, query, query + size, item, item + size);
      }
      float* corner = out + group * kTile * stride + panel * kTile;
      const int64_t bytes = stride * static_cast<int64_t>(sizeof(float));
      _tile_stored(0, corner, bytes);
      _tile_stored(1, corner + kTile, bytes);
      _tile_stored(2, corner + kTile * stride, bytes);
      _tile_stored(3, corner + kTile * stride + kTile, bytes);
    }
  _tile_release();
}

}  // namespace retort
