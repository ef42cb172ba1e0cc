#include "retort/nn/optimizer.h"

#include "tables.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/nn/adam.h"
#include "retort/nn/mlp.h"

namespace retort {
namespace {

using testing::HasSubstr;

/// A table and a small MLP on it, with a loss that makes gradients for both.
struct Net : torch::nn::Module {
  explicit Net(uint64_t seed = 1) : mlp(MlpOptions{.input = 3, .layers = {4, 1}}) {
    register_module("mlp", mlp);
    register_module("id", table);
    mlp->initialise(Rng(seed, "init"), "mlp");
    initialise_tables(*this, Rng(seed, "init"), 1);
  }
  torch::Tensor loss(const SparseTensor& column) {
    return (mlp->forward(table->lookup(column, "sum")) - 1).square().mean();
  }
  Mlp mlp;
  EmbeddingTable table{6, 3, "id"};
};

OptimizerOptions fast() {
  OptimizerOptions options;
  options.learning_rate = 0.05;
  return options;
}

TEST(Optimizer, EqualsTorchAdamWOnDenseParametersAndOnTablesTouchedEverywhere) {
  Net net;
  OptimizerOptions options = fast();
  options.weight_decay = options.embedding_weight_decay = 0.1;
  Optimizer optimizer(options, net);
  // The twin: dense tensors throughout, decay on all but biases, libtorch's own optimizer.
  std::vector<torch::Tensor> decayed, plain;
  const auto twin = [&](const torch::Tensor& of, std::vector<torch::Tensor>& group) {
    group.push_back(of.detach().clone().set_requires_grad(true));
    return group.back();
  };
  torch::Tensor w0 = twin(net.mlp->layers[0]->weight, decayed);
  torch::Tensor w1 = twin(net.mlp->layers[1]->weight, decayed);
  torch::Tensor e = twin(net.table->weight, decayed);
  torch::Tensor b0 = twin(net.mlp->layers[0]->bias, plain);
  torch::Tensor b1 = twin(net.mlp->layers[1]->bias, plain);
  torch::optim::AdamW first(decayed, torch::optim::AdamWOptions(0.05).weight_decay(0.1));
  torch::optim::AdamW second(plain, torch::optim::AdamWOptions(0.05).weight_decay(0));
  const SparseTensor column = column_of({{0, 1}, {2}, {3, 3}, {4, 5}});
  for (int step = 0; step < 25; ++step) {
    net.loss(column).backward();
    optimizer.step();
    first.zero_grad();
    second.zero_grad();
    const torch::Tensor x = torch::stack({e[0] + e[1], e[2], 2 * e[3], e[4] + e[5]});
    const torch::Tensor h = torch::relu(torch::addmm(b0, x, w0.t()));
    (torch::addmm(b1, h, w1.t()) - 1).square().mean().backward();
    first.step();
    second.step();
  }
  EXPECT_EQ(optimizer.steps(), 25);
  EXPECT_TRUE(torch::allclose(net.mlp->layers[0]->weight, w0, 1e-4, 1e-5));
  EXPECT_TRUE(torch::allclose(net.mlp->layers[1]->bias, b1, 1e-4, 1e-5));
  EXPECT_TRUE(torch::allclose(net.table->weight, e, 1e-4, 1e-5));
}

TEST(Optimizer, LeavesUntouchedRowsAndTheirMomentsAlone) {
  Net net;
  OptimizerOptions options = fast();
  options.embedding_weight_decay = 0.5;
  Optimizer optimizer(options, net);
  net.loss(column_of({{0}, {1}})).backward();
  optimizer.step();
  const torch::Tensor before = net.table->weight.clone();
  const torch::Tensor m_before = optimizer.state().at("id.weight.m").clone();
  net.loss(column_of({{1}, {4}})).backward();
  optimizer.step();
  const torch::Tensor moved = (net.table->weight != before).any(1);
  EXPECT_TRUE(torch::equal(moved, torch::tensor({false, true, false, false, true, false})));
  EXPECT_TRUE(torch::equal(optimizer.state().at("id.weight.m")[0], m_before[0]));
}

TEST(Optimizer, MergesEqualIdsBeforeTheStep) {
  // Two lookups of one row must move it as one gradient that is their sum: the first step of Adam
  // is lr * sign(sum), here against +3 - 1.
  EmbeddingTable table(2, 1, "id");
  struct Holder : torch::nn::Module {
  } holder;
  holder.register_module("id", table);
  Optimizer optimizer(fast(), holder);
  (3 * table->lookup(column_of({{1}}), "sum") - table->lookup(column_of({{1}}), "sum"))
      .sum()
      .backward();
  ASSERT_EQ(table->pending.size(), 2U);
  optimizer.step();
  EXPECT_NEAR(table->weight[1].item<double>(), -0.05, 1e-6);
  EXPECT_NEAR(optimizer.state().at("id.weight.m")[1].item<double>(), 0.1 * 2, 1e-6);
  EXPECT_TRUE(table->pending.empty());
}

TEST(Adam, FusedLoopsEqualLibtorchOperations) {
  torch::manual_seed(2);
  const AdamStep step{
      .learning_rate = 0.02, .correction1 = 0.19, .correction2 = 0.002, .decay = 0.3, .scale = 0.5};
  const torch::Tensor value = torch::randn({5, 7}), grad = torch::randn({5, 7});
  const torch::Tensor m = torch::randn({5, 7}), v = torch::rand({5, 7});
  const auto copies = [&] { return std::vector{value.clone(), m.clone(), v.clone()}; };
  const auto expect_equal = [](const auto& left, const auto& right) {
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(torch::allclose(left[i], right[i], 1e-5, 1e-6)) << i;
  };
  auto fused = copies(), ops = copies();
  adam_update(fused[0], grad, fused[1], fused[2], step);
  adam_update_by_ops(ops[0], grad, ops[1], ops[2], step);
  expect_equal(fused, ops);
  EXPECT_FALSE(torch::allclose(fused[0], value));

  const RowGradients rows{torch::tensor({4, 1}, torch::kInt64), torch::randn({2, 7}), true};
  fused = copies(), ops = copies();
  adam_update_rows(fused[0], rows, fused[1], fused[2], step);
  adam_update_rows_by_ops(ops[0], rows, ops[1], ops[2], step);
  expect_equal(fused, ops);
  EXPECT_TRUE(torch::equal(fused[0][0], value[0]));
}

TEST(Optimizer, ClipsTheGlobalNormOfDenseGradients) {
  struct Pair : torch::nn::Module {
    torch::Tensor a = register_parameter("a", torch::zeros({2}));
    torch::Tensor b = register_parameter("b", torch::zeros({1}));
  };
  const auto first_moment = [](double clip) {
    Pair pair;
    OptimizerOptions options;
    options.clip_norm = clip;
    Optimizer optimizer(options, pair);
    (pair.a * torch::tensor({3.F, 4.F})).sum().add(12 * pair.b.sum()).backward();  // norm 13
    optimizer.step();
    EXPECT_NEAR(optimizer.gradient_norm(), clip > 0 ? 13 : 0, 1e-9);
    return optimizer.state().at("b.m").item<double>();
  };
  EXPECT_NEAR(first_moment(0), 0.1 * 12, 1e-6);
  EXPECT_NEAR(first_moment(20), 0.1 * 12, 1e-6);
  EXPECT_NEAR(first_moment(6.5), 0.1 * 6, 1e-6);
}

TEST(LearningRate, FollowsTheTableOfWarmUpAndDecay) {
  OptimizerOptions options;
  options.learning_rate = 1;
  options.warmup_steps = 4;
  const auto rates = [&](std::vector<int64_t> steps) {
    std::vector<double> out;
    for (const int64_t step : steps) out.push_back(learning_rate_at(options, step, 14));
    return out;
  };
  using testing::DoubleNear;
  using testing::ElementsAre;
  const auto near = [](double x) { return DoubleNear(x, 1e-12); };
  EXPECT_THAT(rates({1, 2, 4, 5, 99}), ElementsAre(near(.25), near(.5), near(1), near(1), near(1)));
  options.decay = "linear";
  EXPECT_THAT(rates({2, 5, 10, 14, 15, 99}),
              ElementsAre(near(.5), near(1), near(.5), near(.1), near(0), near(0)));
  options.decay = "cosine";
  EXPECT_THAT(rates({2, 5, 10, 15}), ElementsAre(near(.5), near(1), near(.5), near(0)));
}

TEST(Optimizer, ResumesBitByBit) {
  const std::vector<SparseTensor> columns{column_of({{0, 1}, {2}}), column_of({{3}, {5}, {1}}),
                                          column_of({{4, 4, 2}})};
  OptimizerOptions options = fast();
  options.warmup_steps = 3;
  options.decay = "cosine";
  options.clip_norm = 0.5;
  const auto train = [&](Net& net, Optimizer& optimizer, int from, int to) {
    for (int step = from; step < to; ++step) {
      net.loss(columns[step % 3]).backward();
      optimizer.step();
    }
  };
  Net whole;
  Optimizer optimizer(options, whole, 12);
  train(whole, optimizer, 0, 5);
  std::map<std::string, torch::Tensor> state;
  for (const auto& [name, tensor] : optimizer.state()) state[name] = tensor.clone();
  Net resumed(99);
  {
    const torch::NoGradGuard no_grad;
    for (const auto& item : whole.named_parameters())
      resumed.named_parameters()[item.key()].copy_(item.value());
    resumed.table->weight.copy_(whole.table->weight);
  }
  Optimizer second(options, resumed, 12);
  second.load_state(state);
  train(whole, optimizer, 5, 12);
  train(resumed, second, 5, 12);
  for (const auto& item : whole.named_parameters())
    EXPECT_TRUE(torch::equal(item.value(), resumed.named_parameters()[item.key()])) << item.key();
  EXPECT_TRUE(torch::equal(whole.table->weight, resumed.table->weight));
  EXPECT_EQ(second.steps(), 12);
}

TEST(Optimizer, RefusesAStateOfAnotherModelNamingTheEntry) {
  Net net;
  Optimizer optimizer(fast(), net);
  const auto refused = [&](auto change, const char* name) {
    auto state = optimizer.state();
    change(state);
    try {
      optimizer.load_state(state);
      FAIL() << name;
    } catch (const DataError& error) {
      EXPECT_THAT(error.what(), HasSubstr(name));
    }
  };
  refused([](auto& s) { s.erase("id.weight.v"); }, "id.weight.v");
  refused([](auto& s) { s["other.m"] = torch::zeros({1}); }, "other.m");
  refused([](auto& s) { s["mlp.layer0.bias.m"] = torch::zeros({9}); }, "mlp.layer0.bias.m");
  refused([](auto& s) { s["step"] = torch::zeros({1}); }, "step");
}

TEST(Optimizer, ARestartedScheduleWarmsUpAgainWhileStepsGoOn) {
  OptimizerOptions options = fast();
  options.warmup_steps = 2;
  options.decay = "linear";
  Net net;
  Optimizer optimizer(options, net, 6);
  std::vector<double> first, again;
  for (int step = 0; step < 5; ++step) {
    first.push_back(optimizer.learning_rate());
    optimizer.step();
  }
  optimizer.restart_schedule();
  for (int step = 0; step < 5; ++step) {
    again.push_back(optimizer.learning_rate());
    optimizer.step();
  }
  EXPECT_EQ(first, again);
  EXPECT_EQ(optimizer.steps(), 10);
  EXPECT_EQ(optimizer.state().at("schedule_from").item<int64_t>(), 5);
}

TEST(Optimizer, DropsGradientsWithoutAStep) {
  Net net;
  Optimizer optimizer(fast(), net);
  const torch::Tensor before = net.table->weight.clone();
  net.loss(column_of({{1}})).backward();
  optimizer.zero_grad();
  optimizer.step();
  EXPECT_TRUE(torch::equal(net.table->weight, before));
  EXPECT_EQ(optimizer.state().at("mlp.layer0.weight.m").abs().max().item<double>(), 0);
}

TEST(OptimizerOptions, ReadsItsTableAndNamesWhatIsWrong) {
  const auto read = [](const char* json) { return OptimizerOptions::read(Json::parse(json)); };
  EXPECT_EQ(OptimizerOptions::read(Json()).learning_rate, 1e-3);
  const OptimizerOptions options =
      read(R"({"learning_rate": 0.01, "warmup_steps": 7, "decay": "linear", "clip_norm": 2})");
  EXPECT_EQ(options.learning_rate, 0.01);
  EXPECT_EQ(options.warmup_steps, 7);
  EXPECT_EQ(options.clip_norm, 2);
  const auto error = [&](const char* json) -> std::string {
    try {
      read(json);
    } catch (const ConfigError& caught) {
      return caught.what();
    }
    return "accepted";
  };
  EXPECT_THAT(error(R"({"learning_rat": 1})"), HasSubstr("did you mean 'learning_rate'"));
  EXPECT_THAT(error(R"({"decay": "step"})"), HasSubstr("optimizer.decay"));
  EXPECT_THAT(error(R"({"learning_rate": 0})"), HasSubstr("optimizer.learning_rate"));
  EXPECT_THAT(error(R"({"beta2": 1})"), HasSubstr("optimizer.beta2"));
  Net net;
  OptimizerOptions decaying = fast();
  decaying.decay = "linear";
  EXPECT_THROW(Optimizer(decaying, net), ArgumentError);
}

RowGradients touched_rows(int64_t dim) {
  return {torch::tensor({4, 1}), torch::randn({2, dim}), true};
}

TEST(AdagradRowwise, FusedRowsEqualTheOperationsOfLibtorch) {
  torch::manual_seed(1);
  AdamStep step{.learning_rate = 0.1, .epsilon = 1e-3, .decay = 0.2};
  torch::Tensor fused = torch::randn({6, 5}), plain = fused.clone();
  torch::Tensor sums = torch::rand({6}), plain_sums = sums.clone();
  const torch::Tensor before = fused.clone();
  const RowGradients rows = touched_rows(5);
  adagrad_update_rows(fused, rows, sums, step);
  adagrad_update_rows_by_ops(plain, rows, plain_sums, step);
  EXPECT_TRUE(torch::allclose(fused, plain, 1e-5, 1e-6));
  EXPECT_TRUE(torch::allclose(sums, plain_sums, 1e-5, 1e-6));
  EXPECT_TRUE(torch::equal(fused[0], before[0])) << "an untouched row";
  // Row 4 by hand: one sum for the whole row.
  const double sum = plain_sums[4].item<double>();
  const torch::Tensor expected =
      before[4] * (1 - 0.1 * 0.2) - rows.grads[0] * 0.1 / (std::sqrt(sum) + 1e-3);
  EXPECT_TRUE(torch::allclose(fused[4], expected, 1e-5, 1e-6));
}

TEST(Bf16Tables, FollowTheStepsOfFp32TablesOnAverage) {
  for (const bool adagrad : {false, true}) {
    torch::manual_seed(2);
    torch::Tensor wide = torch::randn({6, 400}).to(torch::kBFloat16).to(torch::kFloat32);
    torch::Tensor narrow = wide.to(torch::kBFloat16);
    const torch::Tensor untouched = narrow[0].clone();
    const auto zeros = [&] { return torch::zeros({6, 400}); };
    torch::Tensor m1 = zeros(), v1 = zeros(), m2 = zeros(), v2 = zeros();
    torch::Tensor s1 = torch::zeros({6}), s2 = torch::zeros({6});
    // Steps of about 1e-3: far below the last place of most values, which lies at 2^-7.
    AdamStep step{.learning_rate = 1e-3};
    RowGradients rows = touched_rows(400);
    rows.grads = rows.grads.abs() + 0.5;
    for (int64_t number = 1; number <= 100; ++number) {
      step.number = number;
      step.correction1 = 1 - std::pow(step.beta1, number);
      step.correction2 = 1 - std::pow(step.beta2, number);
      if (adagrad) {
        adagrad_update_rows(wide, rows, s1, step);
        adagrad_update_rows(narrow, rows, s2, step);
      } else {
        adam_update_rows(wide, rows, m1, v1, step);
        adam_update_rows(narrow, rows, m2, v2, step);
      }
    }
    const torch::Tensor drift = (narrow.to(torch::kFloat32) - wide).index_select(0, rows.ids);
    EXPECT_LT(std::abs(drift.mean().item<double>()), 0.002) << adagrad;
    EXPECT_LT(drift.abs().max().item<double>(), 0.15) << adagrad;
    EXPECT_TRUE(torch::equal(narrow[0], untouched));
  }
}

TEST(Bf16Tables, HandOutFp32Rows) {
  EmbeddingTable table(6, 3, "id", torch::kBFloat16);
  torch::nn::Module root;
  place_module(root, "id", table.ptr());
  initialise_tables(root, Rng(3, "init"), 1);
  const torch::Tensor rows = table->lookup(column_of({{1, 2}, {}, {5}}), "sum");
  EXPECT_EQ(rows.scalar_type(), torch::kFloat32);
  const torch::Tensor wide = table->weight.to(torch::kFloat32);
  EXPECT_TRUE(torch::allclose(rows[0], wide[1] + wide[2]));
  EXPECT_TRUE(torch::equal(rows[2], wide[5]));
}

TEST(Optimizer, KeepsOneSumARowForRowwiseAdagrad) {
  Net net;
  OptimizerOptions options = fast();
  options.embeddings = "adagrad_rowwise";
  options.embedding_learning_rate = 0.2;
  Optimizer optimizer(options, net);
  const auto state = optimizer.state();
  EXPECT_EQ(state.at("id.weight.sums").sizes(), at::IntArrayRef({6}));
  EXPECT_FALSE(state.contains("id.weight.m"));
  const SparseTensor column = column_of({{0, 1}, {2}, {3, 3}, {4, 5}});
  const double before = net.loss(column).item<double>();
  for (int step = 0; step < 30; ++step) {
    net.loss(column).backward();
    optimizer.step();
  }
  EXPECT_LT(net.loss(column).item<double>(), 0.2 * before);
}

}  // namespace
}  // namespace retort
