// Oracle: double loops in double precision.
#include "retort/kernel/dense.h"

#include <cmath>

#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/common/rng.h"
#include "retort/common/thread_pool.h"

namespace retort {
namespace {

std::vector<float> random_floats(int64_t count, const char* stream) {
  const Rng rng(7, stream);
  std::vector<float> values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(rng.normal(i));
  return values;
}

/// x [rows, in] times weight [width, in] transposed, in double.
std::vector<double> naive(const std::vector<float>& x, const std::vector<float>& weight,
                          const std::vector<float>& bias, bool relu, int64_t in, int64_t width) {
  std::vector<double> out;
  for (size_t row = 0; row < x.size() / static_cast<size_t>(in); ++row)
    for (int64_t o = 0; o < width; ++o) {
      double sum = bias.empty() ? 0 : bias[static_cast<size_t>(o)];
      for (int64_t c = 0; c < in; ++c)
        sum += double{x[row * static_cast<size_t>(in) + static_cast<size_t>(c)]} *
               double{weight[static_cast<size_t>(o * in + c)]};
      out.push_back(relu && sum < 0 ? 0 : sum);
    }
  return out;
}

void expect_near(const std::vector<float>& got, const std::vector<double>& expected, int64_t in) {
  ASSERT_EQ(got.size(), expected.size());
  const double tolerance = 2e-6 * std::sqrt(static_cast<double>(in) + 1) + 1e-6;
  for (size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], expected[i], tolerance) << i;
}

TEST(DenseForward, MatchesNaiveLoopsOnOddShapes) {
  for (const int64_t rows : {0, 1, 5, 6, 7, 13})
    for (const int64_t in : {1, 3, 16, 33, 129})
      for (const int64_t width : {1, 15, 16, 17, 40})
        for (const bool relu : {false, true}) {
          const auto x = random_floats(rows * in, "x");
          const auto weight = random_floats(width * in, "weight");
          const auto bias = relu ? random_floats(width, "bias") : std::vector<float>{};
          std::vector<float> out(static_cast<size_t>(rows * width), NAN);
          dense_forward(x, weight, in, width, bias, relu, out);
          expect_near(out, naive(x, weight, bias, relu, in, width), in);
        }
}

TEST(DenseForward, DoesNotDependOnThreads) {
  const auto x = random_floats(301 * 200, "x");
  const auto weight = random_floats(123 * 200, "weight");
  std::vector<float> one(301 * 123), many(301 * 123);
  set_threads(1);
  dense_forward(x, weight, 200, 123, {}, false, one);
  set_threads(4);
  dense_forward(x, weight, 200, 123, {}, false, many);
  set_threads(0);
  EXPECT_EQ(one, many);
}

TEST(DenseForward, RefusesSizesThatDoNotFit) {
  std::vector<float> out(4);
  const std::vector<float> x(6), weight(6), bias(3);
  EXPECT_THROW(dense_forward(x, weight, 3, 2, bias, false, out), ArgumentError);
  EXPECT_THROW(dense_forward(x, weight, 4, 2, {}, false, out), ArgumentError);
  out.resize(3);
  EXPECT_THROW(dense_forward(x, weight, 3, 2, {}, false, out), ArgumentError);
}

TEST(DotBlock, MatchesNaiveLoopsOnOddShapes) {
  for (const int64_t queries : {0, 1, 3, 8, 19})
    for (const int64_t items : {0, 1, 16, 37, 1000})
      for (const int64_t dim : {1, 7, 32, 50, 129}) {
        const auto q = random_floats(queries * dim, "q");
        const auto v = random_floats(items * dim, "v");
        std::vector<float> scores(static_cast<size_t>(queries * items), NAN);
        dot_block(q, v, dim, scores);
        expect_near(scores, naive(q, v, {}, false, dim, items), dim);
      }
}

TEST(Dot, MatchesNaiveLoopForEveryLength) {
  for (int64_t n = 0; n <= 130; ++n) {
    const auto a = random_floats(n, "a"), b = random_floats(n, "b");
    double sum = 0;
    for (size_t i = 0; i < a.size(); ++i) sum += double{a[i]} * double{b[i]};
    EXPECT_NEAR(dot(a.data(), b.data(), n), sum, 3e-5) << n;
  }
}

}  // namespace
}  // namespace retort
