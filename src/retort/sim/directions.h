// Directions of taste and topic: the few operations on small vectors that the laws of both
// simulated worlds are made of.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "retort/common/rng.h"

namespace retort {

inline constexpr int kTasteTopics = 3;  // that make up a taste

/// Scales x to unit length.
void normalise(std::span<float> x);
/// out += scale * (a uniformly random unit vector).
void add_direction(const Rng& rng, double scale, std::span<float> out);
double dot(const float* a, const float* b, int32_t dim);

/// A taste: norm(three topics in Dirichlet(1) shares + noise eps^), written to `out` [d]. `topics`
/// is [C, d], of unit length each. @return the topics chosen, the one of the largest share first
/// Source: methods E1 (theta^c).
std::array<int32_t, kTasteTopics> draw_taste(std::span<const float> topics, double noise,
                                             const Rng& rng, std::span<float> out);

}  // namespace retort
