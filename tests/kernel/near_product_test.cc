// Oracle: dot() of the vectors as they are.
#include "retort/kernel/near_product.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/common/rng.h"
#include "retort/kernel/rank_count.h"

namespace retort {
namespace {

std::vector<float> random_floats(int64_t count, const char* stream) {
  const Rng rng(13, stream);
  std::vector<float> values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(rng.normal(i));
  return values;
}

TEST(NearProduct, EveryLevelStaysWithinItsMarginOfDot) {
  for (const std::string_view isa : near_levels())
    for (const int64_t dim : {1, 3, 31, 64, 130})
      for (const int64_t rows : {1, 31, 33, 200})
        for (const int64_t count : {1, 32, 45}) {
          const auto items = random_floats(rows * dim, "items");
          const auto queries = random_floats((count + 32) * dim, "queries");
          const NearMatrix near(items, dim, isa);
          const auto ready = near.prepare(queries);
          ASSERT_EQ(std::ssize(ready.margin), count + 32);
          const int64_t stride = 256, begin = rows > 64 ? 64 : 0;
          std::vector<float> out(static_cast<size_t>(64 * stride), NAN);
          near.multiply(ready, 32, count, begin, rows, out.data(), stride);
          for (int64_t q = 0; q < count; ++q)
            for (int64_t row = begin; row < rows; ++row) {
              const float margin = ready.margin[static_cast<size_t>(32 + q)];
              const float exact =
                  dot(queries.data() + (32 + q) * dim, items.data() + row * dim, dim);
              ASSERT_NEAR(out[static_cast<size_t>(q * stride + row - begin)], exact, margin)
                  << isa << ' ' << dim << ' ' << q << ' ' << row;
              ASSERT_LT(margin, 0.002 * static_cast<double>(dim + 8));
            }
        }
}

TEST(NearProduct, HugeVectorsHaveNoMarginAndBadShapesAreRefused) {
  const std::vector<float> items{1, 2, 3, 4}, huge{1e30f, 0};
  EXPECT_TRUE(std::isinf(NearMatrix(items, 2).prepare(huge).margin[0]));
  EXPECT_TRUE(std::isinf(NearMatrix(huge, 2).prepare(items).margin[1]));
  EXPECT_THROW(NearMatrix(items, 3), ArgumentError);
  EXPECT_THROW(NearMatrix(items, 2).prepare(std::span(items).first(3)), ArgumentError);
}

TEST(RankCount, CountsAndListsAsAPlainLoop) {
  const Rng rng(6, "scores");
  for (const int64_t n : {0, 1, 63, 64, 65, 1000}) {
    std::vector<float> scores(static_cast<size_t>(n));
    for (size_t i = 0; i < scores.size(); ++i) scores[i] = static_cast<float>(rng.below(50, i));
    if (n > 40) {
      scores[3] = -std::numeric_limits<float>::infinity();
      scores[40] = NAN;
    }
    const ScoreBounds bounds{20, 22, 45};
    std::vector<int32_t> close(scores.size()), best(scores.size()), want_close, want_best;
    int64_t above = 5, want_above = 5;
    for (size_t i = 0; i < scores.size(); ++i) {
      want_above += scores[i] > 22;
      if (!(scores[i] < 20) && !(scores[i] > 22)) want_close.push_back(static_cast<int32_t>(i));
      if (!(scores[i] < 45)) want_best.push_back(static_cast<int32_t>(i));
    }
    const BlockMatches found =
        compare_scores(scores.data(), n, bounds, above, close.data(), best.data());
    close.resize(static_cast<size_t>(found.close));
    best.resize(static_cast<size_t>(found.best));
    EXPECT_EQ(above, want_above);
    EXPECT_EQ(close, want_close);
    EXPECT_EQ(best, want_best);
  }
}

TEST(RankCount, CorrectsAndMasks) {
  const std::vector<float> scores{1, 2, 3}, offset{10, 20, 40};
  const std::vector<uint8_t> mask{1, 0, 1};
  std::vector<float> out(3);
  correct_scores(scores.data(), 3, mask.data(), 0.5f, offset.data(), out.data());
  EXPECT_EQ(out, (std::vector<float>{6, -INFINITY, 23}));
  correct_scores(scores.data(), 3, nullptr, 0, nullptr, out.data());
  EXPECT_EQ(out, scores);
}

}  // namespace
}  // namespace retort
