#include "retort/nn/experts.h"

#include <gtest/gtest.h>

#include "retort/common/error.h"

namespace retort {
namespace {

torch::Tensor exact_values(at::IntArrayRef sizes) {
  return torch::randn(sizes).to(torch::kBFloat16).to(torch::kFloat32);
}

double relative_distance(const torch::Tensor& a, const torch::Tensor& b) {
  return ((a.to(torch::kFloat32) - b).norm() / (b.norm() + 1e-6)).item<double>();
}

TEST(GatedMixtures, FusedEqualPlainInValuesAndGradients) {
  struct Sizes {
    int64_t tasks, experts;
  };
  for (const Sizes& size : {Sizes{1, 1}, Sizes{2, 2}, Sizes{3, 5}}) {
    torch::manual_seed(2);
    const torch::Tensor logits = torch::randn({40, size.tasks * size.experts});
    std::vector<torch::Tensor> parts, pulls;
    for (int64_t k = 0; k < size.experts; ++k) parts.push_back(exact_values({40, 48}));
    for (int64_t t = 0; t < size.tasks; ++t) pulls.push_back(exact_values({40, 48}));
    const auto run = [&](bool fused) {
      std::vector<torch::Tensor> leaves{logits.clone().set_requires_grad(true)}, inputs;
      for (const torch::Tensor& part : parts) {
        leaves.push_back(
            (fused ? part.to(torch::kBFloat16) : part.clone()).set_requires_grad(true));
        inputs.push_back(leaves.back());
      }
      const std::vector<torch::Tensor> mixed = gated_mixtures(leaves[0], inputs);
      torch::Tensor sum = torch::zeros({});
      std::vector<torch::Tensor> found;
      for (size_t t = 0; t < mixed.size(); ++t) {
        sum = sum + (mixed[t].to(torch::kFloat32) * pulls[t]).sum();
        found.push_back(mixed[t].detach());
      }
      sum.backward();
      for (const torch::Tensor& leaf : leaves) found.push_back(leaf.grad());
      return found;
    };
    const auto plain = run(false), fused = run(true);
    ASSERT_EQ(fused.size(), plain.size());
    for (size_t i = 0; i < plain.size(); ++i)
      EXPECT_LT(relative_distance(fused[i], plain[i]), 0.006) << i;
  }
}

TEST(GatedMixtures, RefuseGatesThatAreNoMultipleOfTheExperts) {
  EXPECT_THROW(gated_mixtures(torch::zeros({2, 3}), {torch::zeros({2, 4}), torch::zeros({2, 4})}),
               ArgumentError);
}

TEST(MixedExperts, AreTheSumsOfTheExpertsByTheirGates) {
  torch::manual_seed(3);
  std::vector<Mlp> experts;
  for (int k = 0; k < 2; ++k)
    experts.emplace_back(MlpOptions{.input = 6, .layers = {5, 4}, .relu_after_last = true});
  const std::vector<torch::Tensor> gates{torch::randn({2, 6}), torch::randn({2, 6})};
  const torch::Tensor x = torch::randn({7, 6});
  const auto mixed =
      mixed_experts(GroupedRows{.own = x}, experts, gates, std::make_shared<DensePlans>());
  ASSERT_EQ(mixed.size(), 2U);
  for (size_t task = 0; task < 2; ++task) {
    const torch::Tensor gate = torch::softmax(x.matmul(gates[task].t()), 1);
    const torch::Tensor expected = gate.narrow(1, 0, 1) * experts[0]->forward(x) +
                                   gate.narrow(1, 1, 1) * experts[1]->forward(x);
    EXPECT_TRUE(torch::allclose(mixed[task], expected, 1e-5, 1e-6));
  }
}

}  // namespace
}  // namespace retort
