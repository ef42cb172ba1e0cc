#include "retort/nn/sequence.h"

#include <gtest/gtest.h>

#include "retort/nn/init.h"
#include "retort/nn/mixed_precision.h"

namespace retort {
namespace {

constexpr int64_t kDim = 8, kHeads = 2, kHidden = 12;

SparseTensor lists(const std::vector<std::vector<int64_t>>& rows) {
  std::vector<int64_t> ids, offsets{0};
  for (const auto& row : rows) {
    ids.insert(ids.end(), row.begin(), row.end());
    offsets.push_back(static_cast<int64_t>(ids.size()));
  }
  return {torch::tensor(ids, torch::kInt64), torch::tensor(offsets, torch::kInt64)};
}

TransformerBlock block_of(uint64_t seed) {
  TransformerBlock block(kDim, kHeads, kHidden);
  block->initialise(Rng(seed, "test"), "block");
  return block;
}

/// The library's layer with the same weights.
torch::nn::TransformerEncoderLayer twin_of(TransformerBlock& block) {
  torch::nn::TransformerEncoderLayer twin(
      torch::nn::TransformerEncoderLayerOptions(kDim, kHeads).dim_feedforward(kHidden).dropout(0));
  const torch::NoGradGuard no_grad;
  auto weights = block->named_parameters();
  for (auto& item : twin->named_parameters()) item.value().copy_(weights[item.key()]);
  return twin;
}

TEST(TransformerBlock, EqualsTheLibrarysLayerOnPaddedRows) {
  TransformerBlock block = block_of(1);
  torch::nn::TransformerEncoderLayer twin = twin_of(block);
  const std::vector<int64_t> lengths{3, 1, 5};
  const StepLayout layout = make_steps(lists({{0, 0, 0}, {0}, {0, 0, 0, 0, 0}}), 5);
  torch::manual_seed(2);
  const torch::Tensor steps = torch::randn({9, kDim}).requires_grad_(true);
  const torch::Tensor got = block->forward(steps, layout);

  const torch::Tensor again = steps.detach().clone().requires_grad_(true);
  const torch::Tensor mask = torch::ones({3, 5}, torch::kBool);
  std::vector<torch::Tensor> rows;
  int64_t at = 0;
  for (size_t row = 0; row < lengths.size(); ++row) {
    mask[static_cast<int64_t>(row)].narrow(0, 0, lengths[row]).fill_(false);
    rows.push_back(
        torch::constant_pad_nd(again.narrow(0, at, lengths[row]), {0, 0, 0, 5 - lengths[row]}));
    at += lengths[row];
  }
  const torch::Tensor padded = twin->forward(torch::stack(rows, 1), {}, mask).transpose(0, 1);
  const torch::Tensor expected =
      padded.reshape({15, kDim}).index_select(0, layout.row * 5 + layout.position);
  EXPECT_TRUE(torch::allclose(got, expected, 1e-4, 1e-5));

  const torch::Tensor direction = torch::randn({9, kDim});
  (got * direction).sum().backward();
  (expected * direction).sum().backward();
  EXPECT_TRUE(torch::allclose(steps.grad(), again.grad(), 1e-4, 1e-5));
  auto gradients = twin->named_parameters();
  for (const auto& item : block->named_parameters())
    EXPECT_TRUE(torch::allclose(item.value().grad(), gradients[item.key()].grad(), 1e-4, 1e-5))
        << item.key();
}

class OrderedPool : public ::testing::Test {
 protected:
  OrderedPool() {
    spec_.name = "user.watched.transformer";
    spec_.fields = {{"watched", "show", 20, kDim}, {"watched.count", "count", 6, kDim}};
    spec_.sparse_index = {0, 1};
    spec_.length = 5;
    spec_.heads = kHeads;
    spec_.hidden = kHidden;
  }
  void make(int32_t layers) {
    spec_.layers = layers;
    InputSpec input;
    input.fields = spec_.fields;
    tables_ = make_tables(root_, {&input});
    initialise_tables(root_, Rng(3, "test"), 0.5);
    pool_ = SequencePool(spec_, tables_);
    pool_->initialise(Rng(4, "test"));
  }
  static SideTensors side(const std::vector<std::vector<int64_t>>& shows,
                          const std::vector<std::vector<int64_t>>& counts) {
    SideTensors side;
    side.rows = static_cast<int64_t>(shows.size());
    side.sparse = {lists(shows), lists(counts)};
    return side;
  }

