// Oracle: PyTorch, tests/encoder/golden/make_three_tower.py, whose served score is not fused.
#include <memory>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/common/file.h"
#include "retort/encoder/tower_encoder.h"

namespace retort {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

const fs::path kGolden = RETORT_TESTS "/encoder/golden";

SideBatch side_of(const Json& rows, const Json& dense) {
  SideBatch side;
  side.rows = std::ssize(rows);
  side.sparse.resize(rows[0].size());
  for (SparseColumn& column : side.sparse) column.offsets.push_back(0);
  for (const Json& row : rows)
    for (size_t i = 0; i < row.size(); ++i) {
      for (const int32_t id : row[i]) side.sparse[i].ids.push_back(id);
      side.sparse[i].offsets.push_back(static_cast<int32_t>(side.sparse[i].ids.size()));
    }
  for (const Json& values : dense)
    for (const float value : values) side.dense.push_back(value);
  return side;
}

class ThreeTower : public testing::TestWithParam<std::string> {
 protected:
  TowerEncoder encoder(const ModelSpec& spec) const {
    return {spec, std::make_shared<const SafetensorsFile>(
                      kGolden / ("three_tower_" + GetParam() + ".safetensors"))};
  }
  /// One inner product of a user's vector and an item's for each pair.
  std::vector<double> scores(const ModelSpec& spec) const {
    const TowerEncoder towers = encoder(spec);
    const auto dim = static_cast<size_t>(towers.dim());
    std::vector<float> u(static_cast<size_t>(users_.rows) * dim),
        v(static_cast<size_t>(items_.rows) * dim);
    towers.encode_users(users_, u);
    towers.encode_items(items_, v);
    std::vector<double> scores;
    for (const Json& pair : json_["pairs"]) {
      double sum = 0;
      for (size_t d = 0; d < dim; ++d)
        sum += u[pair[0].get<size_t>() * dim + d] * v[pair[1].get<size_t>() * dim + d];
      scores.push_back(sum);
    }
    return scores;
  }

  const Json json_ = Json::parse(read_file(kGolden / "three_tower.json"));
  const Json case_ = json_[GetParam()];
  const ModelSpec spec_ = model_spec_from_json(case_["spec"]);
  const SideBatch users_ = side_of(json_["users"], json_["user_dense"]);
  const SideBatch items_ = side_of(json_["items"], json_["item_dense"]);
};

TEST_P(ThreeTower, OneUserVectorAndOneItemVectorGiveTheUnfusedSum) {
  const std::vector<double> got = scores(spec_);
  for (size_t i = 0; i < got.size(); ++i)
    EXPECT_NEAR(got[i], case_["served"][i].get<double>(), 1e-4) << i;
  EXPECT_EQ(encoder(spec_).dim(), GetParam() == "2u1i" ? 5 : 10);
}

TEST_P(ThreeTower, WithEqualSharesIsTheMeanOfTheTasks) {
  ModelSpec spec = spec_;
  spec.user.gate->kind = "equal";
  const std::vector<double> got = scores(spec);
  for (size_t i = 0; i < got.size(); ++i)
    EXPECT_NEAR(got[i], (case_["click"][i].get<double>() + case_["read"][i].get<double>()) / 2,
                1e-4)
        << i;
}

TEST_P(ThreeTower, RefusesWeightsThatAreMissingAndSharesOfTheCaller) {
  ModelSpec spec = spec_;
  spec.user.gate->layers = {7, 3};
  EXPECT_THAT([&] { encoder(spec); }, ThrowsMessage<DataError>(HasSubstr("'user.gate.layer1")));
  std::vector<float> out(static_cast<size_t>(users_.rows * spec_.dim()));
  const TowerEncoder towers = encoder(spec_);
  EXPECT_THAT([&] { towers.encode_users(users_, 0.5, out); },
              ThrowsMessage<ConfigError>(HasSubstr("own gate")));
}

INSTANTIATE_TEST_SUITE_P(Readings, ThreeTower, testing::Values("2u1i", "1u2i"));

}  // namespace
}  // namespace retort
