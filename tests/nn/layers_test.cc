#include <cmath>

#include "tables.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/nn/init.h"
#include "retort/nn/input.h"
#include "retort/nn/mlp.h"

namespace retort {
namespace {

using testing::ElementsAre;

TEST(Mlp, EqualsMatrixProductsWithReluBetween) {
  for (const bool relu_after_last : {false, true}) {
    Mlp mlp(MlpOptions{.input = 3, .layers = {5, 2}, .relu_after_last = relu_after_last});
    mlp->initialise(Rng(1, "init"), "user");
    const torch::Tensor x = torch::randn({7, 3});
    torch::Tensor h = (x.matmul(mlp->layers[0]->weight.t()) + mlp->layers[0]->bias).clamp_min(0);
    h = h.matmul(mlp->layers[1]->weight.t()) + mlp->layers[1]->bias;
    if (relu_after_last) h = h.clamp_min(0);
    EXPECT_TRUE(torch::allclose(mlp->forward(x), h, 1e-5, 1e-6));
  }
}

TEST(Mlp, NamesItsParametersByLayer) {
  Mlp mlp(MlpOptions{.input = 3, .layers = {5, 2}});
  std::vector<std::string> names;
  for (const auto& item : mlp->named_parameters()) names.push_back(item.key());
  EXPECT_THAT(names, ElementsAre("layer0.weight", "layer0.bias", "layer1.weight", "layer1.bias"));
  EXPECT_THROW(Mlp(MlpOptions{.input = 3, .layers = {}}), ArgumentError);
  EXPECT_THROW(Mlp(MlpOptions{.input = 3, .layers = {0}}), ArgumentError);
}

TEST(Init, HasTheDeviationThatFollowsFromWhatComesNext) {
  Mlp mlp(MlpOptions{.input = 200, .layers = {300, 100}});
  mlp->initialise(Rng(1, "init"), "user");
  // 60,000 and 30,000 draws: the sample deviation is within 2% by far.
  EXPECT_NEAR(mlp->layers[0]->weight.std().item<double>(), std::sqrt(2.0 / 200), 0.002);
  EXPECT_NEAR(mlp->layers[1]->weight.std().item<double>(), std::sqrt(2.0 / 400), 0.0014);
  EXPECT_NEAR(mlp->layers[0]->weight.mean().item<double>(), 0, 0.002);
  EXPECT_EQ(mlp->layers[0]->bias.abs().max().item<double>(), 0);
}

TEST(Init, DependsOnSeedAndNameOnly) {
  const auto draw = [](uint64_t seed, const char* name) {
    const torch::Tensor values = torch::empty({20, 3});
    fill_normal(values, Rng(seed, "init"), name, 0.3);
    return values;
  };
  EXPECT_TRUE(torch::equal(draw(1, "a.weight"), draw(1, "a.weight")));
  EXPECT_FALSE(torch::equal(draw(1, "a.weight"), draw(1, "b.weight")));
  EXPECT_FALSE(torch::equal(draw(1, "a.weight"), draw(2, "a.weight")));
}

TEST(Init, FillsEveryTableRowZeroIncluded) {
  torch::nn::Module root;
  place_module(root, "user.id", std::make_shared<EmbeddingTableImpl>(500, 30, "user.id"));
  initialise_tables(root, Rng(1, "init"), 0.3);
  const torch::Tensor weight = embedding_tables(root)[0].second->weight;
  EXPECT_NEAR(weight.std().item<double>(), 0.3, 0.01);
  EXPECT_GT(weight[0].abs().max().item<double>(), 0.05);
}

InputSpec two_fields() {
  InputSpec spec;
  spec.fields = {{"b", "user.b", 4, 2, "mean"}, {"a", "user.a", 3, 3, "sum"}};
  spec.sparse_index = {2, 0};
  spec.dense_width = 1;
  return spec;
}

TEST(InputLayer, ConcatenatesFieldsInOrderThenDenseValues) {
  const InputSpec spec = two_fields();
  torch::nn::Module root;
  TableMap tables = make_tables(root, {&spec});
  initialise_tables(root, Rng(3, "init"), 1);
  InputLayer input(spec, tables);
  SideTensors side;
  side.rows = 2;
  side.sparse = {column_of({{2, 1}, {}}), column_of({{0}, {0}}), column_of({{3}, {1}})};
  side.dense = torch::tensor({{0.5F}, {-1.F}});
  const torch::Tensor a = tables.at("user.a")->weight, b = tables.at("user.b")->weight;
  const torch::Tensor expected =
      torch::stack({torch::cat({b[3], a[2] + a[1], side.dense[0]}),
                    torch::cat({b[1], torch::zeros({3}), side.dense[1]})});
  EXPECT_EQ(input.width(), 6);
  EXPECT_TRUE(torch::allclose(input.forward(side), expected));
}

TEST(InputLayer, RefusesASideThatDoesNotFit) {
  const InputSpec spec = two_fields();
  torch::nn::Module root;
  InputLayer input(spec, make_tables(root, {&spec}));
  SideTensors side;
  side.rows = 1;
  side.sparse = {column_of({{0}}), column_of({{0}}), column_of({{0}})};
  side.dense = torch::zeros({1, 2});
  EXPECT_THROW(input.forward(side), ArgumentError);
  side.dense = torch::zeros({1, 1});
  side.sparse.pop_back();
  EXPECT_THROW(input.forward(side), ArgumentError);
}

TEST(MakeTables, SharesByNameAndRefusesAnotherSize) {
  InputSpec user, item;
  user.fields = {{"history", "article", 5, 2, "mean"}};
  item.fields = {{"item_id", "article", 5, 2, "mean"}};
  torch::nn::Module root;
  EXPECT_EQ(make_tables(root, {&user, &item}).size(), 1U);
  item.fields[0].rows = 6;
  torch::nn::Module other;
  EXPECT_THROW(make_tables(other, {&user, &item}), ConfigError);
}

}  // namespace
}  // namespace retort
