// Counter-based random numbers: a draw is a function of (seed, stream, position) and of nothing
// else, so that results do not depend on threads, batch size, ranks or resumption.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace retort {

/// The bijection Philox4x32-10 of a counter under a key.
/// Source: Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
std::array<uint32_t, 4> philox4x32_10(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

/// Draws by Philox: the key comes from the seed, half of the counter from the stream.
/// A value type of 16 bytes; every method is const and thread-safe.
class Rng {
 public:
  Rng() = default;
  /// `stream` separates the purposes of one seed: negatives, shuffling, initialisation.
  Rng(uint64_t seed, std::string_view stream);
  /// A generator for one part of this stream, such as an epoch or a user.
  Rng fork(uint64_t key) const;

  /// 128 random bits of the position.
  std::array<uint32_t, 4> block(uint64_t position) const;
  /// 64 random bits of the position.
  uint64_t bits(uint64_t position) const;
  /// Uniform in [0, 1), 53 bits.
  double uniform(uint64_t position) const;
  /// Uniform in {0, .., n - 1}; n > 0. Bias below n / 2^64.
  uint64_t below(uint64_t n, uint64_t position) const;
  /// Standard normal (Box-Muller on the two halves of the position's block).
  double normal(uint64_t position) const;

 private:
  uint64_t key_ = 0;
  uint64_t stream_ = 0;
};

/// Place of `index` in a pseudo-random permutation of {0, .., n - 1}: a four-round Feistel
/// network keyed by `rng` with cycle walking, so that an epoch's order needs no memory.
class Permutation {
 public:
  Permutation(uint64_t n, Rng rng);
  uint64_t operator()(uint64_t index) const;

 private:
  uint64_t n_;
  int half_bits_;
  Rng rng_;
};

}  // namespace retort
