#include "retort/nn/embedding.h"

#include "tables.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"

namespace retort {
namespace {

using testing::HasSubstr;

EmbeddingTable random_table(int64_t rows, int64_t dim) {
  EmbeddingTable table(rows, dim, "user.user_id");
  table->weight.copy_(torch::randn({rows, dim}));
  return table;
}

TEST(EmbeddingTable, LeavesTheGradientsOfTouchedRowsAndNoOthers) {
  torch::manual_seed(1);
  EmbeddingTable table = random_table(6, 3);
  const SparseTensor column = column_of({{4, 4}, {}, {1}});
  const torch::Tensor factor = torch::randn({3, 3});
  const torch::Tensor out = table->lookup(column, "mean");
  EXPECT_TRUE(out.requires_grad());
  EXPECT_TRUE(table->pending.empty());
  (out * factor).sum().backward();
  ASSERT_EQ(table->pending.size(), 1U);
  EXPECT_TRUE(torch::equal(table->pending[0].ids, torch::tensor({4, 1}, torch::kInt64)));
  EXPECT_TRUE(torch::allclose(table->pending[0].grads, torch::stack({factor[0], factor[2]})));
  EXPECT_FALSE(table->weight.grad().defined());
}

TEST(EmbeddingTable, EachLookupLeavesItsOwnEntry) {
  EmbeddingTable table = random_table(4, 2);
  const torch::Tensor first = table->lookup(column_of({{1}, {2}}), "sum");
  const torch::Tensor second = table->lookup(column_of({{2}, {3}}), "sum");
  (first * second).sum().backward();
  ASSERT_EQ(table->pending.size(), 2U);
  torch::Tensor sum = torch::zeros({4, 2});
  for (const auto& touched : table->pending) sum += dense_gradient(touched.ids, touched.grads, 4);
  const torch::Tensor& w = table->weight;
  EXPECT_TRUE(torch::allclose(sum, torch::stack({torch::zeros({2}), w[2], w[1] + w[3], w[2]})));
}

TEST(EmbeddingTable, LooksUpWithoutATraceWhenNoGradientIsWanted) {
  EmbeddingTable table = random_table(4, 2);
  const torch::NoGradGuard no_grad;
  const torch::Tensor out = table->lookup(column_of({{1}, {3}}), "mean");
  EXPECT_FALSE(out.requires_grad());
  EXPECT_TRUE(torch::equal(out, torch::stack({table->weight[1], table->weight[3]})));
}

TEST(EmbeddingTable, OutlivesItsModelWhileAGraphNeedsIt) {
  torch::Tensor out;
  std::weak_ptr<EmbeddingTableImpl> watched;
  {
    EmbeddingTable table = random_table(4, 2);
    watched = table.ptr();
    out = table->lookup(column_of({{1}}), "mean");
  }
  EXPECT_FALSE(watched.expired());
  out.sum().backward();
  out.reset();
  EXPECT_TRUE(watched.expired());
}

TEST(EmbeddingTable, NamesTheTableOfAnIdOutOfRange) {
  EmbeddingTable table = random_table(4, 2);
  for (const int64_t bad : {int64_t{4}, int64_t{-1}}) {
    try {
      table->lookup(column_of({{0}, {bad}}), "mean");
      FAIL() << "id " << bad << " was accepted";
    } catch (const DataError& error) {
      EXPECT_THAT(error.what(), HasSubstr("user.user_id"));
      EXPECT_THAT(error.what(), HasSubstr("id " + std::to_string(bad)));
    }
  }
  SparseTensor known = column_of({{0}});
  known.max_id = 9;
  EXPECT_THROW(table->lookup(known, "mean"), DataError);
}

TEST(PlaceModule, MakesDottedNamesOfTensors) {
  torch::nn::Module root;
  for (const char* name : {"item", "user.history", "user.history.seconds"})
    place_module(root, name, std::make_shared<EmbeddingTableImpl>(2, 3, name));
  std::vector<std::string> buffers, tables;
  for (const auto& item : root.named_buffers()) buffers.push_back(item.key());
  for (const auto& [name, table] : embedding_tables(root)) {
    tables.push_back(name);
    EXPECT_EQ(table->table_name, name);
  }
  EXPECT_THAT(buffers, testing::UnorderedElementsAre("item.weight", "user.history.weight",
                                                     "user.history.seconds.weight"));
  EXPECT_THAT(tables,
              testing::UnorderedElementsAre("item", "user.history", "user.history.seconds"));
}

TEST(PlaceModule, RefusesTakenAndEmptyNames) {
  torch::nn::Module root;
  const auto table = [] { return std::make_shared<EmbeddingTableImpl>(2, 3); };
  place_module(root, "user.id", table());
  for (const char* bad : {"user.id", "user", "user.id.weight", "", "user..x", "user."})
    EXPECT_THROW(place_module(root, bad, table()), ConfigError) << bad;
}

}  // namespace
}  // namespace retort
