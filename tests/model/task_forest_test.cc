#include "retort/model/task_forest.h"

#include <array>
#include <cmath>

#include "small_world.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/loss/bce.h"
#include "retort/model/ctcvr.h"
#include "retort/model/models.h"
#include "retort/model/task_logits.h"
#include "retort/nn/optimizer.h"

namespace retort {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

const Json kForest = Json::parse(R"({
  "share": {"parent": "read"}, "follow": {"parent": "share", "weight": 0.5},
  "read": {"parent": "click"}, "click": {}, "dismiss": {"label": "hidden", "parent": "shown"}})");

std::string error_of(const char* tasks) {
  try {
    TaskForest::read(Json::parse(tasks));
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

TEST(TaskForest, WithoutATableIsThePapersTwoTasks) {
  const TaskForest forest = TaskForest::read(Json());
  EXPECT_FALSE(forest.declared);
  EXPECT_THAT(forest.names(), ElementsAre("click", "read"));
  EXPECT_EQ(forest.tasks[1].parent, 0);
  EXPECT_EQ(forest.tasks[0].weight + forest.tasks[1].weight, 0);
}

TEST(TaskForest, OrdersParentsBeforeChildren) {
  const TaskForest forest = TaskForest::read(kForest);
  ASSERT_EQ(forest.tasks.size(), 5U);
  for (size_t i = 0; i < 5; ++i) EXPECT_LT(forest.tasks[i].parent, static_cast<int>(i));
  const Task& follow = forest.tasks[static_cast<size_t>(forest.find("follow"))];
  EXPECT_EQ(follow.parent, forest.find("share"));
  EXPECT_EQ(follow.weight, 0.5);
  EXPECT_EQ(follow.label, "follow");
  EXPECT_EQ(forest.root_of(forest.find("follow")).name, "click");
  EXPECT_EQ(forest.root_of(forest.find("dismiss")).label, "hidden");
  EXPECT_EQ(forest.find("shown"), -1);
}

TEST(TaskForest, NamesTheKeyThatIsWrong) {
  EXPECT_THAT(error_of(R"({"click": {}, "read": {"parent": "clik"}})"),
              AllOf(HasSubstr("tasks.read.parent"), HasSubstr("did you mean 'click'")));
  EXPECT_THAT(error_of(R"({"click": {"parent": "share"}, "read": {"parent": "click"},
                           "share": {"parent": "read"}})"),
              AllOf(HasSubstr("'tasks'"), HasSubstr("click -> share -> read -> click"),
                    HasSubstr("cycle")));
  EXPECT_THAT(error_of(R"({"a": {}, "b": {"parent": "b"}})"), HasSubstr("b -> b is a cycle"));
  EXPECT_THAT(error_of(R"({"share": {"weight": -1}})"),
              AllOf(HasSubstr("tasks.share.weight"), HasSubstr("-1")));
  EXPECT_THAT(error_of(R"({"share": {"wait": 1}})"),
              AllOf(HasSubstr("tasks.share.wait"), HasSubstr("weight")));
  EXPECT_THAT(error_of(R"({"Share it": {}})"), HasSubstr("tasks.Share it"));
  EXPECT_THAT(error_of(R"({"shown": {}})"), HasSubstr("tasks.shown"));
  EXPECT_THAT(error_of(R"({"click": {"label": "share"}})"), HasSubstr("tasks.click.label"));
  EXPECT_THAT(error_of(R"([1])"), HasSubstr("[tasks.click]"));
}

TEST(TaskForest, LabelsHoldWhereAllAncestorsDo) {
  const double nan = std::nan("");
  const auto row = [](std::vector<double> values) { return torch::tensor(values); };
  const std::map<std::string, torch::Tensor> labels{{"click", row({0, 1, 1, 1, 1})},
                                                    {"read", row({0, 0, 1, 1, 1})},
                                                    {"share", row({1, 1, nan, 1, 0})},
                                                    {"follow", row({1, nan, 1, 1, nan})},
                                                    {"hidden", row({1, 0, nan, 0, 0})}};
  const TaskForest forest = TaskForest::read(kForest);
  const auto found = task_labels(forest, labels);
  const auto expect = [&](const char* task, std::vector<double> values) {
    EXPECT_TRUE(torch::allclose(found[static_cast<size_t>(forest.find(task))], row(values), 0, 0,
                                /*equal_nan=*/true))
        << task;
  };
  expect("read", {0, 0, 1, 1, 1});
  expect("share", {0, 0, nan, 1, 0});
  expect("follow", {0, 0, nan, 1, 0});
  expect("dismiss", {1, 0, nan, 0, 0});
}

TEST(TaskForest, LogitsAreThoseOfTheProductsOfProbabilities) {
  const TaskForest forest = TaskForest::read(kForest);
  torch::manual_seed(2);
  std::vector<torch::Tensor> heads;
  for (int i = 0; i < 5; ++i) heads.push_back(torch::randn({7}, torch::kFloat64));
  const auto logits = forest_logits(forest, heads);
  const auto p = [&](const char* name) { return torch::sigmoid(logits.at(name)); };
  const auto head = [&](const char* name) {
    return torch::sigmoid(heads[static_cast<size_t>(forest.find(name))]);
  };
  const torch::Tensor share = head("click") * head("read") * head("share");
  EXPECT_TRUE(torch::allclose(p("share"), share, 1e-12));
  EXPECT_TRUE(torch::allclose(p("follow"), share * head("follow"), 1e-12));
  EXPECT_TRUE(torch::equal(p("dismiss"), head("dismiss")));
  EXPECT_TRUE(torch::equal(p("follow_given_share"), head("follow")));
  EXPECT_EQ(logits.size(), output_names(forest).size());
  for (const std::string& name : output_names(forest)) EXPECT_TRUE(logits.contains(name)) << name;
}

TEST(TaskForest, LongChainsStayFiniteInFloat) {
  const TaskForest forest = TaskForest::read(kForest);
  for (const float extreme : {-80.F, 80.F}) {
    std::vector<torch::Tensor> heads;
    for (int i = 0; i < 5; ++i) heads.push_back(torch::full({1}, extreme).set_requires_grad(true));
    const torch::Tensor follow = forest_logits(forest, heads).at("follow");
    EXPECT_TRUE(std::isfinite(follow.item<float>()));
    follow.backward();
    for (const char* task : {"click", "read", "share", "follow"}) {
      const float slope = heads[static_cast<size_t>(forest.find(task))].grad().item<float>();
      EXPECT_GE(slope, 0);
      EXPECT_LE(slope, 1);
    }
  }
}

Json teacher_of(const Json& tasks) {
  return {{"embedding", 3},
          {"experts", 2},
          {"expert_layers", {5, 4}},
          {"tower_layers", {3}},
          {"tasks", tasks}};
}

TEST(Mmoe, HasAHeadATaskOfTheForest) {
  auto model = make_ranking_model(small_schema(), teacher_of(kForest), Rng(1, "init"));
  EXPECT_THAT(model->outputs(),
              UnorderedElementsAre("click", "read", "share", "follow", "dismiss",
                                   "read_given_click", "share_given_read", "follow_given_share"));
  const auto weights = named_weights(*model);
  for (const char* task : {"click", "read", "share", "follow", "dismiss"}) {
    EXPECT_TRUE(weights.contains(std::string("teacher.gate_") + task + ".weight"));
    EXPECT_TRUE(weights.contains(std::string("teacher.tower_") + task + ".layer1.weight"));
  }
  const TaskLogits logits = model->score(small_batch());
  EXPECT_TRUE((logits.at("follow") <= logits.at("share")).all().item<bool>());
  EXPECT_TRUE((logits.at("share") <= logits.at("read")).all().item<bool>());
}

// The same weights by name, whatever else the forest holds: a task alone starts where it does
// together with others.
TEST(Mmoe, TasksStartFromWeightsOfTheirOwn) {
  auto paper = make_ranking_model(small_schema(), teacher_of(Json()), Rng(1, "init"));
  auto declared = make_ranking_model(
      small_schema(), teacher_of({{"click", Json::object()}, {"read", {{"parent", "click"}}}}),
      Rng(1, "init"));
  auto forest = make_ranking_model(small_schema(), teacher_of(kForest), Rng(1, "init"));
  const TensorBatch batch = small_batch();
  for (const char* task : {"click", "read", "read_given_click"}) {
    EXPECT_TRUE(torch::equal(paper->score(batch).at(task), declared->score(batch).at(task)));
    EXPECT_TRUE(
        torch::allclose(paper->score(batch).at(task), forest->score(batch).at(task), 1e-6, 1e-7));
  }
}

TEST(Mmoe, OverfitsAForest) {
  Json table = teacher_of(kForest);
  table["expert_layers"] = {32, 16};
  table["tower_layers"] = {8};
  auto model = make_ranking_model(small_schema(), table, Rng(1, "init"));
  OptimizerOptions options;
  options.learning_rate = 0.02;
  Optimizer optimizer(options, *model);
  const TensorBatch batch = small_batch();
  const std::map<std::string, torch::Tensor> labels{
      {"click", torch::tensor({1.F, 0.F, 1.F, 1.F, 1.F, 0.F})},
      {"read", torch::tensor({1.F, 0.F, 0.F, 1.F, 1.F, 0.F})},
      {"share", torch::tensor({1.F, 0.F, 0.F, 0.F, 1.F, 0.F})},
      {"follow", torch::tensor({0.F, 0.F, 0.F, 0.F, 1.F, 0.F})},
      {"hidden", torch::tensor({0.F, 1.F, 0.F, 1.F, 0.F, 0.F})}};
  const TaskForest forest = TaskForest::read(kForest);
  const auto wanted = task_labels(forest, labels);
  double loss = 0;
  for (int step = 0; step < 500; ++step) {
    const TaskLogits logits = model->score(batch);
    torch::Tensor sum = torch::zeros({});
    for (size_t i = 0; i < wanted.size(); ++i)
      sum = sum + bce_with_logits(logits.at(forest.tasks[i].name), wanted[i]);
    sum.backward();
    optimizer.step();
    loss = sum.item<double>();
  }
  EXPECT_LT(loss, 0.1);
}

TEST(Seconds, TheCappedMeanHasTheGoldenValue) {
  const auto mean = [](double m, double s, double cap) {
    return cap * std::exp(log_capped_share(torch::tensor({m}, torch::kFloat64),
                                           torch::tensor({std::log(s)}, torch::kFloat64), cap)
                              .item<double>());
  };
  EXPECT_NEAR(mean(std::log(50.0), 1, 1800), 82.338, 1e-3);  // methods E2
  // Against the integral of min(exp(x), c) over the normal law of x.
  for (const auto& [m, s, cap] : {std::array{2., .5, 30.}, {6., 1.2, 100.}, {1., 2., 1800.}}) {
    double sum = 0;
    for (int i = -8000; i < 8000; ++i) {
      const double z = (i + .5) / 1000;
      sum += std::min(std::exp(m + s * z), cap) * std::exp(-z * z / 2);
    }
    EXPECT_NEAR(mean(m, s, cap) / (sum / 1000 / std::sqrt(2 * M_PI)), 1, 1e-5);
  }
  EXPECT_NEAR(mean(40, 1, 1800), 1800, 1e-6);  // nothing overflows
  EXPECT_GT(mean(-60, 1, 1800), 0);
}

TEST(Seconds, AreTwoHeadsMoreAndTheValueOfAnImpression) {
  for (const char* kind : {"mmoe", "cgc", "shared_bottom"}) {
    Json table = teacher_of(Json());
    table["kind"] = kind;
    auto without = make_ranking_model(small_schema(), table, Rng(1, "init"));
    table["seconds_cap"] = 600;
    auto model = make_ranking_model(small_schema(), table, Rng(1, "init"));
    EXPECT_THAT(model->outputs(), UnorderedElementsAre("click", "read", "read_given_click",
                                                       "seconds", "seconds_deviation", "value"));
    const TensorBatch batch = small_batch();
    const TaskLogits logits = model->score(batch);
    EXPECT_TRUE(torch::allclose(without->score(batch).at("read"), logits.at("read"), 1e-6, 1e-7));
    const torch::Tensor expected =
        torch::sigmoid(logits.at("click")) *
        log_capped_share(logits.at("seconds"), logits.at("seconds_deviation"), 600).exp();
    EXPECT_TRUE(torch::allclose(torch::sigmoid(logits.at("value")), expected, 1e-5)) << kind;
    EXPECT_FALSE(logits.at("value").requires_grad());
    EXPECT_TRUE(logits.at("seconds").requires_grad());
  }
  Json table = teacher_of(Json());
  table["seconds_cap"] = 0;
  EXPECT_THROW(make_ranking_model(small_schema(), table, Rng(1, "init")), ConfigError);
  table = teacher_of({{"read", Json::object()}});
  table["seconds_cap"] = 600;
  EXPECT_THROW(make_ranking_model(small_schema(), table, Rng(1, "init")), ConfigError);
}

TEST(Teachers, OnlyMmoeTakesAForest) {
  Json single = teacher_of(kForest);
  single["kind"] = "single";
  EXPECT_THROW(make_ranking_model(small_schema(), single, Rng(1, "init")), ConfigError);
}

TEST(TeacherTable, HoldsTheRecipesTasks) {
  EXPECT_TRUE(teacher_table(Json::object()).is_null());
  EXPECT_FALSE(teacher_table({{"teacher", {{"kind", "mmoe"}}}}).contains("tasks"));
  EXPECT_EQ(teacher_table({{"teacher", {{"kind", "mmoe"}}}, {"tasks", kForest}}).at("tasks"),
            kForest);
}

}  // namespace
}  // namespace retort
