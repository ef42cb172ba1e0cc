// Oracle: PyTorch, tests/encoder/golden/make_multi_task.py.
#include <array>
#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "tests/support/scratch_folder.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/bundle/table_storage.h"
#include "retort/common/error.h"
#include "retort/common/file.h"
#include "retort/encoder/tower_encoder.h"

namespace retort {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;
using Vectors = std::vector<std::vector<float>>;

const fs::path kGolden = RETORT_TESTS "/encoder/golden";

class MultiTask : public testing::Test {
 protected:
  MultiTask() {
    users_.rows = std::ssize(json_["users"]);
    users_.sparse.resize(7);
    for (SparseColumn& column : users_.sparse) column.offsets.push_back(0);
    for (const Json& user : json_["users"])
      for (size_t i = 0; i < user.size(); ++i) {
        SparseColumn& column = users_.sparse[i];
        for (const int32_t id : user[i]) column.ids.push_back(id);
        column.offsets.push_back(static_cast<int32_t>(column.ids.size()));
      }
    for (const Json& values : json_["dense"])
      for (const float value : values) users_.dense.push_back(value);
  }
  /// u_click, u_dwm as PyTorch has them.
  Vectors expected(const char* task) const { return json_[task].get<Vectors>(); }
  std::vector<float> encode(const SideBatch& users, double fusion) const {
    std::vector<float> out(static_cast<size_t>(users.rows * 4));
    encoder_.encode_users(users, fusion, out);
    return out;
  }

