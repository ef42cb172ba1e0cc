// What the kernels with AMX tiles share. Included by *_amx.cc only; see scan.h for why all of it is
// in an unnamed namespace.
#pragma once

#include <cstdint>

#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace retort {
namespace {

constexpr int64_t kTile = 16;  // rows of a tile, each of 64 bytes

/// Eight tiles of 16 rows of 64 bytes.
struct [[gnu::aligned(64)]] TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

constexpr uint32_t kAmxInt8 = 1u << 25, kAmxBf16 = 1u << 22;

/// True if processor and system have the tiles; asks the system to let this process use them.
inline bool amx_permitted(uint32_t feature) {
  uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return false;
  constexpr uint32_t kTiles = 1u << 24;
  if ((edx & kTiles) == 0 || (edx & feature) == 0) return false;
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

}  // namespace
}  // namespace retort
