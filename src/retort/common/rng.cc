#include "retort/common/rng.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>

#include "retort/common/error.h"

namespace retort {
namespace {

uint64_t mix(uint64_t x) {  // SplitMix64's finaliser (Steele et al., OOPSLA 2014)
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

uint64_t fnv1a(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325ULL;
  for (const unsigned char c : text) hash = (hash ^ c) * 0x100000001b3ULL;
  return hash;
}

}  // namespace

std::array<uint32_t, 4> philox4x32_10(std::array<uint32_t, 4> counter,
                                      std::array<uint32_t, 2> key) {
  constexpr uint64_t kMultiplier0 = 0xD2511F53, kMultiplier1 = 0xCD9E8D57;
  constexpr uint32_t kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = kMultiplier0 * counter[0], p1 = kMultiplier1 * counter[2];
    counter = {static_cast<uint32_t>(p1 >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(p1),
               static_cast<uint32_t>(p0 >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(p0)};
    key[0] += kWeyl0;
    key[1] += kWeyl1;
  }
  return counter;
}

Rng::Rng(uint64_t seed, std::string_view stream) : key_(mix(seed)), stream_(mix(fnv1a(stream))) {}

Rng Rng::fork(uint64_t key) const {
  Rng child;
  child.key_ = key_;
  child.stream_ = mix(stream_ ^ mix(key));
  return child;
}

std::array<uint32_t, 4> Rng::block(uint64_t position) const {
  return philox4x32_10({static_cast<uint32_t>(position), static_cast<uint32_t>(position >> 32),
                        static_cast<uint32_t>(stream_), static_cast<uint32_t>(stream_ >> 32)},
                       {static_cast<uint32_t>(key_), static_cast<uint32_t>(key_ >> 32)});
}

uint64_t Rng::bits(uint64_t position) const {
  const auto b = block(position);
  return (static_cast<uint64_t>(b[1]) << 32) | b[0];
}

double Rng::uniform(uint64_t position) const {
  return static_cast<double>(bits(position) >> 11) * 0x1.0p-53;
}

uint64_t Rng::below(uint64_t n, uint64_t position) const {
  __extension__ using uint128 = unsigned __int128;
  return static_cast<uint64_t>((static_cast<uint128>(bits(position)) * n) >> 64);
}

double Rng::normal(uint64_t position) const {
  const auto b = block(position);
  const uint64_t first = (static_cast<uint64_t>(b[1]) << 32) | b[0];
  const uint64_t second = (static_cast<uint64_t>(b[3]) << 32) | b[2];
  const double u = (static_cast<double>(first >> 11) + 1.0) * 0x1.0p-53;  // (0, 1]
  const double v = static_cast<double>(second >> 11) * 0x1.0p-53;
  return std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * v);
}

Permutation::Permutation(uint64_t n, Rng rng) : n_(n), rng_(rng) {
  check(n > 0, "Permutation: n must be positive");
  half_bits_ = std::max(1, (static_cast<int>(std::bit_width(n - 1)) + 1) / 2);
}

uint64_t Permutation::operator()(uint64_t index) const {
  check(index < n_, "Permutation: index {} out of range {}", index, n_);
  const uint64_t mask = (uint64_t{1} << half_bits_) - 1;
  do {
    uint64_t left = index >> half_bits_, right = index & mask;
    for (uint64_t round = 0; round < 4; ++round) {
      const uint64_t next = left ^ (rng_.bits((round << 62) | right) & mask);
      left = right;
      right = next;
    }
    index = (left << half_bits_) | right;
  } while (index >= n_);
  return index;
}

}  // namespace retort
