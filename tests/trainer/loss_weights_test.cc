#include "retort/trainer/loss_weights.h"

#include <cmath>

#include "tests/model/small_world.h"
#include "tests/support/scratch_folder.h"
#include "tests/trainer/learnable_data.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/common/file.h"
#include "retort/common/thread_pool.h"
#include "retort/loss/bce.h"
#include "retort/model/models.h"
#include "retort/trainer/run_folder.h"
#include "retort/trainer/train.h"

namespace retort {
namespace {

using testing::AllOf;
using testing::DoubleNear;
using testing::ElementsAre;
using testing::HasSubstr;

LossWeightOptions options_of(const Json& table) {
  return LossWeightOptions::read({{"loss_weights", table}});
}

std::unique_ptr<WeightRule> rule_of(const Json& table, size_t losses) {
  const LossWeightOptions options = options_of(table);
  return weight_rule_entry(options.kind).make(losses, options);
}

// Oracle: PyTorch, tests/trainer/golden/make_gradnorm.py.
TEST(GradNorm, FollowsPyTorchOnQuadraticLosses) {
  const Json golden = Json::parse(read_file(RETORT_TESTS "/trainer/golden/gradnorm.json"));
  const auto rule = rule_of({{"kind", "gradnorm"},
                             {"alpha", golden["alpha"]},
                             {"learning_rate", golden["rate"]},
                             {"every", golden["every"]}},
                            3);
  const auto list = [](const Json& json) {
    return torch::tensor(json.get<std::vector<double>>(), torch::kFloat64);
  };
  torch::Tensor weight = list(golden["start"]).set_requires_grad(true);
  int looks = 0;
  for (const Json& after : golden["path"]) {
    const std::vector<double> w = rule->weights();
    std::vector<double> losses, norms(3, 0.0);
    torch::Tensor total = torch::zeros({}, torch::kFloat64);
    for (size_t k = 0; k < 3; ++k) {
      const torch::Tensor loss = golden["scale"][k].get<double>() / 2 *
                                     (weight - list(golden["centre"][k])).square().sum() +
                                 golden["floor"][k].get<double>();
      losses.push_back(loss.item<double>());
      if (rule->wants_norms()) norms[k] = gradient_norm(loss, {weight});
      total = total + w[k] * loss;
    }
    looks += rule->wants_norms() ? 1 : 0;
    const torch::Tensor direction = torch::autograd::grad({total}, {weight})[0];
    rule->update(losses, norms);
    weight = (weight.detach() - golden["step"].get<double>() * direction).set_requires_grad(true);
    for (size_t k = 0; k < 3; ++k)
      ASSERT_NEAR(rule->weights()[k], after["w"][k].get<double>(), 1e-10);
    ASSERT_TRUE(torch::allclose(weight.detach(), list(after["W"]), 0, 1e-10));
  }
  EXPECT_EQ(looks, 20);
}

TEST(GradNorm, BringsGradientsToEqualSizeWhereLossesFallAlike) {
  const auto rule = rule_of({{"kind", "gradnorm"}, {"every", 1}, {"learning_rate", 0.01}}, 2);
  for (int step = 0; step < 2000; ++step)
    rule->update(std::vector<double>{1.0, 5.0}, std::vector<double>{3.0, 1.0});
  // w_1 3 = w_2 1 and w_1 + w_2 = 2.
  EXPECT_THAT(rule->weights(), ElementsAre(DoubleNear(0.5, 0.02), DoubleNear(1.5, 0.02)));
}

TEST(GradNorm, GivesMoreToALossThatFallsMoreSlowly) {
  const auto weights_at = [](double alpha) {
    const auto rule =
        rule_of({{"kind", "gradnorm"}, {"every", 1}, {"learning_rate", 0.01}, {"alpha", alpha}}, 2);
    rule->update(std::vector<double>{1.0, 1.0}, std::vector<double>{1.0, 1.0});
    for (int step = 0; step < 2000; ++step)
      rule->update(std::vector<double>{0.9, 0.3}, std::vector<double>{1.0, 1.0});
    return rule->weights();
  };
  // Ratios over their mean are 1.5 and 0.5; mean(G) = 1: w = r^alpha, brought to the sum 2.
  const double slow = std::pow(1.5, 1.0), fast = std::pow(0.5, 1.0);
  EXPECT_NEAR(weights_at(1.0)[0], 2 * slow / (slow + fast), 0.02);
  EXPECT_NEAR(weights_at(0.0)[0], 1, 0.02);
  EXPECT_GT(weights_at(1.5)[0], weights_at(1.0)[0]);
}

TEST(Uncertainty, SettlesWhereItsOwnLossIsLeast) {
  const std::vector<double> losses{0.25, 4.0};
  const auto rule = rule_of({{"kind", "uncertainty"}, {"learning_rate", 0.01}}, 2);
  EXPECT_THAT(rule->weights(), ElementsAre(1, 1));
  rule->update(losses, {});
  // The first step of Adam is the rate, along the sign of -d/ds (e^-s L + s) = e^-s L - 1.
  EXPECT_THAT(rule->weights(),
              ElementsAre(DoubleNear(std::exp(0.01), 1e-8), DoubleNear(std::exp(-0.01), 1e-8)));
  for (int step = 0; step < 3000; ++step) rule->update(losses, {});
  EXPECT_THAT(rule->weights(), ElementsAre(DoubleNear(4, 0.01), DoubleNear(0.25, 0.01)));
}

TEST(Dwa, WeighsByTheRatioOfTheLastTwoWindows) {
  const auto rule = rule_of({{"kind", "dwa"}, {"temperature", 2}, {"window", 2}}, 2);
  for (const auto& losses : std::vector<std::vector<double>>{{1, 4}, {3, 4}, {1, 1}}) {
    rule->update(losses, {});
    EXPECT_THAT(rule->weights(), ElementsAre(1, 1));
  }
  rule->update(std::vector<double>{2, 3}, {});
  const double a = std::exp(1.5 / 2 / 2), b = std::exp(2.0 / 4 / 2);
  EXPECT_THAT(rule->weights(),
              ElementsAre(DoubleNear(2 * a / (a + b), 1e-12), DoubleNear(2 * b / (a + b), 1e-12)));
}

TEST(WeightRules, ContinueFromTheirStateAsIfNothingHadBeen) {
  for (const WeightRuleEntry& entry : loss_weight_rules()) {
    SCOPED_TRACE(entry.name);
    const Json table{{"kind", entry.name}, {"every", 3}, {"window", 4}};
    const auto whole = rule_of(table, 2), first = rule_of(table, 2);
    const auto feed = [](WeightRule& rule, int step) {
      rule.update(std::vector<double>{2.0 / (step + 1), 1.0 / (step + 3)},
                  std::vector<double>{0.1 + step, 3});
    };
    for (int step = 0; step < 30; ++step) feed(*whole, step);
    for (int step = 0; step < 13; ++step) feed(*first, step);
    const auto second = rule_of(table, 2);
    second->load_state(first->state());
    for (int step = 13; step < 30; ++step) feed(*second, step);
    EXPECT_EQ(second->weights(), whole->weights());
    EXPECT_EQ(second->state(), whole->state());
    EXPECT_EQ(whole->weights() == std::vector<double>(2, 1.0), entry.name == "fixed");
  }
}

std::vector<TermOptions> terms_on(const std::vector<std::string>& logits) {
  std::vector<TermOptions> terms;
  for (const std::string& on : logits) {
    terms.push_back({});
    terms.back().on = on;
  }
  return terms;
}

TEST(LossWeights, WeighANetworkByItselfAndNetworksAgainstEachOther) {
  const auto terms = terms_on({"teacher_click", "student", "teacher_read", "student_click"});
  const LossWeightOptions options =
      options_of({{"kind", "uncertainty"}, {"network_learning_rate", 0.5}});
  EXPECT_TRUE(options.total);
  LossWeights weights(options, terms);
  weights.update({{true, 0.5, 0}, {true, 2, 0}, {true, 0.5, 0}, {true, 2, 0}});
  const double inner = std::exp(0.025), outer = std::exp(-0.5);
  // Sums of the networks are 1, where s stays, and 4.
  EXPECT_THAT(weights.weights(),
              ElementsAre(DoubleNear(inner, 1e-7), DoubleNear(outer / inner, 1e-7),
                          DoubleNear(inner, 1e-7), DoubleNear(outer / inner, 1e-7)));
}

TEST(LossWeights, LeaveANetworkThatDoesNotLearnAlone) {
  const auto terms = terms_on({"teacher_click", "teacher_read", "student"});
  LossWeights weights(options_of({{"kind", "gradnorm"}, {"every", 1}}), terms);
  EXPECT_TRUE(weights.wants_norm(0));
  EXPECT_FALSE(weights.wants_norm(2)) << "a single loss has nothing to be balanced with";
  weights.update({{false, 0, 0}, {false, 0, 0}, {true, 3, 1}});
  EXPECT_THAT(weights.weights(), ElementsAre(1, 1, 1));
  weights.update({{true, 1, 1}, {true, 1, 5}, {false, 0, 0}});
  EXPECT_GT(weights.weights()[0], 1);
  EXPECT_EQ(weights.weights()[2], 1);
}

TEST(LossWeights, OfKindFixedAreOneAndHaveNoState) {
  const LossWeights weights(options_of(Json::object()), terms_on({"teacher_click", "student"}));
  EXPECT_FALSE(weights.adaptive());
  EXPECT_THAT(weights.weights(), ElementsAre(1, 1));
  EXPECT_TRUE(weights.state().empty());
}

TEST(LossWeights, AnswerWrongKeysAndValuesWithTheirName) {
  const auto error = [](const Json& table) {
    try {
      options_of(table);
    } catch (const ConfigError& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_THAT(error({{"kind", "gradnrm"}}),
              AllOf(HasSubstr("loss_weights.kind"), HasSubstr("did you mean 'gradnorm'")));
  EXPECT_THAT(error({{"scope", "all"}}), HasSubstr("loss_weights.scope"));
  EXPECT_THAT(error({{"alpha", -1}}), HasSubstr("loss_weights.alpha"));
  EXPECT_THAT(error({{"every", 0}}), HasSubstr("loss_weights.every"));
  EXPECT_THAT(error({{"temperatur", 1}}), HasSubstr("did you mean 'temperature'"));
}

TEST(GradientNorm, EqualsFiniteDifferencesOnEveryTeacher) {
  for (const char* kind : {"mmoe", "cgc", "ple", "shared_bottom"}) {
    const Json table{
        {"kind", kind}, {"embedding", 3}, {"expert_layers", {5, 4}}, {"tower_layers", {3}}};
    const auto model = make_ranking_model(small_schema(), table, Rng(3, "init"));
    model->to(torch::kFloat64);
    TensorBatch batch = small_batch();
    for (SideTensors* side : {&batch.users, &batch.items, &batch.pairs})
      side->dense = side->dense.to(torch::kFloat64);
    const auto loss = [&] {
      return bce_with_logits(model->score(batch).at("read"), batch.read.to(torch::kFloat64));
    };
    const double norm = gradient_norm(loss(), model->common_weights());
    double squares = 0;
    const torch::NoGradGuard no_grad;
    for (const torch::Tensor& weight : model->common_weights()) {
      const torch::Tensor flat = weight.view({-1});
      for (int64_t i = 0; i < flat.numel(); ++i) {
        const double at = flat[i].item<double>(), step = 1e-6;
        flat[i] = at + step;
        const double above = loss().item<double>();
        flat[i] = at - step;
        squares += std::pow((above - loss().item<double>()) / (2 * step), 2);
        flat[i] = at;
      }
    }
    EXPECT_GT(norm, 0) << kind;
    EXPECT_NEAR(norm, std::sqrt(squares), 1e-6 * norm) << kind;
  }
}

TEST(GradientNorm, LeavesTheGradientsOfTheStepAsTheyWere) {
  const auto model = make_candidate_model(
      small_schema(), {{"kind", "three_tower"}, {"user_layers", {4}}, {"item_layers", {4}}},
      Rng(3, "init"));
  const auto loss = [&] {
    const TensorBatch batch = small_batch();
    return bce_with_logits(model->score(batch), batch.click);
  };
  loss().backward();
  const torch::Tensor plain = model->common_weights()[0].grad().clone();
  auto tables = embedding_tables(*model);
  const size_t touched = tables[0].second->pending.size();
  model->zero_grad();
  for (auto& [name, table] : tables) table->pending.clear();
  const torch::Tensor value = loss();
  EXPECT_NEAR(gradient_norm(value, model->common_weights()), plain.norm().item<double>(), 1e-6);
  for (auto& [name, table] : tables) EXPECT_TRUE(table->pending.empty()) << name;
  value.backward();
  EXPECT_TRUE(torch::equal(model->common_weights()[0].grad(), plain));
  EXPECT_EQ(tables[0].second->pending.size(), touched);
}

class WeightedTraining : public testing::Test {
 protected:
  WeightedTraining() {
    set_threads(1);
    learnable_dataset(600).write(scratch_ / "data");
    dataset_ = std::make_unique<Dataset>(scratch_ / "data");
  }
  void run(const std::string& folder, const Json& recipe, bool resume = false, int64_t stop = -1) {
    TrainOptions options{.run = scratch_ / folder, .resume = resume, .device = "cpu"};
    options.stop_after_step = stop;
    train(recipe, *dataset_, options);
  }
  std::vector<Json> weights_of(const std::string& folder) {
    std::vector<Json> weights;
    for (const Json& line : metrics_of(scratch_ / folder))
      if (line["kind"] == "step") weights.push_back(line.value("loss_weights", Json()));
    return weights;
  }
  const ScratchFolder scratch_;
  std::unique_ptr<Dataset> dataset_;
};

TEST_F(WeightedTraining, AResumedRunHasTheWeightsOfAnUninterruptedOne) {
  for (const char* kind : {"gradnorm", "dwa", "uncertainty"}) {
    SCOPED_TRACE(kind);
    const std::string name = kind;
    const Json recipe = tiny_recipe(
        "dmmp", {"train.batch=120", "train.epochs=2", "train.log_every=3", "loss_weights.every=2",
                 "loss_weights.window=4", "loss_weights.kind=" + name});
    run(name + "_whole", recipe);
    EXPECT_THROW(run(name, recipe, false, 17), Interrupted);
    run(name, recipe, true);
    const RunPaths whole(scratch_ / (name + "_whole")), resumed(scratch_ / name);
    const NamedTensors a = load_checkpoint(whole.last).tensors,
                       b = load_checkpoint(resumed.last).tensors;
    ASSERT_EQ(a.size(), b.size());
    EXPECT_TRUE(a.contains("loss_weights/teacher"));
    EXPECT_TRUE(a.contains("loss_weights/networks"));
    for (const auto& [tensor, value] : a) EXPECT_TRUE(torch::equal(value, b.at(tensor))) << tensor;
    const std::vector<Json> weights = weights_of(name + "_whole");
    EXPECT_EQ(weights, weights_of(name));
    ASSERT_GT(weights.size(), 4U);
    EXPECT_EQ(weights.front().size(), 5U);
    EXPECT_NE(weights.front(), weights.back());
  }
}

TEST_F(WeightedTraining, GradNormKeepsTheSumOfANetworksWeights) {
  run("run", tiny_recipe("dmmp", {"train.epochs=1", "train.batch=120", "train.log_every=5",
                                  "loss_weights.scope=per_network", "loss_weights.every=1"}));
  for (const Json& weights : weights_of("run")) {
    EXPECT_NEAR(weights["ctr"].get<double>() + weights["ctcvr"].get<double>(), 2, 1e-9);
    EXPECT_NEAR(weights["kd_click"].get<double>() + weights["kd_read"].get<double>() +
                    weights["kd_served"].get<double>(),
                3, 1e-9);
  }
}

TEST_F(WeightedTraining, FixedWeightsAreThoseOfARecipeWithoutTheTable) {
  Json recipe = tiny_recipe(
      "dmmp", {"train.epochs=1", "loss_weights.kind=fixed", "loss_weights.scope=per_network"});
  run("fixed", recipe);
  recipe.erase("loss_weights");
  run("plain", recipe);
  const NamedTensors a = load_checkpoint(RunPaths(scratch_ / "fixed").last).tensors,
                     b = load_checkpoint(RunPaths(scratch_ / "plain").last).tensors;
  for (const auto& [name, tensor] : a) EXPECT_TRUE(torch::equal(tensor, b.at(name))) << name;
  EXPECT_EQ(weights_of("fixed"), weights_of("plain"));
}

}  // namespace
}  // namespace retort
