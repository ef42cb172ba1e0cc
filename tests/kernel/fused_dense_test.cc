#include "retort/kernel/fused_dense.h"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <vector>

#include <gmock/gmock.h>
#include <omp.h>

#include "retort/common/error.h"
#include "retort/common/rng.h"
#include "retort/kernel/precision.h"

namespace retort {
namespace {

using ::testing::Each;

std::vector<float> draws(int64_t size, const char* stream) {
  const Rng rng(3, stream);
  std::vector<float> values(static_cast<size_t>(size));
  for (uint64_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(rng.normal(i));
  return values;
}

std::vector<Bf16> rounded(const std::vector<float>& values, int64_t rows, int64_t cols,
                          int64_t padded) {
  std::vector<Bf16> out(static_cast<size_t>(rows * padded));
  to_bf16(values.data(), rows, cols, cols, out.data(), padded);
  return out;
}

std::vector<float> widened(const std::vector<Bf16>& values) {
  std::vector<float> out(values.size());
  to_float(values.data(), std::ssize(values), out.data());
  return out;
}

/// A layer, its inputs and gradient, and what plain loops in double make of the rounded numbers.
struct Case {
  Case(DenseShape given, int64_t spare)
      : shape(given),
        columns(std::max(given.in, given.columns)),
        stride(given.in + spare),
        x(rounded(draws(given.rows * given.in, "x"), given.rows, given.in, columns)),
        weight(draws(given.out * stride, "w")),
        bias(draws(given.out, "b")),
        dy(draws(given.rows * given.out, "dy")) {}

  double weight_at(int64_t o, int64_t i) const {
    Bf16 narrow = 0;
    float wide = 0;
    to_bf16(&weight[static_cast<size_t>(o * stride + i)], 1, 1, 1, &narrow, 1);
    to_float(&narrow, 1, &wide);
    return wide;
  }
  double x_at(int64_t r, int64_t i) const {
    float wide = 0;
    to_float(&x[static_cast<size_t>(r * columns + i)], 1, &wide);
    return wide;
  }
  double dy_at(int64_t r, int64_t o) const {
    const float value = dy[static_cast<size_t>(r * shape.out + o)];
    Bf16 narrow = 0;
    float wide = 0;
    to_bf16(&value, 1, 1, 1, &narrow, 1);
    to_float(&narrow, 1, &wide);
    return wide;
  }

  DenseShape shape;
  int64_t columns, stride;
  std::vector<Bf16> x;
  std::vector<float> weight, bias, dy;
};

void expect_products(DensePlan::Engine engine, const DenseShape& shape, int64_t spare,
                     bool with_bias) {
  SCOPED_TRACE(::testing::Message() << shape.rows << " x " << shape.in << " -> " << shape.out);
  const Case data(shape, spare);
  const auto outputs = static_cast<size_t>(shape.rows * shape.out);
  // Summands are those of three owners.
  const std::vector<float> before = draws(3 * shape.out, "before");
  std::vector<Bf16> before_narrow(before.size());
  to_bf16(before.data(), 1, std::ssize(before), 0, before_narrow.data(), std::ssize(before));
  const std::vector<float> summand = shape.float_output ? before : widened(before_narrow);
  std::vector<int64_t> owner(static_cast<size_t>(shape.rows));
  for (size_t r = 0; r < owner.size(); ++r) owner[r] = static_cast<int64_t>(3 * r / owner.size());
  DensePlan plan(shape, engine);

  std::vector<float> y(outputs, 9);
  std::vector<Bf16> narrow(outputs, 9);
  plan.forward(data.x.data(), data.weight.data(), data.stride,
               with_bias ? data.bias.data() : nullptr,
               shape.float_output ? static_cast<void*>(y.data()) : narrow.data(),
               {shape.float_output ? static_cast<const void*>(before.data()) : before_narrow.data(),
                owner.data()});
  if (!shape.float_output) y = widened(narrow);
  const double rounding = shape.float_output ? 1e-5 : 1.0 / 256;
  for (int64_t r = 0; r < shape.rows; ++r) {
    for (int64_t o = 0; o < shape.out; ++o) {
      const auto at = static_cast<size_t>(r * shape.out + o);
      const auto from = static_cast<size_t>(owner[static_cast<size_t>(r)] * shape.out + o);
      double sum = shape.add ? summand[from] : 0, size = std::abs(sum);
      if (with_bias) sum += data.bias[static_cast<size_t>(o)];
      for (int64_t i = 0; i < shape.in; ++i) {
        sum += data.x_at(r, i) * data.weight_at(o, i);
        size += std::abs(data.x_at(r, i) * data.weight_at(o, i));
      }
      const double expected = shape.relu ? std::max(0.0, sum) : sum;
      ASSERT_NEAR(y[at], expected, rounding * std::abs(expected) + 1e-5 * size + 1e-6);
    }
  }

  std::vector<Bf16> dy_narrow(outputs);
  to_bf16(data.dy.data(), 1, std::ssize(data.dy), 0, dy_narrow.data(), std::ssize(data.dy));
  // With a ReLU, gradients count where the output is above 0.
  std::vector<Bf16> output(outputs);
  to_bf16(y.data(), 1, std::ssize(y), 0, output.data(), std::ssize(y));
  const auto dy_at = [&](int64_t r, int64_t o) {
    const auto at = static_cast<size_t>(r * shape.out + o);
    return shape.relu && !(y[at] > 0) ? 0 : data.dy_at(r, o);
  };
  std::vector<Bf16> dx(static_cast<size_t>(shape.rows * data.columns), 0xFFFF), more(dx);
  std::vector<float> dw(data.weight.size(), -7), db(static_cast<size_t>(shape.out));
  DenseBackward pass{.x = data.x.data(),
                     .dy = dy_narrow.data(),
                     .output = shape.relu ? output.data() : nullptr,
                     .weight = data.weight.data(),
                     .stride = data.stride,
                     .dweight = dw.data(),
                     .dbias = db.data(),
                     .dx = dx.data()};
  plan.backward(pass);
  const std::vector<float> dx_wide = widened(dx);
  const std::vector<float> start = draws(std::ssize(more), "start");
  to_bf16(start.data(), 1, std::ssize(start), 0, more.data(), std::ssize(start));
  const std::vector<float> start_wide = widened(more);
  pass.dx = more.data();
  pass.add = true;
  plan.backward(pass);
  const std::vector<float> more_wide = widened(more);
  for (int64_t r = 0; r < shape.rows; ++r) {
    for (int64_t i = 0; i < data.columns; ++i) {
      double sum = 0, size = 0;
      for (int64_t o = 0; i < shape.in && o < shape.out; ++o) {
        sum += dy_at(r, o) * data.weight_at(o, i);
        size += std::abs(dy_at(r, o) * data.weight_at(o, i));
      }
      const auto at = static_cast<size_t>(r * data.columns + i);
      ASSERT_NEAR(dx_wide[at], sum, std::abs(sum) / 256 + size / 1e5 + 1e-6);
      ASSERT_NEAR(more_wide[at], sum + start_wide[at],
                  (std::abs(sum) + std::abs(sum + start_wide[at])) / 256 + size / 1e5 + 1e-6);
    }
  }

  for (int64_t o = 0; o < shape.out; ++o) {
    for (int64_t i = 0; i < data.stride; ++i) {
      double sum = 0, size = 0;
      for (int64_t r = 0; i < shape.in && r < shape.rows; ++r) {
        sum += dy_at(r, o) * data.x_at(r, i);
        size += std::abs(dy_at(r, o) * data.x_at(r, i));
      }
      const float found = dw[static_cast<size_t>(o * data.stride + i)];
      const bool used = i < shape.in;  // other columns must stay as they are
      ASSERT_NEAR(found, used ? sum : -7, used ? size / 1e5 + 1e-5 : 0);
    }
    double sum = 0, size = 0;
    for (int64_t r = 0; r < shape.rows; ++r) {
      sum += dy_at(r, o);
      size += std::abs(dy_at(r, o));
    }
    ASSERT_NEAR(db[static_cast<size_t>(o)], sum, size / 1e5 + 1e-5);
  }
}

TEST(DensePlan, MatchesPlainLoops) {
  if (resolve(Precision::kAuto) != Precision::kBf16)
    GTEST_SKIP() << "this processor has no native bf16";
  for (const auto engine : {DensePlan::Engine::kBest, DensePlan::Engine::kOneDnn}) {
    SCOPED_TRACE(engine == DensePlan::Engine::kBest ? "best engine" : "oneDNN");
    const auto expect = [&](const DenseShape& shape, int64_t spare, bool with_bias) {
      expect_products(engine, shape, spare, with_bias);
    };
    expect({.rows = 37, .in = 30, .columns = 64, .out = 16, .relu = true}, 0, true);
    expect({.rows = 1, .in = 64, .out = 32}, 0, true);
    expect({.rows = 65, .in = 7, .out = 3, .relu = true, .add = true}, 5, true);
    expect({.rows = 48, .in = 130, .out = 1, .float_output = true}, 0, true);
    expect({.rows = 9, .in = 100, .columns = 128, .out = 70, .float_output = true}, 2, false);
    expect({.rows = 40, .in = 33, .out = 31, .add = true, .float_output = true}, 0, false);
    expect({.rows = 128, .in = 256, .out = 192, .relu = true}, 0, true);
    expect({.rows = 1100, .in = 40, .out = 33, .relu = true, .add = true}, 0, true);
  }
}

/// 1 and 3 threads give the same bits: no sum is divided between threads.
TEST(DensePlan, DoesNotDependOnTheThreads) {
  if (resolve(Precision::kAuto) != Precision::kBf16)
    GTEST_SKIP() << "this processor has no native bf16";
  const Case data({.rows = 700, .in = 200, .columns = 256, .out = 130, .relu = true}, 0);
  const auto run = [&](int threads) {
    const int before = omp_get_max_threads();
    omp_set_num_threads(threads);
    DensePlan plan(data.shape);
    std::vector<Bf16> y(700 * 130), dy(y.size()), dx(700 * 256);
    std::vector<float> dw(data.weight.size()), db(130);
    plan.forward(data.x.data(), data.weight.data(), data.stride, data.bias.data(), y.data());
    to_bf16(data.dy.data(), 1, std::ssize(data.dy), 0, dy.data(), std::ssize(data.dy));
    plan.backward({.x = data.x.data(),
                   .dy = dy.data(),
                   .output = y.data(),
                   .weight = data.weight.data(),
                   .stride = data.stride,
                   .dweight = dw.data(),
                   .dbias = db.data(),
                   .dx = dx.data()});
    omp_set_num_threads(before);
    return std::tuple(y, dx, dw, db);
  };
  EXPECT_EQ(run(1), run(3));
}

TEST(DensePlan, RepeatsWithOtherWeightsAndStrides) {
  if (resolve(Precision::kAuto) != Precision::kBf16)
    GTEST_SKIP() << "this processor has no native bf16";
  const Case data({.rows = 8, .in = 20, .columns = 64, .out = 12}, 4);
  DensePlan plan(data.shape);
  std::vector<Bf16> first(96), second(96), zero(96);
  plan.forward(data.x.data(), data.weight.data(), data.stride, data.bias.data(), first.data());
  const std::vector<float> nothing(data.weight.size());
  plan.forward(data.x.data(), nothing.data(), data.stride, nullptr, zero.data());
  EXPECT_THAT(zero, Each(0));
  plan.forward(data.x.data(), data.weight.data(), data.stride, data.bias.data(), second.data());
  EXPECT_EQ(first, second);
}

TEST(DensePlan, RefusesEmptyShapes) {
  EXPECT_THROW(DensePlan({.rows = 0, .in = 3, .out = 2}), ArgumentError);
}

}  // namespace
}  // namespace retort
