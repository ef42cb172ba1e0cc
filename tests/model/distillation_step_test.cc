// The whole step of DMTL: who receives which gradient.
#include "small_world.h"
#include <gtest/gtest.h>

#include "retort/kernel/precision.h"
#include "retort/loss/bce.h"
#include "retort/loss/distillation.h"
#include "retort/model/models.h"
#include "retort/nn/mixed_precision.h"
#include "retort/nn/optimizer.h"

namespace retort {
namespace {

const Json kStudent =
    Json::parse(R"({"embedding": 3, "user_layers": [8, 4], "item_layers": [8, 4]})");
const Json kTeacher =
    Json::parse(R"({"embedding": 3, "expert_layers": [5, 4], "tower_layers": [3]})");

struct Models {
  std::shared_ptr<CandidateModel> student =
      make_candidate_model(small_schema(), kStudent, Rng(1, "student"));
  std::shared_ptr<RankingModel> teacher =
      make_ranking_model(small_schema(), kTeacher, Rng(1, "teacher"));
};

/// Whether any gradient has reached a model.
bool touched(torch::nn::Module& model) {
  for (const torch::Tensor& parameter : model.parameters())
    if (parameter.grad().defined()) return true;
  for (auto& [name, table] : embedding_tables(model))
    if (!table->pending.empty()) return true;
  return false;
}

TEST(DistillationStep, TheStudentsLossGivesTheTeacherNoGradient) {
  for (const bool literal : {false, true}) {
    Models models;
    const TensorBatch batch = small_batch();
    const torch::Tensor l = models.teacher->score(batch).at("read");
    const torch::Tensor s = models.student->score(batch);
    (literal ? chi2_literal(l, s) : kl_bernoulli(l, s)).backward();
    EXPECT_TRUE(touched(*models.student));
    EXPECT_FALSE(touched(*models.teacher));
  }
}

TEST(DistillationStep, TheTeachersLossGivesTheStudentNoGradient) {
  Models models;
  const TensorBatch batch = small_batch();
  const TaskLogits logits = models.teacher->score(batch);
  EXPECT_TRUE(models.student->score(batch).requires_grad());
  (bce_with_logits(logits.at("read"), batch.read) +
   bce_with_logits(logits.at("click"), batch.click))
      .backward();
  EXPECT_TRUE(touched(*models.teacher));
  EXPECT_FALSE(touched(*models.student));
}

TEST(DistillationStep, TheTeachersPathDoesNotDependOnTheStudent) {
  const TensorBatch batch = small_batch();
  const auto train = [&](bool with_student) {
    Models models;
    OptimizerOptions options;
    options.clip_norm = 0.5;
    Optimizer teacher(options, *models.teacher), student(options, *models.student);
    for (int step = 0; step < 10; ++step) {
      const TaskLogits logits = models.teacher->score(batch);
      torch::Tensor loss = bce_with_logits(logits.at("read"), batch.read) +
                           bce_with_logits(logits.at("click"), batch.click);
      if (with_student) loss = loss + kl_bernoulli(logits.at("read"), models.student->score(batch));
      loss.backward();
      teacher.step();
      if (with_student) student.step();
    }
    std::map<std::string, torch::Tensor> weights;
    for (const auto& [name, tensor] : named_weights(*models.teacher))
      weights[name] = tensor.clone();
    return weights;
  };
  const auto alone = train(false), together = train(true);
  for (const auto& [name, tensor] : alone)
    EXPECT_TRUE(torch::equal(tensor, together.at(name))) << name;
}

TEST(DistillationStep, TheStudentReachesItsTeachersProbabilities) {
  Models models;
  const TensorBatch batch = small_batch();
  torch::Tensor target;
  {
    const torch::NoGradGuard no_grad;
    target = models.teacher->score(batch).at("read");
  }
  OptimizerOptions options;
  options.learning_rate = 0.02;
  Optimizer optimizer(options, *models.student);
  const double before = kl_bernoulli(target, models.student->score(batch)).item<double>();
  for (int step = 0; step < 200; ++step) {
    kl_bernoulli(target, models.student->score(batch)).backward();
    optimizer.step();
  }
  const double after = kl_bernoulli(target, models.student->score(batch)).item<double>();
  EXPECT_GT(before, 0.01);
  EXPECT_LT(after, 1e-4);
}

TEST(DistillationStep, InBf16FollowsTheStepInFp32) {
  if (!has_native_bf16()) GTEST_SKIP() << "this processor has no native bf16";
  const TensorBatch batch = small_batch();
  const auto gradients = [&](bool mixed) {
    Models models;
    const MixedPrecision guard(mixed);
    const TaskLogits logits = models.teacher->score(batch);
    (bce_with_logits(logits.at("read"), batch.read) +
     bce_with_logits(logits.at("click"), batch.click) +
     kl_bernoulli(logits.at("read"), models.student->score(batch)))
        .backward();
    std::vector<torch::Tensor> found;
    for (torch::nn::Module* model :
         std::vector<torch::nn::Module*>{models.student.get(), models.teacher.get()}) {
      for (const torch::Tensor& parameter : model->parameters()) found.push_back(parameter.grad());
      for (auto& [name, table] : embedding_tables(*model))
        for (const RowGradients& rows : table->pending)
          found.push_back(torch::zeros_like(table->weight).index_add(0, rows.ids, rows.grads));
    }
    return found;
  };
  const auto plain = gradients(false), mixed = gradients(true);
  ASSERT_EQ(mixed.size(), plain.size());
  for (size_t i = 0; i < plain.size(); ++i) {
    const double size = plain[i].norm().item<double>();
    EXPECT_LT((mixed[i] - plain[i]).norm().item<double>(), 0.05 * size + 1e-3) << i;
  }
}

}  // namespace
}  // namespace retort