  const Json json_ = Json::parse(read_file(kGolden / "multi_task.json"));
  const ModelSpec spec_ = model_spec_from_json(json_["spec"]);
  const std::shared_ptr<const SafetensorsFile> weights_ =
      std::make_shared<SafetensorsFile>(kGolden / "multi_task.safetensors");
  const TowerEncoder encoder_{spec_, weights_};
  SideBatch users_;
};

TEST_F(MultiTask, EqualsPyTorchForEitherTask) {
  for (const auto& [task, fusion] : {std::pair{"click", 1.0}, {"dwm", 0.0}}) {
    const std::vector<float> got = encode(users_, fusion);
    const Vectors want = expected(task);
    for (size_t row = 0; row < want.size(); ++row)
      for (size_t d = 0; d < 4; ++d)
        EXPECT_NEAR(got[row * 4 + d], want[row][d], 1e-4) << task << " of user " << row;
  }
}

TEST_F(MultiTask, FusesTheVectorsOfBothTasks) {
  const Vectors click = expected("click"), dwm = expected("dwm");
  const auto expect_fused = [&](const std::vector<float>& got, double w) {
    for (size_t row = 0; row < click.size(); ++row)
      for (size_t d = 0; d < 4; ++d)
        EXPECT_NEAR(got[row * 4 + d], w * click[row][d] + (1 - w) * dwm[row][d], 1e-4);
  };
  for (const double w : {0.1, 0.5, 0.9}) expect_fused(encode(users_, w), w);
  std::vector<float> by_spec(7 * 4);
  encoder_.encode_users(users_, by_spec);
  expect_fused(by_spec, 0.3);
  for (const double wrong : {-0.01, 1.01, std::nan("")})
    EXPECT_THROW(encode(users_, wrong), ConfigError);
}

TEST_F(MultiTask, AManyRowedBatchEqualsItsRows) {
  // 40 copies of the users: more than one piece of work and more steps than go at once.
  SideBatch many = users_;
  for (int copy = 1; copy < 40; ++copy) {
    many.rows += users_.rows;
    many.dense.insert(many.dense.end(), users_.dense.begin(), users_.dense.end());
    for (size_t i = 0; i < many.sparse.size(); ++i) {
      SparseColumn& to = many.sparse[i];
      const SparseColumn& from = users_.sparse[i];
      to.ids.insert(to.ids.end(), from.ids.begin(), from.ids.end());
      const int32_t base = to.offsets.back();
      for (size_t row = 1; row < from.offsets.size(); ++row)
        to.offsets.push_back(base + from.offsets[row]);
    }
  }
  const std::vector<float> one = encode(users_, 0.4), all = encode(many, 0.4);
  for (size_t i = 0; i < all.size(); ++i) ASSERT_NEAR(all[i], one[i % one.size()], 1e-5) << i;
}

TEST_F(MultiTask, WhatIsBeyondTheLengthIsCut) {
  const std::vector<float> got = encode(users_, 0.5);
  for (size_t d = 0; d < 4; ++d) EXPECT_EQ(got[5 * 4 + d], got[6 * 4 + d]);
}

TEST_F(MultiTask, AnItemWithoutLayersIsItsEmbedding) {
  const SideBatch items{2, {{{3, 11}, {0, 1, 2}}}, {}};
  std::vector<float> out(2 * 4);
  encoder_.encode_items(items, out);
  const auto table = weights_->floats("show.weight", std::array<int64_t, 2>{12, 4});
  for (size_t d = 0; d < 4; ++d) {
    EXPECT_EQ(out[d], table[3 * 4 + d]);
    EXPECT_EQ(out[4 + d], table[11 * 4 + d]);
  }
}

TEST_F(MultiTask, TablesOfSequencesAreStoredCompact) {
  const ScratchFolder scratch;
  store_tables(spec_, kGolden / "multi_task.safetensors", scratch / "stored", TableStorage::kBf16);
  const auto stored = std::make_shared<SafetensorsFile>(scratch / "stored");
  for (const char* table : {"show", "user.age", "film", "user.gender"})
    EXPECT_EQ(stored->tensors().at(std::string(table) + ".weight").dtype, "BF16");
  EXPECT_EQ(stored->tensors().at("user.watched_tv.positions").dtype, "F32");
  std::vector<float> out(7 * 4);
  TowerEncoder(spec_, stored).encode_users(users_, 1, out);
  const std::vector<float> plain = encode(users_, 1);
  float largest = 0, furthest = 0;
  for (size_t i = 0; i < out.size(); ++i) {
    largest = std::max(largest, std::abs(plain[i]));
    furthest = std::max(furthest, std::abs(plain[i] - out[i]));
  }
  EXPECT_GT(furthest, 0);
  EXPECT_LT(furthest, 0.05 * largest);
}

TEST_F(MultiTask, RefusesSequencesThatAreNotAlignedAndIdsOutOfRange) {
  SideBatch bad = users_;
  bad.sparse[1].ids.pop_back();
  bad.sparse[1].offsets.back() -= 1;
  EXPECT_THAT([&] { encode(bad, 1); },
              ThrowsMessage<ArgumentError>(HasSubstr("'user.watched_tv'")));
  bad = users_;
  bad.sparse[2].ids[1] = 9;
  EXPECT_THAT([&] { encode(bad, 1); },
              ThrowsMessage<ArgumentError>(HasSubstr("id 9 is outside a table of 9 rows")));
  bad = users_;
  bad.sparse.pop_back();
  EXPECT_THROW(encode(bad, 1), ArgumentError);
}

TEST_F(MultiTask, RefusesWeightsThatAreMissingOrOfAnotherShape) {
  ModelSpec spec = spec_;
  spec.user.sequences[1].layers = 2;
  EXPECT_THAT(
      [&] { TowerEncoder encoder(spec, weights_); },
      ThrowsMessage<DataError>(HasSubstr("'user.watched_films.block1.self_attn.in_proj_weight'")));
  spec = spec_;
  spec.user.mixture->tasks[1] = "likes";
  EXPECT_THAT([&] { TowerEncoder encoder(spec, weights_); },
              ThrowsMessage<DataError>(HasSubstr("'user.gate_likes.weight' is missing")));
  spec = spec_;
  spec.user.mixture->product_dim = 0;
  EXPECT_THAT([&] { TowerEncoder encoder(spec, weights_); },
              ThrowsMessage<DataError>(HasSubstr("'user.expert0.layer0.weight' has shape")));
}

}  // namespace
}  // namespace retort
