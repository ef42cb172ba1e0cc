// Near products by AMX tiles; see near_product.h. Plain functions only, for the reason in scan.h.
#pragma once

#include <cstdint>

namespace retort {

// A block is 16 rows of 32 bf16; `tiles` blocks of 32 values hold a row.
bool near_amx_supported();
/// Queries: 16 rows a group, [group][tile][high, low][row][32]. `out` holds whole groups, zeroed.
void near_amx_split_queries(const float* queries, int64_t count, int64_t dim, uint16_t* out);
/// Items: 16 rows a panel, [panel][tile][high, low][pair][row][2]. `out` holds whole panels,
/// zeroed.
void near_amx_split_items(const float* rows, int64_t count, int64_t dim, uint16_t* out);
/// Whole pairs of groups times whole pairs of panels.
void near_amx_multiply(const uint16_t* queries, int64_t groups, const uint16_t* items,
                       int64_t panels, int64_t tiles, float* out, int64_t stride);

}  // namespace retort
