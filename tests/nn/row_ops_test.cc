#include "retort/nn/row_ops.h"

#include <set>

#include "tables.h"
#include <gtest/gtest.h>

#include "retort/common/error.h"

namespace retort {
namespace {

/// What torch::embedding_bag gives for the column, and the gradient of sum(out * factor).
struct Reference {
  torch::Tensor out, gradient;
};

Reference reference(const torch::Tensor& weight, const SparseTensor& column, Pooling pooling,
                    const torch::Tensor& factor) {
  const torch::Tensor leaf = weight.clone().set_requires_grad(true);
  const int64_t mode = pooling == Pooling::kSum ? 0 : 1;
  torch::Tensor out = std::get<0>(torch::embedding_bag(
      leaf, column.ids, column.offsets.slice(0, 0, column.rows()), false, mode, false));
  (out * factor).sum().backward();
  return {out.detach(), leaf.grad()};
}

class PooledRows
    : public testing::TestWithParam<std::tuple<std::vector<std::vector<int64_t>>, Pooling>> {};

TEST_P(PooledRows, EqualsEmbeddingBagInValuesAndGradients) {
  const auto& [lists, pooling] = GetParam();
  torch::manual_seed(3);
  const int64_t rows = 7, dim = 5;
  const torch::Tensor weight = torch::randn({rows, dim}, torch::kFloat64);
  const torch::Tensor factor =
      torch::randn({static_cast<int64_t>(lists.size()), dim}, torch::kFloat64);
  SparseTensor column = column_of(lists);
  const bool one_each =
      std::all_of(lists.begin(), lists.end(), [](const auto& list) { return list.size() == 1; });
  const Reference expected = reference(weight, column, pooling, factor);
  for (const bool single : {false, true}) {
    if (single && !one_each) continue;
    column.single = single;
    EXPECT_TRUE(torch::allclose(pool_rows(weight, column, pooling), expected.out));
    EXPECT_TRUE(torch::allclose(pool_rows_by_ops(weight, column, pooling), expected.out));
    const RowGradients merged = unpool_rows(factor, column, pooling);
    EXPECT_TRUE(merged.unique);
    EXPECT_TRUE(torch::allclose(dense_gradient(merged.ids, merged.grads, rows), expected.gradient,
                                1e-6, 1e-7));
    const RowGradients loose = unpool_rows_by_ops(factor, column, pooling);
    EXPECT_TRUE(torch::allclose(dense_gradient(loose.ids, loose.grads, rows), expected.gradient));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, PooledRows,
    testing::Combine(testing::Values(std::vector<std::vector<int64_t>>{{0}, {6}, {0}, {3}},
                                     std::vector<std::vector<int64_t>>{{2}},
                                     std::vector<std::vector<int64_t>>{{}, {1, 1, 6}, {}, {2}, {}},
                                     std::vector<std::vector<int64_t>>{{}, {}},
                                     std::vector<std::vector<int64_t>>{{5, 4, 3, 2, 1, 0}}),
                     testing::Values(Pooling::kMean, Pooling::kSum)));

TEST(MergeGradients, AddsUpEqualIdsAndListsEachOnce) {
  const torch::Tensor ids = torch::tensor({7, 2, 7, 9, 2, 7}, torch::kInt64);
  const torch::Tensor grads = torch::arange(12, torch::kFloat32).reshape({6, 2});
  for (const torch::Tensor& given : {grads, grads.to(torch::kBFloat16)}) {
    const RowGradients merged = merge_gradients(ids, given, {}, {});
    EXPECT_TRUE(torch::equal(merged.ids, torch::tensor({7, 2, 9}, torch::kInt64)));
    EXPECT_TRUE(
        torch::equal(merged.grads, torch::tensor({{14.F, 17.F}, {10.F, 12.F}, {6.F, 7.F}})));
  }
}

TEST(MergeGradients, ReadsStridedGradients) {
  const torch::Tensor wide = torch::arange(12, torch::kFloat32).reshape({2, 6});
  const torch::Tensor ids = torch::tensor({1, 3}, torch::kInt64);
  for (const torch::Tensor& view : {wide.narrow(1, 2, 3), wide.reshape({3, 4}).t().narrow(0, 1, 2)})
    EXPECT_TRUE(torch::equal(merge_gradients(ids, view, {}, {}).grads, view));
}

TEST(MergeGradients, GivesTheSameBitsWithAnyNumberOfThreads) {
  torch::manual_seed(5);
  const torch::Tensor ids = torch::randint(0, 900, {20000}, torch::kInt64);
  const torch::Tensor grads = torch::randn({20000, 30});
  const int threads = at::get_num_threads();
  at::set_num_threads(1);
  const RowGradients alone = merge_gradients(ids, grads, {}, {});
  at::set_num_threads(3);
  const RowGradients together = merge_gradients(ids, grads, {}, {});
  at::set_num_threads(threads);
  EXPECT_TRUE(torch::equal(alone.ids, together.ids));
  EXPECT_TRUE(torch::equal(alone.grads, together.grads));
}

TEST(MergeRows, AgreesWithTheMergeByOperations) {
  torch::manual_seed(6);
  std::vector<RowGradients> parts;
  for (int part = 0; part < 3; ++part)
    parts.push_back({torch::randint(0, 6, {9}, torch::kInt64), torch::randn({9, 4}), false});
  const RowGradients fast = merge_rows(parts), plain = merge_rows_by_ops(parts);
  for (const RowGradients& merged : {fast, plain}) {
    const int64_t* ids = merged.ids.data_ptr<int64_t>();
    EXPECT_EQ(std::set<int64_t>(ids, ids + merged.ids.size(0)).size(), merged.ids.size(0));
  }
  EXPECT_TRUE(torch::allclose(dense_gradient(fast.ids, fast.grads, 6),
                              dense_gradient(plain.ids, plain.grads, 6), 1e-5, 1e-6));
}

TEST(ExpandRows, EqualsIndexSelectInValuesAndGradients) {
  torch::manual_seed(4);
  const torch::Tensor source = torch::tensor({2, 0, 2, 2, 1, 0}, torch::kInt64);
  const torch::Tensor factor = torch::randn({6, 5}, torch::kFloat64);
  torch::Tensor x = torch::randn({4, 5}, torch::kFloat64).set_requires_grad(true);
  const torch::Tensor out = expand_rows(x, source);
  EXPECT_TRUE(torch::equal(out, x.index_select(0, source)));
  (out * factor).sum().backward();
  const torch::Tensor gradient = x.grad().clone();
  x.mutable_grad().reset();
  (x.index_select(0, source) * factor).sum().backward();
  EXPECT_TRUE(torch::allclose(gradient, x.grad()));
}

TEST(ParsePooling, RefusesOtherNames) {
  EXPECT_EQ(parse_pooling("mean"), Pooling::kMean);
  EXPECT_EQ(parse_pooling("sum"), Pooling::kSum);
  EXPECT_THROW(parse_pooling("max"), ConfigError);
}

}  // namespace
}  // namespace retort
