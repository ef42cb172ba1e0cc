#include "retort/nn/attention.h"

#include <gtest/gtest.h>

namespace retort {
namespace {

SparseTensor rows_of(const std::vector<int64_t>& lengths) {
  std::vector<int64_t> offsets{0};
  for (const int64_t length : lengths) offsets.push_back(offsets.back() + length);
  return {torch::zeros(offsets.back(), torch::kInt64), torch::tensor(offsets, torch::kInt64)};
}

/// Values of two functions of x, and their gradients in a random direction, are equal.
void expect_twins(const torch::Tensor& x, const auto& one, const auto& other) {
  const torch::Tensor a = x.detach().clone().requires_grad_(true);
  const torch::Tensor b = x.detach().clone().requires_grad_(true);
  const torch::Tensor left = one(a), right = other(b);
  ASSERT_EQ(left.sizes(), right.sizes());
  EXPECT_TRUE(torch::allclose(left, right, 1e-4, 1e-5));
  const torch::Tensor direction = torch::randn_like(left);
  (left * direction).sum().backward();
  (right * direction).sum().backward();
  EXPECT_TRUE(torch::allclose(a.grad(), b.grad(), 1e-4, 1e-5));
}

TEST(Steps, KnowTheirRowAndPlace) {
  const StepLayout layout = make_steps(rows_of({2, 0, 3}), 3);
  EXPECT_EQ(layout.rows, 3);
  EXPECT_EQ(layout.longest, 3);
  EXPECT_TRUE(torch::equal(layout.row, torch::tensor({0, 0, 2, 2, 2}, torch::kInt64)));
  EXPECT_TRUE(torch::equal(layout.position, torch::tensor({0, 1, 0, 1, 2}, torch::kInt64)));
  EXPECT_THROW(make_steps(rows_of({2, 0, 3}), 2), std::exception);
}

TEST(SelfAttention, EqualsItsTwinWithEmptyRowsAndSpareSteps) {
  torch::manual_seed(1);
  for (const auto& lengths : std::vector<std::vector<int64_t>>{
           {1}, {3, 0, 17, 1}, {0, 0, 2}, {40, 100, 5, 0}, std::vector<int64_t>(100, 3)}) {
    const StepLayout layout = make_steps(rows_of(lengths), 100);
    for (const int64_t heads : {1, 2})
      for (const int64_t spare : {0, 7}) {
        const torch::Tensor qkv = torch::randn({layout.row.size(0) + spare, 3 * 10});
        expect_twins(
            qkv, [&](const torch::Tensor& x) { return self_attention(x, layout, heads); },
            [&](const torch::Tensor& x) { return self_attention_by_ops(x, layout, heads); });
      }
  }
}

TEST(SelfAttention, TakesTheTwinInDouble) {
  const StepLayout layout = make_steps(rows_of({2, 3}), 3);
  const torch::Tensor qkv = torch::randn({5, 12}, torch::kFloat64);
  EXPECT_TRUE(torch::allclose(self_attention(qkv, layout, 2).to(torch::kFloat32),
                              self_attention(qkv.to(torch::kFloat32), layout, 2), 1e-4, 1e-5));
}

TEST(PairProducts, EqualTheirTwin) {
  torch::manual_seed(2);
  for (const int64_t fields : {2, 3, 13})
    for (const int64_t rows : {1, 6}) {
      expect_twins(
          torch::randn({fields, rows, 5}),
          [](const torch::Tensor& x) { return pair_products(x.unbind(0)); },
          [](const torch::Tensor& x) { return pair_products_by_ops(x.unbind(0)); });
    }
}

}  // namespace
}  // namespace retort
