#include "retort/loss/catalogue_softmax.h"

#include <gtest/gtest.h>

#include "retort/common/error.h"

namespace retort {
namespace {

struct Case {
  int64_t rows, items, dim;
};

/// Loss and gradients of the kernel against plain libtorch in double.
void expect_equal(const Case& size, bool options, Precision precision, double bound) {
  SCOPED_TRACE(::testing::Message() << size.rows << " x " << size.items << " x " << size.dim);
  torch::manual_seed(4);
  const torch::Tensor users = torch::randn({size.rows, size.dim}),
                      items = torch::randn({size.items, size.dim});
  CatalogueTargets given;
  given.targets = torch::randint(size.items, {size.rows}, torch::kInt64);
  if (options) {
    given.weight = torch::rand({size.rows});
    given.reward = torch::rand({size.rows}) * 3;
    given.log_q = -torch::rand({size.items}) * 4;
    given.excluded = torch::rand({size.items}) < 0.2;
    given.row_offsets = torch::arange(size.rows + 1, torch::kInt64);
    given.row_items = torch::randint(size.items, {size.rows}, torch::kInt64);
    given.temperature = 0.7;
  }
  const torch::Tensor pull = torch::randn({size.rows});
  const auto run = [&](bool fused) {
    const auto type = fused ? torch::kFloat32 : torch::kFloat64;
    const torch::Tensor u = users.to(type).clone().set_requires_grad(true),
                        v = items.to(type).clone().set_requires_grad(true);
    const torch::Tensor loss =
        fused ? catalogue_softmax(u, v, given, precision) : catalogue_softmax_by_ops(u, v, given);
    (loss * pull).sum().backward();
    return std::vector<torch::Tensor>{loss.detach(), u.grad(), v.grad()};
  };
  const auto plain = run(false), fused = run(true);
  for (size_t i = 0; i < 3; ++i) {
    const double distance = (fused[i].to(torch::kFloat64) - plain[i]).norm().item<double>();
    EXPECT_LE(distance, bound * plain[i].norm().item<double>() + 1e-6) << i;
  }
}

TEST(CatalogueSoftmaxLoss, EqualsPlainLibtorchInValuesAndGradients) {
  for (const Case& size : {Case{1, 1, 1}, {1, 70, 3}, {33, 130, 17}, {130, 1000, 128}})
    for (const bool options : {false, true}) expect_equal(size, options, Precision::kFp32, 1e-5);
  expect_equal({64, 600, 64}, true, Precision::kBf16, has_native_bf16() ? 0.02 : 1e-5);
}

TEST(CatalogueSoftmaxLoss, RefusesATargetOutsideTheCatalogue) {
  CatalogueTargets given;
  given.targets = torch::tensor({2}, torch::kInt64);
  EXPECT_THROW(catalogue_softmax(torch::ones({1, 3}), torch::ones({2, 3}), given), ArgumentError);
}

}  // namespace
}  // namespace retort
