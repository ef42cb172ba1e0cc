#include "retort/sim/directions.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

namespace retort {

void normalise(std::span<float> x) {
  double sum = 0;
  for (const float value : x) sum += static_cast<double>(value) * value;
  const double scale = 1.0 / std::sqrt(std::max(sum, 1e-30));
  for (float& value : x) value = static_cast<float>(value * scale);
}

void add_direction(const Rng& rng, double scale, std::span<float> out) {
  std::vector<double> draw(out.size());
  double sum = 0;
  for (size_t k = 0; k < out.size(); ++k) {
    draw[k] = rng.normal(k);
    sum += draw[k] * draw[k];
  }
  const double factor = scale / std::sqrt(std::max(sum, 1e-30));
  for (size_t k = 0; k < out.size(); ++k) out[k] += static_cast<float>(factor * draw[k]);
}

double dot(const float* a, const float* b, int32_t dim) {
  double sum = 0;
  for (int32_t k = 0; k < dim; ++k) sum += static_cast<double>(a[k]) * b[k];
  return sum;
}

std::array<int32_t, kTasteTopics> draw_taste(std::span<const float> topics, double noise,
                                             const Rng& rng, std::span<float> out) {
  const size_t dim = out.size();
  const Permutation pick(topics.size() / dim, rng.fork(0));
  std::array<int32_t, kTasteTopics> chosen{};
  double shares[kTasteTopics], total = 0;
  for (uint64_t s = 0; s < kTasteTopics; ++s) {
    shares[s] = -std::log(1 - rng.uniform(s));
    total += shares[s];
  }
  std::fill(out.begin(), out.end(), 0.0F);
  for (uint64_t s = 0; s < kTasteTopics; ++s) {
    const size_t topic = pick(s);
    chosen[s] = static_cast<int32_t>(topic);
    for (size_t k = 0; k < dim; ++k) {
      out[k] += static_cast<float>(shares[s] / total) * topics[topic * dim + k];
    }
  }
  add_direction(rng.fork(1), noise, out);
  normalise(out);
  std::swap(chosen[0],
            chosen[static_cast<size_t>(std::max_element(shares, shares + kTasteTopics) - shares)]);
  return chosen;
}

}  // namespace retort
