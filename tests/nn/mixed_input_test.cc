#include "retort/nn/mixed_input.h"

#include "tables.h"
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/kernel/fused_dense.h"
#include "retort/nn/init.h"
#include "retort/nn/input.h"
#include "retort/nn/mixed_precision.h"

namespace retort {
namespace {

/// Two tables, one of them seen through single ids, one through bags with an empty row.
struct TwoFields {
  TwoFields() {
    spec.fields = {{"a", "user.a", 5, 3, "mean"}, {"b", "user.b", 4, 2, "sum"}};
    spec.sparse_index = {0, 1};
    spec.dense_width = 1;
    tables = make_tables(root, {&spec});
    initialise_tables(root, Rng(3, "init"), 1);
    side.rows = 4;
    side.sparse = {column_of({{2}, {1}, {2}, {0}}), column_of({{3, 1}, {}, {3}, {0, 0, 2}})};
    side.sparse[0].single = true;
    side.dense = torch::tensor({{0.5F}, {-1.F}, {2.F}, {0.F}});
  }

  /// The side's values and, pulled by `pull`, the dense gradients of both tables.
  std::vector<torch::Tensor> run(bool mixed, const torch::Tensor& pull) {
    const MixedPrecision guard(mixed);
    InputLayer input(spec, tables);
    const torch::Tensor x = input.forward(side);
    (x.narrow(1, 0, 6).to(torch::kFloat32) * pull).sum().backward();
    std::vector<torch::Tensor> found{x.detach()};
    for (const char* name : {"user.a", "user.b"}) {
      EmbeddingTable& table = tables.at(name);
      torch::Tensor gradient = torch::zeros_like(table->weight);
      for (const RowGradients& rows : table->pending)
        gradient += dense_gradient(rows.ids, rows.grads, table->weight.size(0));
      table->pending.clear();
      found.push_back(gradient);
    }
    return found;
  }

  InputSpec spec;
  torch::nn::Module root;
  TableMap tables;
  SideTensors side;
};

TEST(MixedInput, EqualsTheFp32LayerUpToRounding) {
  TwoFields fields;
  torch::manual_seed(3);
  const torch::Tensor pull = torch::randn({4, 6}).to(torch::kBFloat16).to(torch::kFloat32);
  const auto plain = fields.run(false, pull), mixed = fields.run(true, pull);
  ASSERT_EQ(mixed[0].scalar_type(), torch::kBFloat16);
  ASSERT_EQ(mixed[0].size(1), padded_width(6));
  EXPECT_EQ(mixed[0].narrow(1, 6, padded_width(6) - 6).abs().max().item<float>(), 0);
  EXPECT_TRUE(torch::equal(mixed[0].narrow(1, 0, 6), plain[0].to(torch::kBFloat16)));
  for (size_t i = 1; i < plain.size(); ++i)
    EXPECT_TRUE(torch::allclose(mixed[i], plain[i], 1e-6, 1e-6));
}

TEST(JoinInputs, PutsSidesSideBySideWithTheZerosBehindTheWhole) {
  TwoFields fields;
  InputLayer input(fields.spec, fields.tables);
  const torch::Tensor once = input.forward(fields.side),
                      twice = join_inputs({{&input, &fields.side}, {&input, &fields.side}});
  EXPECT_TRUE(torch::equal(twice, torch::cat({once, once}, 1)));
  const MixedPrecision guard(true);
  const torch::Tensor mixed = join_inputs({{&input, &fields.side}, {&input, &fields.side}});
  ASSERT_EQ(mixed.size(1), padded_width(12));
  EXPECT_TRUE(torch::equal(mixed.narrow(1, 0, 12), twice.to(torch::kBFloat16)));
  EXPECT_EQ(mixed.narrow(1, 12, padded_width(12) - 12).abs().max().item<float>(), 0);
  mixed.to(torch::kFloat32).sum().backward();
  for (const char* name : {"user.a", "user.b"}) {  // a table seen twice has both gradients
    EmbeddingTable& table = fields.tables.at(name);
    ASSERT_EQ(table->pending.size(), 2U);
    EXPECT_TRUE(torch::equal(table->pending[0].grads, table->pending[1].grads));
  }
}

TEST(MixedInput, RefusesAnIdOutsideTheTable) {
  TwoFields fields;
  fields.side.sparse[0] = column_of({{2}, {5}, {2}, {0}});
  const MixedPrecision guard(true);
  InputLayer input(fields.spec, fields.tables);
  EXPECT_THROW(input.forward(fields.side), DataError);
}

TEST(MixedPrecisionGuard, EndsWithItsScope) {
  EXPECT_FALSE(MixedPrecision::active());
  {
    const MixedPrecision on(true);
    EXPECT_TRUE(MixedPrecision::active());
    const MixedPrecision off(false);
    EXPECT_FALSE(MixedPrecision::active());
  }
  EXPECT_FALSE(MixedPrecision::active());
}

}  // namespace
}  // namespace retort
