// Oracle of the three-tower student: PyTorch, tests/encoder/golden/make_three_tower.py.
#include "retort/model/three_tower.h"

#include "small_world.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/bundle/model_weights.h"
#include "retort/bundle/safetensors.h"
#include "retort/common/error.h"
#include "retort/common/file.h"
#include "retort/loss/bce.h"
#include "retort/loss/distillation.h"
#include "retort/nn/mixed_precision.h"
#include "retort/nn/optimizer.h"

namespace retort {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

const fs::path kGoldenModels = RETORT_TESTS "/encoder/golden";

SideTensors side_of(const Json& rows, const Json& dense) {
  std::vector<std::vector<std::vector<int32_t>>> columns(rows[0].size());
  std::vector<float> values;
  for (const Json& row : rows)
    for (size_t i = 0; i < row.size(); ++i)
      columns[i].push_back(row[i].get<std::vector<int32_t>>());
  for (const Json& row : dense)
    for (const float value : row) values.push_back(value);
  return to_tensors(side_batch(columns, values, std::ssize(rows)),
                    static_cast<int32_t>(dense[0].size()), torch::kCPU);
}

Json small_student(const char* towers = "2u1i") {
  return {{"kind", "three_tower"}, {"embedding", 3},     {"user_layers", {8, 4}},
          {"item_layers", {6, 4}}, {"gate_layers", {5}}, {"towers", towers}};
}

class ThreeTowers : public testing::TestWithParam<const char*> {
 protected:
  std::shared_ptr<CandidateModel> make(uint64_t seed = 1) const {
    return make_candidate_model(small_schema(), small_student(GetParam()), Rng(seed, "init"));
  }
};

TEST_P(ThreeTowers, EqualPyTorchInScoresOfTasksAndServed) {
  const Json golden = Json::parse(read_file(kGoldenModels / "three_tower.json"));
  const Json& expected = golden[GetParam()];
  ThreeTower model(model_spec_from_json(expected["spec"]));
  const SafetensorsFile file(kGoldenModels /
                             (std::string("three_tower_") + GetParam() + ".safetensors"));
  std::map<std::string, torch::Tensor> weights;
  for (const auto& [name, view] : file.tensors())
    weights[name] = torch::from_blob(const_cast<std::byte*>(view.bytes.data()), view.shape);
  load_weights(model, weights);
  const torch::NoGradGuard no_grad;
  const SideTensors users = side_of(golden["users"], golden["user_dense"]);
  const torch::Tensor items = model.encode_items(side_of(golden["items"], golden["item_dense"]));
  const torch::Tensor gate = model.preference(users);
  const std::vector<torch::Tensor> tasks = model.encode_user_tasks(users);
  const torch::Tensor served = model.encode_users(users);
  const auto score = [&](const torch::Tensor& vectors, const Json& pair) {
    return (vectors[pair[0].get<int64_t>()] * items[pair[1].get<int64_t>()]).sum().item<double>();
  };
  for (size_t i = 0; i < golden["pairs"].size(); ++i) {
    const Json& pair = golden["pairs"][i];
    EXPECT_NEAR(score(tasks[0], pair), expected["click"][i].get<double>(), 1e-5);
    EXPECT_NEAR(score(tasks[1], pair), expected["read"][i].get<double>(), 1e-5);
    EXPECT_NEAR(score(served, pair), expected["served"][i].get<double>(), 1e-5);
  }
  for (int64_t user = 0; user < users.rows; ++user)
    EXPECT_NEAR(gate[user][0].item<double>(), expected["gate"][user][0].get<double>(), 1e-6);
}

TEST_P(ThreeTowers, AreRebuiltFromTheirSpecAndHaveTheWeightsThatItNames) {
  const auto model = make();
  const ModelSpec spec = model_spec_from_json(to_json(model->spec()));
  const auto again = make_candidate_model(spec);
  load_weights(*again, named_weights(*model));
  const torch::NoGradGuard no_grad;
  EXPECT_TRUE(torch::equal(model->score(small_batch()), again->score(small_batch())));
  const auto weights = named_weights(*model);
  for (const TowerSpec* tower : {&spec.user, &spec.item})
    for (const WeightShape& weight : layer_weights(*tower))
      EXPECT_EQ(weights.at(weight.name).sizes(), weight.shape) << weight.name;
}

TEST_P(ThreeTowers, OverfitLabelsOfTheirTasksAndTheServedScore) {
  const auto model = make();
  OptimizerOptions options;
  options.learning_rate = 0.02;
  Optimizer optimizer(options, *model);
  const TensorBatch batch = small_batch();
  double loss = 0;
  for (int step = 0; step < 300; ++step) {
    batch.users.memo->clear();
    const torch::Tensor items = model->encode_items(batch.items);
    const auto score = [&](const torch::Tensor& users) {
      return (expand_rows(users, batch.user_of_row) * items).sum(1);
    };
    const auto tasks = model->encode_user_tasks(batch.users);
    const torch::Tensor value =
        bce_with_logits(score(tasks[0]), batch.click) +
        bce_with_logits(score(tasks[1]), batch.read) +
        bce_with_logits(score(model->encode_users(batch.users)), batch.read);
    value.backward();
    optimizer.step();
    loss = value.item<double>();
  }
  EXPECT_LT(loss, 0.05);
}

TEST_P(ThreeTowers, InBf16AreNearTheirFp32Scores) {
  const auto model = make();
  const torch::Tensor exact = model->score(small_batch()).detach();
  const MixedPrecision guard(true);
  const torch::Tensor near = model->score(small_batch());
  near.sum().backward();
  EXPECT_TRUE(torch::allclose(near.detach(), exact, 0.05, 0.05));
  for (const auto& item : model->named_parameters())
    EXPECT_TRUE(item.value().grad().defined()) << item.key();
}

INSTANTIATE_TEST_SUITE_P(Readings, ThreeTowers, testing::Values("2u1i", "1u2i"));

TEST(ThreeTower, TheGateLearnsFromTheServedScoreAlone) {
  const auto model = make_candidate_model(small_schema(), small_student(), Rng(1, "init"));
  const TensorBatch batch = small_batch();
  const torch::Tensor items = model->encode_items(batch.items);
  const auto gate = model->named_parameters()["user.gate.layer0.weight"];
  for (const torch::Tensor& task : model->encode_user_tasks(batch.users))
    (expand_rows(task, batch.user_of_row) * items).sum().backward({}, /*retain_graph=*/true);
  EXPECT_TRUE(!gate.grad().defined() || gate.grad().abs().sum().item<double>() == 0);
  (expand_rows(model->encode_users(batch.users), batch.user_of_row) * items).sum().backward();
  EXPECT_GT(gate.grad().abs().sum().item<double>(), 0);
}

TEST(ThreeTower, WithEqualSharesHasNoGateToLearn) {
  Json table = small_student();
  table["gate"] = "equal";
  const auto model = make_candidate_model(small_schema(), table, Rng(1, "init"));
  EXPECT_FALSE(named_weights(*model).contains("user.gate.layer0.weight"));
  const torch::NoGradGuard no_grad;
  const SideTensors users = small_batch().users;
  const auto tasks = model->encode_user_tasks(users);
  EXPECT_TRUE(torch::allclose(model->encode_users(users), (tasks[0] + tasks[1]) / 2));
}

TEST(ThreeTower, MayHaveMoreTasks) {
  for (const char* towers : {"2u1i", "1u2i"}) {
    Json table = small_student(towers);
    table["tasks"] = {"click", "read", "share"};
    const auto model = make_candidate_model(small_schema(), table, Rng(1, "init"));
    const torch::NoGradGuard no_grad;
    const TensorBatch batch = small_batch();
    const auto tasks = model->encode_user_tasks(batch.users);
    const torch::Tensor gate = dynamic_cast<ThreeTower&>(*model).preference(batch.users);
    ASSERT_EQ(tasks.size(), 3U);
    const torch::Tensor items = model->encode_items(batch.items);
    torch::Tensor unfused = torch::zeros(6);
    for (int64_t t = 0; t < 3; ++t)
      unfused +=
          (expand_rows(gate.narrow(1, t, 1) * tasks[static_cast<size_t>(t)], batch.user_of_row) *
           items)
              .sum(1);
    EXPECT_TRUE(torch::allclose(model->score(batch), unfused, 1e-5, 1e-6));
  }
}

TEST(ThreeTower, AnswersWrongKeysAndValuesWithTheirName) {
  const auto error = [](const char* key, const Json& value) {
    Json table = small_student();
    table[key] = value;
    try {
      make_candidate_model(small_schema(), table, Rng());
    } catch (const ConfigError& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_THAT(error("towers", "3u"), HasSubstr("student.towers"));
  EXPECT_THAT(error("gate", "hard"), HasSubstr("student.gate"));
  EXPECT_THAT(error("tasks", {"click"}), HasSubstr("student.tasks"));
  EXPECT_THAT(error("tasks", {"click", "click"}), HasSubstr("student.tasks"));
  EXPECT_THAT(error("item_layers", {6, 5}), HasSubstr("same size"));
  EXPECT_THAT(error("gate_layer", {6}), HasSubstr("did you mean 'gate_layers'"));
  const auto model = make_candidate_model(small_schema(), small_student(), Rng());
  EXPECT_THAT([&] { model->set_fusion(0.5); }, ThrowsMessage<ConfigError>(HasSubstr("own gate")));
}

}  // namespace
}  // namespace retort
