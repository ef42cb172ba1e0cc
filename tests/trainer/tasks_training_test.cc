// Training a forest of tasks, and students of more than two objectives.
#include <cmath>
#include <map>

#include "tests/support/scratch_folder.h"
#include "tests/trainer/learnable_data.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/common/rng.h"
#include "retort/common/thread_pool.h"
#include "retort/dataset/assembler.h"
#include "retort/encoder/tower_encoder.h"
#include "retort/trainer/run_folder.h"
#include "retort/trainer/train.h"
#include "retort/trainer/train_recipe.h"
#include "retort/trainer/trained_model.h"

namespace retort {
namespace {

using testing::AllOf;
using testing::HasSubstr;

/// The learnable feed, each clicked item shown beside three others. Users share what they read of
/// the first ten items and of the last ten dismiss everything, clicked or not.
TinyDataset labelled_feed(int32_t clicks = 1200) {
  TinyDataset data = learnable_dataset(clicks);
  data.schema.features.pop_back();
  data.values.clear();
  data.schema.features.insert(
      data.schema.features.begin() + 1,
      {history_feature("history", "", data.items + 1), history_feature("history", "seconds", 16)});
  data.sort();
  const Rng rng(11, "shown");
  for (size_t i = 0; i < data.clicks.size(); ++i) {
    TinyClick& click = data.clicks[i];
    const bool shared = click.seconds > 30 && click.item < 20;
    click.labels["share"] = shared;
    for (int32_t position = 0; position < 4; ++position) {
      TinyShown shown{click.user, click.item, click.time, static_cast<int64_t>(i), position};
      shown.split = click.split;
      if (position == 0) {
        shown.click = static_cast<int64_t>(i);
        shown.seconds = click.seconds;
        shown.labels["share"] = shared;
      } else {
        shown.item =
            static_cast<int32_t>(rng.below(40, 100'000 + 8 * i + static_cast<size_t>(position)));
      }
      shown.labels["dismiss"] = shown.item >= 30;
      if (position == 0) click.labels["dismiss"] = shown.item >= 30;
      data.shown.push_back(shown);
    }
  }
  return data;
}

class TasksTraining : public testing::Test {
 protected:
  TasksTraining() { set_threads(1); }
  const Dataset& plain() {
    if (!plain_) {
      learnable_dataset().write(scratch_ / "plain");
      plain_ = std::make_unique<Dataset>(scratch_ / "plain");
    }
    return *plain_;
  }
  const Dataset& labelled() {
    if (!labelled_) {
      labelled_feed().write(scratch_ / "labelled");
      labelled_ = std::make_unique<Dataset>(scratch_ / "labelled");
    }
    return *labelled_;
  }
  std::vector<Json> validation_of(const Json& recipe, const Dataset& dataset,
                                  const std::string& name, uint64_t seed = 11) {
    train(recipe, dataset, {.run = scratch_ / name, .device = "cpu", .seed = seed});
    std::vector<Json> lines;
    for (const Json& line : metrics_of(scratch_ / name))
      if (line["kind"] == "epoch" && line["split"] == "valid") lines.push_back(line);
    return lines;
  }
  std::string error_of(const Json& recipe, const Dataset& dataset) {
    try {
      train(recipe, dataset, {.run = scratch_ / "refused", .device = "cpu"});
    } catch (const ConfigError& error) {
      EXPECT_FALSE(fs::exists(scratch_ / "refused"));
      return error.what();
    }
    return "no error";
  }

  const ScratchFolder scratch_;
  std::unique_ptr<Dataset> plain_, labelled_;
};

const std::vector<std::string> kGolden{"train.precision=fp32", "train.epochs=3",
                                       "train.patience=0"};

std::vector<std::string> golden_and(std::vector<std::string> more) {
  more.insert(more.begin(), kGolden.begin(), kGolden.end());
  return more;
}

void expect_golden(const std::vector<Json>& lines) {
  const Json golden =
      Json::parse(read_file(RETORT_TESTS "/trainer/golden/dmtl_two_tasks.json")).at("epochs");
  ASSERT_EQ(lines.size(), golden.size());
  for (size_t i = 0; i < lines.size(); ++i) {
    EXPECT_NEAR(lines[i]["loss"].get<double>(), golden[i]["loss"].get<double>(), 1e-6);
    for (const auto& [term, value] : golden[i]["terms"].items())
      EXPECT_NEAR(lines[i]["terms"][term].get<double>(), value.get<double>(), 1e-6) << term;
    EXPECT_NEAR(lines[i]["teacher"]["auc_read"].get<double>(), golden[i]["auc_read"].get<double>(),
                1e-4);
  }
}

TEST_F(TasksTraining, WithoutTasksIsAsItWasBeforeThereWereAny) {
  expect_golden(validation_of(tiny_recipe("dmtl", kGolden), plain(), "old"));
}

TEST_F(TasksTraining, ClickAndReadAreThePapersCase) {
  const Json recipe =
      tiny_recipe("tasks", golden_and({"tasks={ click = {}, read = { parent = \"click\" } }",
                                       "train.rows=clicks", "train.metric=auc_read"}));
  Json lines = validation_of(recipe, plain(), "declared");
  for (Json& line : lines) line["terms"]["kl_bernoulli_student"] = line["terms"]["student"];
  expect_golden(lines);
  EXPECT_TRUE(lines[0]["tasks"].contains("read"));
}

const std::vector<std::string> kQuick{"train.batch=240", "train.patience=0", "train.epochs=6",
                                      "optimizer.learning_rate=0.02"};

std::vector<std::string> quick(std::vector<std::string> more) {
  more.insert(more.begin(), kQuick.begin(), kQuick.end());
  return more;
}

const char* const kForest =
    "tasks={ click = {}, read = { parent = \"click\" }, share = { parent = \"read\", weight = 2 }, "
    "dismiss = { parent = \"shown\" } }";

TEST_F(TasksTraining, EveryTaskOfAForestIsLearned) {
  const auto lines = validation_of(tiny_recipe("tasks", quick({kForest})), labelled(), "forest");
  const Json last = lines.back();
  // Half of what is shown beside an own click is of the user's own group: a click's area ends at
  // .7.
  const std::map<std::string, double> least{
      {"click", 0.6}, {"read", 0.65}, {"share", 0.75}, {"dismiss", 0.9}};
  for (const auto& [task, area] : least) {
    EXPECT_TRUE(last["terms"].contains("bce_teacher_" + task)) << task;
    EXPECT_GT(last["tasks"][task].get<double>(), area) << task;
  }
  EXPECT_NEAR(last["loss"].get<double>(),
              last["terms"]["bce_teacher_click"].get<double>() +
                  last["terms"]["bce_teacher_read"].get<double>() +
                  2 * last["terms"]["bce_teacher_share"].get<double>() +
                  last["terms"]["bce_teacher_dismiss"].get<double>() +
                  last["terms"]["student"].get<double>(),
              1e-6);
  double mean = 0;
  for (const auto& [task, value] : last["tasks"].items()) mean += value.get<double>() / 4;
  EXPECT_NEAR(last["metric"].get<double>(), mean, 1e-12);
}

TEST_F(TasksTraining, ATaskMayStandAlone) {
  const auto lines = validation_of(
      tiny_recipe("tasks", quick({"tasks={ dismiss = {} }", "terms.student.target='dismiss'"})),
      labelled(), "alone");
  EXPECT_GT(lines.back()["tasks"]["dismiss"].get<double>(), 0.9);
  EXPECT_FALSE(lines.back().contains("teacher"));
  const TrainedModel model(scratch_ / "alone", labelled(), "cpu");
  ASSERT_NE(model.teacher(), nullptr);
}

TEST_F(TasksTraining, AStudentLearnsAnyTaskOrSeveralTogether) {
  for (const char* target : {"'share'", "{ read = 1, share = 0.5 }"}) {
    const auto lines = validation_of(
        tiny_recipe("tasks", quick({kForest, std::string("terms.student.target=") + target})),
        labelled(), target[0] == '{' ? "fused" : "share");
    // Before it has learned, the student says 1/2 of what the teacher knows to be rare: KL .4.
    EXPECT_LT(lines.back()["terms"]["student"].get<double>(), 0.08) << target;
  }
}

TEST_F(TasksTraining, WhatDoesNotFitIsRefusedNamingTheKey) {
  const auto error = [&](const std::vector<std::string>& sets) {
    return error_of(tiny_recipe("tasks", sets), labelled());
  };
  EXPECT_THAT(error({"tasks={ click = {}, follow = { parent = \"click\" } }"}),
              AllOf(HasSubstr("tasks.follow.label"), HasSubstr("click, read, dismiss, share"),
                    HasSubstr("[[events]] labels")));
  EXPECT_THAT(error({kForest, "train.rows=clicks"}),
              AllOf(HasSubstr("tasks.dismiss.label"), HasSubstr("impressions")));
  EXPECT_THAT(error({kForest, "teacher.kind=none"}),
              AllOf(HasSubstr("'tasks'"), HasSubstr("mmoe")));
  EXPECT_THAT(error({kForest, "terms.student.target=shared"}),
              AllOf(HasSubstr("teacher_shared"), HasSubstr("did you mean 'teacher_share'")));
  EXPECT_THAT(error({kForest, "terms.more.loss=bce", "terms.more.on=teacher_shar",
                     "terms.more.label=click"}),
              AllOf(HasSubstr("'more'"), HasSubstr("teacher_share")));
  EXPECT_THAT(
      error({kForest, "terms.more.loss=bce", "terms.more.on=student", "terms.more.label=dismis"}),
      AllOf(HasSubstr("label"), HasSubstr("did you mean 'dismiss'")));
  EXPECT_THAT(error({kForest, "train.metric=task_auc_shar"}),
              AllOf(HasSubstr("train.metric"), HasSubstr("task_auc_share")));
  EXPECT_THAT(error_of(tiny_recipe("dmtl", {"train.metric=task_auc"}), labelled()),
              HasSubstr("train.metric"));
}

/// RRA on the labelled feed with a third objective: sharing.
Json three_objectives(std::vector<std::string> more) {
  std::vector<std::string> sets{
      "student.sequences=[\"history\"]",
      "student.tasks=[\"click\", \"dwm\", \"share\"]",
      "terms.rank_share={ loss = \"bce\", on = \"teacher_share\", label = \"share\" }",
      "terms.cls_share={ loss = \"softmax\", on = \"student_share\" }",
      "terms.mask_share={ loss = \"bce\", on = \"student_share\", label = \"share\" }",
      "terms.kd_share={ loss = \"soft_bce\", on = \"student_share\", target = \"teacher_share\" }",
      "train.batch=240",
      "train.epochs=4",
      "train.metric=recall_click@10",
      "train.patience=0",
      "fusion.metric=recall@10",
      "fusion.steps=2"};
  sets.insert(sets.end(), more.begin(), more.end());
  return tiny_recipe("rra", sets);
}

TEST_F(TasksTraining, AThirdObjectiveBesideClickAndMinutesByRecipe) {
  const auto lines = validation_of(three_objectives({}), labelled(), "three");
  for (const char* term : {"rank_share", "cls_share", "mask_share", "kd_share"})
    EXPECT_LT(lines.back()["terms"][term].get<double>(), lines.front()["terms"][term].get<double>())
        << term;
  const Json info = read_json(scratch_ / "three/run.json");
  EXPECT_EQ(info["fusion"]["grid"].size(), 6U);  // multiples of 1/2 that sum to 1
  const TrainedModel model(scratch_ / "three", labelled(), "cpu");
  EXPECT_EQ(model.spec().user.mixture->tasks.size(), 3U);
  EXPECT_EQ(task_shares(model.spec()), info["fusion"]["value"].get<std::vector<double>>());

  model.save_student(scratch_ / "student.safetensors");
  const ModelSpec spec = model_spec_from_json(read_json(scratch_ / "three/model.json"));
  const TowerEncoder encoder(
      spec, std::make_shared<const SafetensorsFile>(scratch_ / "student.safetensors"));
  std::vector<UserMoment> moments;
  for (int32_t user = 0; user < labelled().users(); ++user)
    moments.push_back({user, labelled().end_time(), -1});
  SideBatch users;
  Assembler(labelled()).users(moments, users);
  const auto size = static_cast<size_t>(users.rows * encoder.dim());
  std::vector<float> torch_users(size), own(size), mixed(size, 0), part(size);
  model.student().encode_users(users, torch_users);
  encoder.encode_users(users, own);
  for (size_t i = 0; i < size; ++i) ASSERT_NEAR(own[i], torch_users[i], 1e-4) << i;
  const std::vector<double> shares{0.5, 0.3, 0.2};
  for (size_t task = 0; task < 3; ++task) {
    std::vector<double> one(3, 0);
    one[task] = 1;
    encoder.encode_users(users, one, part);
    for (size_t i = 0; i < size; ++i) mixed[i] += static_cast<float>(shares[task]) * part[i];
  }
  encoder.encode_users(users, shares, own);
  for (size_t i = 0; i < size; ++i) ASSERT_NEAR(own[i], mixed[i], 1e-5) << i;
  EXPECT_THROW(encoder.encode_users(users, 0.5, own), ConfigError);
}

TEST_F(TasksTraining, ObjectivesKeepTheSharesOfTheRecipe) {
  const Json recipe =
      three_objectives({"fusion.choose=none", "fusion.shares=[0.5, 0.25, 0.25]", "train.epochs=1"});
  validation_of(recipe, labelled(), "fixed");
  const TrainedModel model(scratch_ / "fixed", labelled(), "cpu");
  EXPECT_EQ(task_shares(model.spec()), (std::vector<double>{0.5, 0.25, 0.25}));
  EXPECT_THAT(error_of(three_objectives({"fusion.shares=[0.5, 0.5]"}), labelled()),
              HasSubstr("click, dwm, share"));
  EXPECT_THAT(error_of(three_objectives({"student.tasks=[\"click\", \"click\"]"}), labelled()),
              HasSubstr("student.tasks"));
}

}  // namespace
}  // namespace retort
