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

TEST(DenseStacks, OfOneInputEqualThoseOneByOneInFp32) {
  if (!has_native_bf16()) GTEST_SKIP() << "this processor has no native bf16";
  for (const int64_t shared_width : {0, 20}) {
    torch::manual_seed(7);
    const int64_t rows = 90, groups = 30, own_width = 40;
    const torch::Tensor own = exact({rows, own_width}), shared = exact({groups, 20});
    const torch::Tensor owner =
        std::get<0>(torch::sort(torch::randint(groups, {rows}, torch::kInt64)));
    const std::vector<std::vector<int64_t>> widths{{48, 33}, {64}, {16, 16, 4}};
    std::vector<torch::Tensor> pulls, start;
    for (const auto& stack : widths) pulls.push_back(exact({rows, stack.back()}));
    const auto run = [&](bool fused) {
      std::vector<torch::Tensor> leaves{
          (fused ? padded(own) : own.clone()).set_requires_grad(true),
          (fused ? padded(shared) : shared.clone()).set_requires_grad(true)};
      torch::manual_seed(8);
      std::vector<DenseStack> stacks;
      for (size_t i = 0; i < widths.size(); ++i) {
        int64_t in = own_width + shared_width;
        auto& stack = stacks.emplace_back();
        for (const int64_t out : widths[i]) {
          const bool last = stack.size() + 1 == widths[i].size();
          stack.push_back({.weight = (exact({out, in}) / 8).set_requires_grad(true),
                           .bias = i == 1 ? torch::Tensor() : exact({out}).set_requires_grad(true),
                           .relu = !last,
                           .float_output = last && i != 1,
                           .plans = std::make_shared<DensePlans>()});
          leaves.push_back(stack.back().weight);
          if (stack.back().bias.defined()) leaves.push_back(stack.back().bias);
          in = out;
        }
      }
      GroupedRows x{.own = leaves[0]};
      if (shared_width > 0) x = {leaves[1], leaves[0], owner, shared_width};
      const std::vector<torch::Tensor> outputs = dense_stacks(x, stacks);
      torch::Tensor sum = torch::zeros({});
      for (size_t i = 0; i < outputs.size(); ++i)
        sum = sum + (outputs[i].to(torch::kFloat32) * pulls[i]).sum();
      sum.backward();
      std::vector<torch::Tensor> found;
      for (const torch::Tensor& output : outputs) found.push_back(output.detach());
      found.push_back(leaves[0].grad().narrow(1, 0, own_width));
      if (shared_width > 0) found.push_back(leaves[1].grad().narrow(1, 0, shared_width));
      for (size_t i = 2; i < leaves.size(); ++i) found.push_back(leaves[i].grad());
      return found;
    };
    const auto plain = run(false), fused = run(true);
    ASSERT_EQ(plain.size(), fused.size());
    for (size_t i = 0; i < plain.size(); ++i)
      // (Outputs that rounding moves across a ReLU's edge take their gradients with them.)
      EXPECT_LT(distance(fused[i], plain[i]), i < widths.size() ? 0.01 : 0.25) << i;
  }
}

TEST(DenseStacks, WithAnOutputThatNothingDependsOn) {
  if (!has_native_bf16()) GTEST_SKIP() << "this processor has no native bf16";
  const auto layer = [] {
    return DenseLayer{.weight = torch::ones({2, 3}).set_requires_grad(true),
                      .plans = std::make_shared<DensePlans>()};
  };
  const DenseLayer used = layer(), idle = layer();
  const torch::Tensor x = padded(torch::ones({4, 3}));
  dense_stacks({.own = x}, {{idle}, {used}})[1].sum().backward();
  EXPECT_TRUE(torch::equal(idle.weight.grad(), torch::zeros({2, 3})));
  EXPECT_TRUE(torch::equal(used.weight.grad(), torch::full({2, 3}, 4.F)));
}

}  // namespace
}  // namespace retort
