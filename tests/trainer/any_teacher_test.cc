// Any teacher with any student, by recipe; the encoder without libtorch for each student.
#include <cmath>

#include "tests/support/scratch_folder.h"
#include "tests/trainer/learnable_data.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/common/thread_pool.h"
#include "retort/dataset/assembler.h"
#include "retort/encoder/tower_encoder.h"
#include "retort/trainer/learner.h"
#include "retort/trainer/run_folder.h"
#include "retort/trainer/train.h"
#include "retort/trainer/trained_model.h"

namespace retort {
namespace {

using testing::HasSubstr;

const std::map<std::string, Json> kStudents{
    {"two_tower", {{"user_layers", {8, 4}}, {"item_layers", {8, 4}}}},
    {"three_tower", {{"user_layers", {8, 4}}, {"item_layers", {8, 4}}, {"gate_layers", {4}}}},
    {"multi_task",
     {{"tasks", {"click", "read"}},
      {"attribute_embedding", 4},
      {"product_dim", 4},
      {"experts", 2},
      {"expert_layers", {8}},
      {"head_layers", {4}},
      {"item_layers", {4}}}}};

/// The teacher's own cross-entropies and a distillation of each logit of the student.
Json recipe_of(const std::string& teacher, const std::string& student, const std::string& mode) {
  Json recipe = tiny_recipe("base", {"train.epochs=1", "train.batch=64"});
  recipe["name"] = "pair";
  recipe["student"] = kStudents.at(student);
  recipe["student"].update({{"kind", student}, {"embedding", 4}});
  recipe["teacher"] = {{"kind", teacher}, {"embedding", 4}};
  if (teacher == "aligned")
    recipe["teacher"].update(
        {{"sharing", "none"}, {"experts", 2}, {"expert_layers", {8}}, {"head_layers", {4}}});
  else
    recipe["teacher"].update({{"expert_layers", {8, 4}}, {"tower_layers", {4}}});
  Json& terms = recipe["terms"];
  for (const char* task : {"click", "read"}) {
    const bool known = teacher != "single" || std::string(task) == "read";
    if (!known) continue;
    const std::string name = task;
    terms["teach_" + name] = {{"loss", "bce"}, {"on", "teacher_" + name}, {"label", name}};
    terms["learn_" + name] = {{"loss", "kl_bernoulli"}, {"target", name}, {"temperature", 2}};
    if (student != "two_tower") terms["learn_" + name]["on"] = "student_" + name;
  }
  terms["learn"] = {{"loss", "kl_bernoulli"}, {"target", "read"}};
  recipe["distill"]["mode"] = mode;
  return recipe;
}

struct Pair {
  std::string teacher, student, mode;
};

class SmallFeed : public testing::Test {
 protected:
  SmallFeed() {
    set_threads(1);
    learnable_dataset(60).write(scratch_ / "data");
    dataset_ = std::make_unique<Dataset>(scratch_ / "data");
  }
  const ScratchFolder scratch_;
  std::unique_ptr<Dataset> dataset_;
};

class AnyTeacher : public SmallFeed, public testing::WithParamInterface<Pair> {};

TEST_P(AnyTeacher, TeachesAnyStudent) {
  const auto& [teacher, student, mode] = GetParam();
  const Json recipe = recipe_of(teacher, student, mode);
  if (teacher == "aligned" && student != "multi_task") {
    try {
      train(recipe, *dataset_, {.run = scratch_ / "run", .device = "cpu"});
      FAIL() << "accepted";
    } catch (const ConfigError& error) {
      EXPECT_THAT(error.what(), HasSubstr("goes with student.kind = 'multi_task'"));
    }
    return;
  }
  const TrainResult result = train(recipe, *dataset_, {.run = scratch_ / "run", .device = "cpu"});
  EXPECT_GE(result.steps, 2);
  const TrainedModel model(scratch_ / "run", *dataset_, "cpu");
  ASSERT_NE(model.teacher(), nullptr);
  model.save_student(scratch_ / "student.safetensors");
  const TowerEncoder encoder(
      model.spec(), std::make_shared<const SafetensorsFile>(scratch_ / "student.safetensors"));
  std::vector<UserMoment> moments;
  for (int32_t user = 0; user < dataset_->users(); ++user)
    moments.push_back({user, dataset_->end_time(), -1});
  SideBatch users;
  Assembler(*dataset_).users(moments, users);
  std::vector<float> torch_users(static_cast<size_t>(users.rows * encoder.dim())),
      own(torch_users.size());
  model.student().encode_users(users, torch_users);
  encoder.encode_users(users, own);
  double spread = 0;
  for (size_t i = 0; i < own.size(); ++i) {
    ASSERT_NEAR(own[i], torch_users[i], 1e-4) << i;
    spread = std::max(spread, std::abs(static_cast<double>(own[i])));
  }
  EXPECT_GT(spread, 0.01) << "vectors of zeros would be equal too";
}

std::vector<Pair> pairs() {
  std::vector<Pair> all;
  for (const RankingModelEntry& teacher : ranking_models())
    for (const CandidateModelEntry& student : candidate_models())
      for (const char* mode : {"joint", "frozen"})
        all.push_back({std::string(teacher.name), std::string(student.name), mode});
  return all;
}

INSTANTIATE_TEST_SUITE_P(Pairs, AnyTeacher, testing::ValuesIn(pairs()), [](const auto& pair) {
  return pair.param.teacher + "_to_" + pair.param.student + "_" + pair.param.mode;
});

TEST_F(SmallFeed, WhatDoesNotFitIsNamedBeforeTheFirstStep) {
  const auto error = [&](const std::vector<std::string>& sets) {
    try {
      train(tiny_recipe("dmmp", sets), *dataset_, {.run = scratch_ / "refused", .device = "cpu"});
    } catch (const ConfigError& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_THAT(error({"student.tasks=[\"click\", \"share\"]"}),
              testing::AllOf(HasSubstr("student_read"), HasSubstr("student_share")));
  EXPECT_THAT(error({"student.kind=two_tower"}), HasSubstr("student."));
  EXPECT_THAT(error({"teacher.kind=single"}), HasSubstr("teacher_click"));
}

}  // namespace
}  // namespace retort
