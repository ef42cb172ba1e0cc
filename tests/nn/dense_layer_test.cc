#include "retort/nn/dense_layer.h"

#include <gtest/gtest.h>

#include "retort/kernel/precision.h"

namespace retort {
namespace {

/// Values that bf16 holds exactly, so that fused and plain paths see the same inputs.
torch::Tensor exact(at::IntArrayRef sizes) {
  return torch::randn(sizes).to(torch::kBFloat16).to(torch::kFloat32);
}

/// x in bf16 with zeros behind its columns, as the input layer gives it.
torch::Tensor padded(const torch::Tensor& x) {
  const int64_t width = x.size(1);
  return torch::constant_pad_nd(x, {0, padded_width(width) - width})
      .to(torch::kBFloat16)
      .contiguous();
}

double distance(const torch::Tensor& a, const torch::Tensor& b) {
  return ((a.to(torch::kFloat32) - b).norm() / (b.norm() + 1e-6)).item<double>();
}

struct Sizes {
  int64_t rows, groups, shared, own, out;
};

/// Output and gradients of the fused layer against libtorch's in fp32.
void expect_equal(const Sizes& size, bool relu, bool float_output) {
  SCOPED_TRACE(::testing::Message() << size.rows << " rows, " << size.groups << " groups");
  torch::manual_seed(5);
  const auto leaf = [](const torch::Tensor& values) {
    return values.clone().set_requires_grad(true);
  };
  const torch::Tensor own = exact({size.rows, size.own}),
                      shared = exact({size.groups, size.shared}),
                      weight = exact({size.out, size.shared + size.own}), bias = exact({size.out});
  const torch::Tensor owner =
      std::get<0>(torch::sort(torch::randint(size.groups, {size.rows}, torch::kInt64)));
  const torch::Tensor pull = exact({size.rows, size.out});

  struct Result {
    torch::Tensor y, own, shared, weight, bias;
  };
  const auto run = [&](bool fused) {
    const torch::Tensor w = leaf(weight), b = leaf(bias);
    const torch::Tensor x_own = leaf(fused ? padded(own) : own),
                        x_shared = leaf(fused ? padded(shared) : shared);
    const DenseLayer layer{.weight = w,
                           .bias = b,
                           .relu = relu,
                           .float_output = float_output,
                           .plans = std::make_shared<DensePlans>()};
    GroupedRows x{.own = x_own};
    if (size.shared > 0) x = {x_shared, x_own, owner, size.shared};
    const torch::Tensor y = dense_layer(x, layer);
    EXPECT_EQ(y.scalar_type(), fused && !float_output ? torch::kBFloat16 : torch::kFloat32);
    (y.to(torch::kFloat32) * pull).sum().backward();
    return Result{y.detach(), x_own.grad().narrow(1, 0, size.own),
                  size.shared > 0 ? x_shared.grad().narrow(1, 0, size.shared) : torch::Tensor(),
                  w.grad(), b.grad()};
  };
  const Result plain = run(false), fused = run(true);
  EXPECT_LT(distance(fused.y, plain.y), 0.006);
  // Rounding moves a few outputs across the ReLU's edge, and their gradients with them.
  const double most = relu ? 0.1 : 0.02;
  EXPECT_LT(distance(fused.own, plain.own), most);
  EXPECT_LT(distance(fused.weight, plain.weight), most);
  EXPECT_LT(distance(fused.bias, plain.bias), most);
  if (size.shared > 0) {
    EXPECT_LT(distance(fused.shared, plain.shared), most);
  }
}

TEST(FusedLayer, EqualsLibtorchInValuesAndGradients) {
  if (!has_native_bf16()) GTEST_SKIP() << "this processor has no native bf16";
  for (const bool relu : {false, true}) {
    for (const bool float_output : {false, true}) {
      expect_equal({.rows = 1, .groups = 1, .shared = 0, .own = 5, .out = 3}, relu, float_output);
      expect_equal({.rows = 33, .groups = 7, .shared = 30, .own = 17, .out = 64}, relu,
                   float_output);
      expect_equal({.rows = 200, .groups = 200, .shared = 240, .own = 180, .out = 130}, relu,
                   float_output);
      expect_equal({.rows = 64, .groups = 1, .shared = 0, .own = 128, .out = 1}, relu,
                   float_output);
    }
  }
}

TEST(FusedLayer, TakesTheSharedPartFromItsOwner) {
  if (!has_native_bf16()) GTEST_SKIP() << "this processor has no native bf16";
  const DenseLayer layer{.weight = torch::ones({1, 2}), .plans = std::make_shared<DensePlans>()};
  const torch::Tensor y = dense_layer(
      GroupedRows{padded(torch::tensor({{1.F}, {10.F}})),
                  padded(torch::tensor({{0.5F}, {0.25F}, {2.F}})), torch::tensor({0, 1, 1}), 1},
      layer);
  EXPECT_TRUE(torch::equal(y, torch::tensor({{1.5F}, {10.25F}, {12.F}})));
}

TEST(GroupedLayer, InFp32EqualsTheJoinedProduct) {
  torch::manual_seed(1);
  const torch::Tensor shared = torch::randn({3, 4}), own = torch::randn({6, 5}),
                      weight = torch::randn({2, 9}), bias = torch::randn({2});
  const torch::Tensor owner = torch::tensor({0, 0, 1, 1, 2, 2});
  const torch::Tensor joined = torch::cat({shared.index_select(0, owner), own}, 1);
  const torch::Tensor expected = torch::relu(joined.matmul(weight.t()) + bias);
  const torch::Tensor y = dense_layer(GroupedRows{shared, own, owner, 4},
                                      {.weight = weight, .bias = bias, .relu = true});
  EXPECT_TRUE(torch::allclose(y, expected, 1e-5, 1e-6));
}

TEST(GatedMixture, FusedEqualsPlainInValuesAndGradients) {
  for (const int64_t count : {1, 2, 5}) {
    torch::manual_seed(2);
    const torch::Tensor gate = torch::softmax(torch::randn({40, count}), 1);
    const torch::Tensor pull = exact({40, 48});
    std::vector<torch::Tensor> parts;
    for (int64_t k = 0; k < count; ++k) parts.push_back(exact({40, 48}));
    const auto run = [&](bool fused) {
      std::vector<torch::Tensor> leaves{gate.clone().set_requires_grad(true)}, inputs;
      for (const torch::Tensor& part : parts) {
        leaves.push_back(
            (fused ? part.to(torch::kBFloat16) : part.clone()).set_requires_grad(true));
        inputs.push_back(leaves.back());
      }
      const torch::Tensor y = gated_mixture(leaves[0], inputs);
      (y.to(torch::kFloat32) * pull).sum().backward();
      std::vector<torch::Tensor> found{y.detach()};
      for (const torch::Tensor& leaf : leaves) found.push_back(leaf.grad());
      return found;
    };
    const auto plain = run(false), fused = run(true);
    for (size_t i = 0; i < plain.size(); ++i) EXPECT_LT(distance(fused[i], plain[i]), 0.006) << i;
  }
}

}  // namespace
}  // namespace retort
