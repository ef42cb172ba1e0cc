// Oracle: double loops in double precision.
#include "retort/kernel/inner_product.h"

#include <cmath>

#include <gtest/gtest.h>

#include "retort/common/rng.h"

namespace retort {
namespace {

std::vector<float> random_floats(int64_t count, const char* stream) {
  const Rng rng(9, stream);
  std::vector<float> values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(rng.normal(i));
  return values;
}

TEST(InnerProduct, EveryLevelMatchesNaiveLoopsForEveryLength) {
  for (const InnerProductKernels& kernels : inner_product_kernels())
    for (size_t n = 1; n <= 200; n += n < 70 ? 1 : 13) {
      const auto query = random_floats(static_cast<int64_t>(n), "query");
      const auto rows = random_floats(static_cast<int64_t>(n) * 7, "rows");
      const std::vector<uint32_t> ids{6, 0, 3, 3, 1};
      std::vector<float> out(ids.size());
      kernels.gather(query.data(), reinterpret_cast<const char*>(rows.data()), n * sizeof(float),
                     ids.data(), 5, static_cast<int64_t>(n), out.data());
      for (size_t i = 0; i < ids.size(); ++i) {
        double sum = 0;
        for (size_t d = 0; d < n; ++d) sum += double{query[d]} * double{rows[ids[i] * n + d]};
        EXPECT_NEAR(out[i], -sum, 5e-5) << kernels.isa << ' ' << n;
        EXPECT_EQ(kernels.distance(query.data(), rows.data() + ids[i] * n, &n), out[i]);
      }
    }
}

TEST(InnerProduct, EveryLevelMatchesNaiveLoopsOnInt8Rows) {
  const Rng rng(4, "codes");
  for (const int64_t width : {64, 128, 320}) {
    const auto query = random_floats(width, "query"), scale = random_floats(40, "scale");
    std::vector<int8_t> codes(static_cast<size_t>(width) * 40);
    for (size_t i = 0; i < codes.size(); ++i)
      codes[i] = static_cast<int8_t>(static_cast<int>(rng.below(255, i)) - 127);
    std::vector<uint32_t> ids;
    for (uint32_t i = 0; i < 40; ++i) ids.push_back(i * 7 % 40);
    for (const InnerProductKernels& kernels : inner_product_kernels())
      for (const int64_t count : {0, 1, 5, 40}) {
        std::vector<float> out(40, NAN);
        kernels.gather_int8(query.data(), codes.data(), scale.data(), ids.data(), count, width,
                            out.data());
        for (int64_t i = 0; i < count; ++i) {
          const auto id = ids[static_cast<size_t>(i)];
          double sum = 0, size = 0;
          for (int64_t d = 0; d < width; ++d) {
            const double one = double{query[static_cast<size_t>(d)]} *
                               codes[static_cast<size_t>(id * width + d)] * scale[id];
            sum += one;
            size += std::abs(one);
          }
          EXPECT_NEAR(out[static_cast<size_t>(i)], -sum, 1e-6 * size) << kernels.isa;
        }
        for (size_t i = static_cast<size_t>(count); i < 40; ++i) EXPECT_TRUE(std::isnan(out[i]));
      }
  }
}

}  // namespace
}  // namespace retort
