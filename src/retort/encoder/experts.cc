#include "retort/encoder/experts.h"

#include <array>

#include "retort/encoder/softmax.h"

namespace retort {

PackedMatrix gate_matrix(const SafetensorsFile& weights, const std::string& name, int64_t out,
                         int64_t in) {
  return {weights.floats(name, std::array{out, in}), out, in};
}

std::vector<float> gated_sum(std::span<const float> x, const PackedMatrix& gate,
                             std::span<const std::span<const float>> experts, int64_t rows) {
  const size_t count = experts.size(), size = experts.front().size();
  const size_t width = rows == 0 ? 0 : size / static_cast<size_t>(rows);
  std::vector<float> shares(static_cast<size_t>(rows) * count);
  dense_forward(x, gate, {}, false, shares);
  std::vector<float> sum(size, 0.0f);
  for (size_t row = 0; row < static_cast<size_t>(rows); ++row) {
    const auto share = std::span(shares).subspan(row * count, count);
    softmax(share);
    for (size_t k = 0; k < count; ++k)
      for (size_t d = 0; d < width; ++d)
        sum[row * width + d] += share[k] * experts[k][row * width + d];
  }
  return sum;
}

}  // namespace retort