  torch::nn::Module root_;
  SequenceSpec spec_;
  TableMap tables_;
  SequencePool pool_{nullptr};
};

TEST_F(OrderedPool, WithoutLayersIsTheSumOfProducts) {
  make(0);
  const torch::Tensor got = pool_->forward(side({{3, 7}, {}, {5}}, {{1, 2}, {}, {4}}));
  const torch::Tensor show = tables_.at("show")->weight, count = tables_.at("count")->weight;
  EXPECT_TRUE(torch::allclose(got[0], show[3] * count[1] + show[7] * count[2]));
  EXPECT_TRUE(torch::equal(got[1], torch::zeros(kDim)));
  EXPECT_TRUE(torch::allclose(got[2], show[5] * count[4]));
}

TEST_F(OrderedPool, ARowSeesItsOwnStepsOnlyAndInTheirOrder) {
  make(2);
  const torch::Tensor alone = pool_->forward(side({{3, 7}}, {{1, 2}}));
  const torch::Tensor among =
      pool_->forward(side({{}, {9, 9, 9, 9, 9}, {3, 7}, {}}, {{}, {1, 1, 1, 1, 1}, {1, 2}, {}}));
  EXPECT_TRUE(torch::allclose(among[2], alone[0], 1e-5, 1e-6));
  EXPECT_TRUE(torch::equal(among[0], torch::zeros(kDim)));
  EXPECT_TRUE(torch::equal(among[3], torch::zeros(kDim)));
  const torch::Tensor turned = pool_->forward(side({{7, 3}}, {{2, 1}}));
  EXPECT_FALSE(torch::allclose(turned[0], alone[0], 1e-3, 1e-3));  // positions count
}

TEST_F(OrderedPool, GradientsAreFiniteWithEmptyRowsAndReachEveryTable) {
  make(1);
  pool_->forward(side({{}, {3, 7}, {}}, {{}, {1, 2}, {}})).square().sum().backward();
  for (const auto& item : pool_->named_parameters())
    EXPECT_TRUE(item.value().grad().isfinite().all().item<bool>()) << item.key();
  EXPECT_FALSE(tables_.at("show")->pending.empty());
  EXPECT_FALSE(tables_.at("count")->pending.empty());
  const torch::Tensor none = pool_->forward(side({{}, {}}, {{}, {}}));
  EXPECT_TRUE(torch::equal(none, torch::zeros({2, kDim})));
}

TEST_F(OrderedPool, InBf16StaysNearFp32) {
  make(2);
  const SideTensors users = side({{3, 7, 1}, {}, {5}}, {{1, 2, 1}, {}, {4}});
  const torch::Tensor exact = pool_->forward(users);
  const MixedPrecision guard(true);
  EXPECT_TRUE(torch::allclose(pool_->forward(users), exact, 0.05, 0.05));
}

TEST_F(OrderedPool, RefusesRowsLongerThanItsPositions) {
  make(1);
  EXPECT_THROW(pool_->forward(side({{1, 2, 3, 4, 5, 6}}, {{1, 1, 1, 1, 1, 1}})), std::exception);
}

TEST(SumRows, EqualsIndexAddInValuesAndGradients) {
  const torch::Tensor owner = torch::tensor({0, 0, 2, 2, 2, 3}, torch::kInt64);
  torch::Tensor x = torch::randn({6, 5}).requires_grad_(true);
  const torch::Tensor got = sum_rows(x, owner, 5);
  EXPECT_TRUE(torch::allclose(got, torch::zeros({5, 5}).index_add(0, owner, x)));
  const torch::Tensor direction = torch::randn({5, 5});
  (got * direction).sum().backward();
  EXPECT_TRUE(torch::allclose(x.grad(), direction.index_select(0, owner)));
}

}  // namespace
}  // namespace retort
