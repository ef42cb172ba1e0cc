#include "retort/model/two_tower.h"

#include "small_world.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/loss/bce.h"
#include "retort/nn/optimizer.h"

namespace retort {
namespace {

using testing::UnorderedElementsAre;

const Json kSmall = Json::parse(
    R"({"kind": "two_tower", "embedding": 3, "user_layers": [8, 4], "item_layers": [6, 4]})");

Json with(const char* key, Json value) {
  Json table = kSmall;
  table[key] = std::move(value);
  return table;
}

std::shared_ptr<CandidateModel> small_model(uint64_t seed = 1, const Json& table = kSmall) {
  return make_candidate_model(small_schema(), table, Rng(seed, "init"));
}

std::vector<std::string> names_of(torch::nn::Module& model) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : named_weights(model)) names.push_back(name);
  return names;
}

TEST(TwoTower, TensorsAreNamedAndShapedAsTheSpecSays) {
  auto model = small_model();
  EXPECT_THAT(
      names_of(*model),
      UnorderedElementsAre("user.layer0.weight", "user.layer0.bias", "user.layer1.weight",
                           "user.layer1.bias", "item.layer0.weight", "item.layer0.bias",
                           "item.layer1.weight", "item.layer1.bias", "user.user_id.weight",
                           "user.history.weight", "item.item_id.weight", "item.tags.weight"));
  auto weights = named_weights(*model);
  for (const TowerSpec* tower : {&model->spec().user, &model->spec().item}) {
    int64_t width = tower->input.width();
    for (size_t i = 0; i < tower->layers.size(); ++i) {
      const std::string layer = tower->name + ".layer" + std::to_string(i);
      EXPECT_EQ(weights.at(layer + ".weight").sizes(),
                (std::vector<int64_t>{tower->layers[i], width}));
      width = tower->layers[i];
    }
    for (const FieldSpec& field : tower->input.fields)
      EXPECT_EQ(weights.at(field.table + ".weight").sizes(),
                (std::vector<int64_t>{field.rows, field.dim}));
  }
}

TEST(TwoTower, ScoresAreInnerProductsOfLinearOutputs) {
  auto model = small_model();
  const TensorBatch batch = small_batch();
  const torch::Tensor users = model->encode_users(batch.users);
  const torch::Tensor items = model->encode_items(batch.items);
  EXPECT_EQ(users.sizes(), (std::vector<int64_t>{3, 4}));
  EXPECT_EQ(items.sizes(), (std::vector<int64_t>{6, 4}));
  EXPECT_LT(users.min().item<float>(), 0);  // a ReLU at the end would forbid it
  EXPECT_LT(items.min().item<float>(), 0);
  const torch::Tensor scores = model->score(batch);
  for (int64_t row = 0; row < 6; ++row)
    EXPECT_NEAR(scores[row].item<double>(), users[row / 2].dot(items[row]).item<double>(), 1e-5);
}

TEST(TwoTower, SharesOneTableAVocabulary) {
  auto model = small_model(1, with("share_tables", true));
  std::vector<std::string> tables;
  for (const auto& [name, table] : embedding_tables(*model)) tables.push_back(name);
  EXPECT_THAT(tables, UnorderedElementsAre("user_id", "item_id", "tags"));
  bce_with_logits(model->score(small_batch()), small_batch().click).backward();
  for (const auto& [name, table] : embedding_tables(*model))
    EXPECT_EQ(table->pending.size(), name == "item_id" ? 2U : 1U) << name;
}

TEST(TwoTower, TakesFeaturesWithDottedNames) {
  Schema schema = small_schema();
  schema.features.insert(schema.features.begin(),
                         sparse_feature("history.seconds", Side::kUser, FeatureKind::kSequence, 9));
  auto model = make_candidate_model(schema, kSmall, Rng(1, "init"));
  EXPECT_TRUE(named_weights(*model).contains("user.history.seconds.weight"));
  EXPECT_TRUE(named_weights(*model).contains("user.history.weight"));
}

TEST(TwoTower, OverfitsOneBatch) {
  auto model = small_model();
  OptimizerOptions options;
  options.learning_rate = 0.02;
  Optimizer optimizer(options, *model);
  const TensorBatch batch = small_batch();
  double loss = 0;
  for (int step = 0; step < 200; ++step) {
    const torch::Tensor value = bce_with_logits(model->score(batch), batch.click);
    value.backward();
    optimizer.step();
    loss = value.item<double>();
  }
  EXPECT_LT(loss, 0.01);
}

TEST(TwoTower, LeavesTheSaddleOfTheInnerProductInAFewSteps) {
  // The paper's sizes: scores must not start so small that their gradients vanish.
  auto model = make_candidate_model(small_schema(), Json::object(), Rng(1, "init"));
  const double spread = model->score(small_batch()).std().item<double>();
  EXPECT_GT(spread, 0.1);
  EXPECT_LT(spread, 20);
}

TEST(TwoTower, IsRebuiltFromItsSpecWithEqualScores) {
  auto model = small_model();
  auto copy = make_candidate_model(model_spec_from_json(to_json(model->spec())));
  std::map<std::string, torch::Tensor> saved;
  for (const auto& [name, tensor] : named_weights(*model)) saved[name] = tensor.clone();
  load_weights(*copy, saved);
  EXPECT_TRUE(torch::equal(model->score(small_batch()), copy->score(small_batch())));
}

TEST(TwoTower, WeightsDependOnTheSeedOnly) {
  const TensorBatch batch = small_batch();
  EXPECT_TRUE(torch::equal(small_model(1)->score(batch), small_model(1)->score(batch)));
  EXPECT_FALSE(torch::equal(small_model(1)->score(batch), small_model(2)->score(batch)));
}

TEST(TwoTower, RefusesWeightsThatDoNotFit) {
  auto model = small_model();
  const auto refused = [&](auto change, const char* name) {
    auto weights = named_weights(*model);
    change(weights);
    try {
      load_weights(*model, weights);
      FAIL() << name;
    } catch (const DataError& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr(name));
    }
  };
  refused([](auto& w) { w.erase("item.tags.weight"); }, "item.tags.weight");
  refused([](auto& w) { w["more"] = torch::zeros({1}); }, "more");
  refused([](auto& w) { w["user.layer0.bias"] = torch::zeros({3}); }, "user.layer0.bias");
}

TEST(TwoTower, NeedsAFeatureOnEachSide) {
  EXPECT_THROW(small_model(1, with("exclude", {"item_id", "tags", "clicks_1h"})), ConfigError);
}

}  // namespace
}  // namespace retort
