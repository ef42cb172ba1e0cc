#include "retort/nn/tensor_batch.h"

#include <gtest/gtest.h>

#include "retort/common/error.h"

namespace retort {
namespace {

Batch small_batch() {
  Batch batch;
  batch.users.rows = 1;
  batch.users.sparse = {{{3}, {0, 1}}, {{}, {0, 0}}};
  batch.users.dense = {0.5F, 1.5F};
  batch.items.rows = 2;
  batch.items.sparse = {{{1, 4}, {0, 1, 2}}, {{7, 8}, {0, 2, 2}}};
  batch.user_of_row = {0, 0};
  batch.user = {0, 0};
  batch.item = {5, 6};
  batch.click = {1, 0};
  batch.read = {1, 0};
  batch.seconds = {70, 0};
  return batch;
}

const DenseWidths kWidths{.user = 2};

TEST(ToTensors, KeepsValuesAndKnowsSingleColumnsAndLargestIds) {
  const TensorBatch batch = to_tensors(small_batch(), kWidths, torch::kCPU);
  ASSERT_EQ(batch.items.sparse.size(), 2U);
  EXPECT_TRUE(batch.users.sparse[0].single);
  EXPECT_FALSE(batch.users.sparse[1].single);
  EXPECT_TRUE(batch.items.sparse[0].single);
  EXPECT_FALSE(batch.items.sparse[1].single);  // two ids in two rows, but both in the first
  EXPECT_EQ(batch.items.sparse[1].max_id, 8);
  EXPECT_EQ(batch.users.sparse[1].max_id, -1);
  EXPECT_TRUE(torch::equal(batch.items.sparse[1].ids, torch::tensor({7, 8}, torch::kInt64)));
  EXPECT_TRUE(torch::equal(batch.items.sparse[1].offsets, torch::tensor({0, 2, 2}, torch::kInt64)));
  EXPECT_TRUE(torch::equal(batch.users.dense, torch::tensor({{0.5F, 1.5F}})));
  EXPECT_EQ(batch.items.dense.sizes(), (std::vector<int64_t>{2, 0}));
  EXPECT_TRUE(torch::equal(batch.user_of_row, torch::zeros({2}, torch::kInt64)));
  EXPECT_TRUE(torch::equal(batch.seconds, torch::tensor({70.F, 0.F})));
}

TEST(ToTensors, RefusesArraysThatDoNotFit) {
  const auto broken = [](auto change) {
    Batch batch = small_batch();
    change(batch);
    return [batch] { return to_tensors(batch, kWidths, torch::kCPU); };
  };
  EXPECT_THROW(broken([](Batch& b) { b.items.sparse[0].ids[0] = -1; })(), DataError);
  EXPECT_THROW(broken([](Batch& b) { b.items.sparse[0].offsets = {0, 1}; })(), ArgumentError);
  EXPECT_THROW(broken([](Batch& b) { b.items.sparse[0].offsets = {0, 1, 3}; })(), ArgumentError);
  EXPECT_THROW(broken([](Batch& b) { b.items.sparse[0].offsets = {0, 3, 2}; })(), ArgumentError);
  EXPECT_THROW(broken([](Batch& b) { b.users.dense.pop_back(); })(), ArgumentError);
  EXPECT_THROW(broken([](Batch& b) { b.user_of_row[1] = 1; })(), ArgumentError);
  EXPECT_THROW(broken([](Batch& b) { b.read.pop_back(); })(), ArgumentError);
}

TEST(ParseDevice, KnowsDevicesAndRefusesOthers) {
  EXPECT_TRUE(parse_device("cpu").is_cpu());
  EXPECT_EQ(parse_device("auto").is_cuda(), torch::cuda::is_available());
  for (const char* bad : {"gpu", "cuda:", "cuda:x", "cuda:-1", "", "cuda:99"})
    EXPECT_THROW(parse_device(bad), ConfigError) << bad;
  if (!torch::cuda::is_available()) {
    EXPECT_THROW(parse_device("cuda"), ConfigError);
  }
}

}  // namespace
}  // namespace retort
