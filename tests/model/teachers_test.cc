#include "small_world.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/file.h"
#include "retort/loss/bce.h"
#include "retort/model/cgc.h"
#include "retort/model/mmoe.h"
#include "retort/model/single.h"
#include "retort/nn/optimizer.h"

namespace retort {
namespace {

const Json kSmallTeacher =
    Json::parse(R"({"embedding": 3, "experts": 2, "expert_layers": [5, 4], "tower_layers": [3]})");

/// A number, a list or a list of lists of the golden file as a tensor.
torch::Tensor tensor_of(const Json& json) {
  if (!json.at(0).is_array())
    return torch::tensor(json.get<std::vector<double>>(), torch::kFloat64);
  std::vector<torch::Tensor> rows;
  for (const Json& row : json) rows.push_back(tensor_of(row));
  return torch::stack(rows);
}

std::vector<float> flat(const Json& json) {
  const torch::Tensor values = tensor_of(json).to(torch::kFloat32).flatten();
  return {values.data_ptr<float>(), values.data_ptr<float>() + values.numel()};
}

TensorBatch golden_batch(const Json& golden) {
  using Lists = std::vector<std::vector<int32_t>>;
  const auto ids = [&](const char* name) { return golden["ids"][name].get<Lists>(); };
  Batch batch;
  batch.user_of_row = golden["user_of_row"].get<std::vector<int32_t>>();
  const auto rows = static_cast<int64_t>(batch.user_of_row.size());
  batch.users = side_batch({ids("user_id"), ids("history")}, flat(golden["dense"]["user"]), 2);
  batch.items = side_batch({ids("item_id"), ids("tags")}, flat(golden["dense"]["item"]), rows);
  batch.pairs = side_batch({}, flat(golden["dense"]["pair"]), rows);
  batch.item.resize(rows);
  batch.click = flat(golden["click"]);
  batch.read = flat(golden["read"]);
  batch.seconds.resize(rows);
  TensorBatch tensors = to_tensors(batch, kSmallWidths, torch::kCPU);
  tensors.users.dense = tensor_of(golden["dense"]["user"]);
  tensors.items.dense = tensor_of(golden["dense"]["item"]);
  tensors.pairs.dense = tensor_of(golden["dense"]["pair"]);
  return tensors;
}

/// The gradient of every tensor by name, tables' made dense.
std::map<std::string, torch::Tensor> gradients_of(torch::nn::Module& model) {
  std::map<std::string, torch::Tensor> gradients;
  for (const auto& item : model.named_parameters()) gradients[item.key()] = item.value().grad();
  for (auto& [name, table] : embedding_tables(model)) {
    torch::Tensor sum = torch::zeros_like(table->weight);
    for (const auto& touched : table->pending) sum.index_add_(0, touched.ids, touched.grads);
    gradients[name + ".weight"] = sum;
  }
  return gradients;
}

/// `model` as the golden file has one: its logits, losses and gradients.
void expect_golden(RankingModel& model, const Json& golden) {
  model.to(torch::kFloat64);
  std::map<std::string, torch::Tensor> weights;
  for (const auto& [name, values] : golden["weights"].items()) weights[name] = tensor_of(values);
  load_weights(model, weights);
  const TensorBatch batch = golden_batch(golden);
  const TaskLogits logits = model.score(batch);
  const auto near = [](const torch::Tensor& left, const torch::Tensor& right) {
    return torch::allclose(left, right, 1e-10, 1e-12);
  };
  EXPECT_TRUE(near(logits.at("click"), tensor_of(golden["logit_click"])));
  EXPECT_TRUE(near(logits.at("read_given_click"), tensor_of(golden["logit_read_given_click"])));
  EXPECT_TRUE(near(torch::sigmoid(logits.at("read")), tensor_of(golden["p_read"])));
  const torch::Tensor read_loss = bce_with_logits(logits.at("read"), batch.read);
  const torch::Tensor click_loss = bce_with_logits(logits.at("click"), batch.click);
  EXPECT_NEAR(read_loss.item<double>(), golden["loss_read"].get<double>(), 1e-10);
  EXPECT_NEAR(click_loss.item<double>(), golden["loss_click"].get<double>(), 1e-10);
  (read_loss + click_loss).backward();
  const auto gradients = gradients_of(model);
  ASSERT_EQ(gradients.size(), golden["gradients"].size());
  for (const auto& [name, values] : golden["gradients"].items())
    // 1e-8: the mean's 1 / count of a bag is kept in float32.
    EXPECT_TRUE(torch::allclose(gradients.at(name), tensor_of(values), 1e-6, 1e-8)) << name;
}

TEST(Mmoe, EqualsAnIndependentImplementationInLogitsAndGradients) {
  Mmoe model(small_schema(), TeacherOptions::read(kSmallTeacher));
  expect_golden(model, Json::parse(read_file(RETORT_TESTS "/model/golden/mmoe.json")));
}

TEST(Cgc, OfOneLevelAndOfThreeEqualsAnIndependentImplementation) {
  const Json golden = Json::parse(read_file(RETORT_TESTS "/model/golden/cgc.json"));
  Json table = kSmallTeacher;
  table.update({{"task_experts", 1}, {"levels", 3}});
  for (const char* kind : {"cgc", "ple"}) {
    SCOPED_TRACE(kind);
    table["kind"] = kind;
    Cgc model(small_schema(), TeacherOptions::read(table));
    expect_golden(model, golden[kind]);
  }
}

TEST(Cgc, IsAsLargeAsItsSourceSaysByDefault) {
  const auto model = make_ranking_model(small_schema(), {{"kind", "cgc"}}, Rng(1, "init"));
  const auto weights = named_weights(*model);
  for (const char* owner : {"shared", "task_click", "task_read"})
    for (const char* expert : {"0", "1"})
      EXPECT_EQ(
          weights.at(std::string("teacher.level0.") + owner + ".expert" + expert + ".layer1.weight")
              .sizes(),
          (std::vector<int64_t>{256, 512}));
  EXPECT_EQ(weights.at("teacher.level0.task_read.gate.weight").size(0), 4);
  EXPECT_FALSE(weights.contains("teacher.level0.shared.gate.weight"));
  EXPECT_FALSE(weights.contains("teacher.level1.shared.expert0.layer0.weight"));
  EXPECT_EQ(weights.at("teacher.tower_click.layer0.weight").sizes(),
            (std::vector<int64_t>{128, 256}));
  ASSERT_EQ(model->common_weights().size(), 2U);
  EXPECT_TRUE(model->common_weights()[1].is_same(
      model->named_parameters()["teacher.level0.shared.expert1.layer1.weight"]));
}

/// Three tasks, two of them in one tree.
const Json kThreeTasks =
    Json::parse(R"({"click": {}, "read": {"parent": "click"}, "dismiss": {}})");

TEST(Teachers, HaveAHeadForEveryTaskOfAForest) {
  for (const char* kind : {"mmoe", "cgc", "ple", "shared_bottom"}) {
    SCOPED_TRACE(kind);
    Json table = kSmallTeacher;
    table.update({{"kind", kind}, {"tasks", kThreeTasks}});
    const auto model = make_ranking_model(small_schema(), table, Rng(1, "init"));
    EXPECT_THAT(model->outputs(),
                testing::UnorderedElementsAre("click", "read", "dismiss", "read_given_click"));
    const TaskLogits logits = model->score(small_batch());
    EXPECT_EQ(logits.size(), 4U);
    EXPECT_TRUE(
        (logits.at("read") <= torch::minimum(logits.at("click"), logits.at("read_given_click")))
            .all()
            .item<bool>());
  }
}

TEST(Teachers, CommonWeightsAreSeenByEveryTask) {
  for (const char* kind : {"mmoe", "cgc", "ple", "shared_bottom"}) {
    Json table = kSmallTeacher;
    table.update({{"kind", kind}, {"tasks", kThreeTasks}});
    const auto model = make_ranking_model(small_schema(), table, Rng(1, "init"));
    const TaskLogits logits = model->score(small_batch());
    for (const char* task : {"click", "read", "dismiss"}) {
      const auto gradients =
          torch::autograd::grad({logits.at(task).sum()}, model->common_weights(), {}, true);
      double size = 0;
      for (const torch::Tensor& gradient : gradients) size += gradient.abs().sum().item<double>();
      EXPECT_GT(size, 0) << kind << ' ' << task;
    }
  }
}

TEST(Mmoe, ReadIsNeverLikelierThanClickOrReadGivenClick) {
  auto model = make_ranking_model(small_schema(), kSmallTeacher, Rng(1, "init"));
  const TaskLogits logits = model->score(small_batch());
  EXPECT_EQ(logits.at("read").sizes(), (std::vector<int64_t>{6}));
  EXPECT_TRUE(
      (logits.at("read") <= torch::minimum(logits.at("click"), logits.at("read_given_click")))
          .all()
          .item<bool>());
}

TEST(Mmoe, EveryNameBeginsWithTeacherAndGatesHaveNoBias) {
  auto model = make_ranking_model(small_schema(), kSmallTeacher, Rng(1, "init"));
  const auto weights = named_weights(*model);
  for (const auto& [name, tensor] : weights) EXPECT_TRUE(name.starts_with("teacher.")) << name;
  EXPECT_TRUE(weights.contains("teacher.gate_click.weight"));
  EXPECT_FALSE(weights.contains("teacher.gate_click.bias"));
  EXPECT_EQ(weights.at("teacher.expert1.layer0.weight").size(1), 4 * 3 + 1 + 2 + 1);
  EXPECT_EQ(weights.at("teacher.tower_read.layer1.weight").sizes(), (std::vector<int64_t>{1, 3}));
}

TEST(Single, HasOneHeadAndPaperSizesByDefault) {
  auto model = make_ranking_model(small_schema(), {{"kind", "single"}}, Rng(1, "init"));
  const TaskLogits logits = model->score(small_batch());
  EXPECT_EQ(logits.size(), 1U);
  EXPECT_EQ(logits.at("read").sizes(), (std::vector<int64_t>{6}));
  const auto weights = named_weights(*model);
  EXPECT_EQ(weights.at("teacher.expert0.layer0.weight").size(0), 1024);
  EXPECT_EQ(weights.at("teacher.expert0.layer2.weight").sizes(), (std::vector<int64_t>{256, 512}));
  EXPECT_EQ(weights.at("teacher.tower_read.layer2.weight").sizes(), (std::vector<int64_t>{1, 256}));
}

TEST(Teachers, OverfitOneBatch) {
  for (const char* kind : {"mmoe", "single", "cgc", "ple", "shared_bottom"}) {
    Json table = kSmallTeacher;
    table["kind"] = kind;
    auto model = make_ranking_model(small_schema(), table, Rng(1, "init"));
    OptimizerOptions options;
    options.learning_rate = 0.02;
    Optimizer optimizer(options, *model);
    const TensorBatch batch = small_batch();
    double loss = 0;
    for (int step = 0; step < 500; ++step) {
      const TaskLogits logits = model->score(batch);
      torch::Tensor value = bce_with_logits(logits.at("read"), batch.read);
      if (logits.contains("click"))
        value = value + bce_with_logits(logits.at("click"), batch.click);
      value.backward();
      optimizer.step();
      loss = value.item<double>();
    }
    EXPECT_LT(loss, 0.03) << kind;
  }
}

TEST(Teachers, AreSavedAndLoadedWithEqualScores) {
  for (const char* kind : {"mmoe", "single", "cgc", "ple", "shared_bottom"}) {
    Json table = kSmallTeacher;
    table["kind"] = kind;
    auto model = make_ranking_model(small_schema(), table, Rng(1, "init"));
    auto other = make_ranking_model(small_schema(), table, Rng(2, "init"));
    const TensorBatch batch = small_batch();
    EXPECT_FALSE(torch::equal(model->score(batch).at("read"), other->score(batch).at("read")));
    std::map<std::string, torch::Tensor> saved;
    for (const auto& [name, tensor] : named_weights(*model)) saved[name] = tensor.clone();
    load_weights(*other, saved);
    EXPECT_TRUE(torch::equal(model->score(batch).at("read"), other->score(batch).at("read")));
  }
}

}  // namespace
}  // namespace retort
