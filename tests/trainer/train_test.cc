#include "retort/trainer/train.h"

#include <algorithm>
#include <limits>
#include <memory>

#include "tests/support/scratch_folder.h"
#include "tests/trainer/learnable_data.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/common/folder_lock.h"
#include "retort/common/thread_pool.h"
#include "retort/dataset/loader.h"
#include "retort/trainer/checkpoint.h"
#include "retort/trainer/learner.h"
#include "retort/trainer/run_folder.h"

namespace retort {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class TrainTest : public testing::Test {
 protected:
  TrainTest() { set_threads(1); }
  const Dataset& dataset() {
    if (!dataset_) {
      learnable_dataset().write(scratch_ / "data");
      dataset_ = std::make_unique<Dataset>(scratch_ / "data");
    }
    return *dataset_;
  }
  TrainResult run(const std::string& folder, const Json& recipe) {
    return train(recipe, dataset(), {.run = scratch_ / folder, .device = "cpu"});
  }
  std::vector<Json> lines_of(const std::string& folder, const std::string& kind,
                             const std::string& split) {
    std::vector<Json> found;
    for (const Json& line : metrics_of(scratch_ / folder))
      if (line.at("kind") == kind && line.at("split") == split) found.push_back(line);
    return found;
  }
  const ScratchFolder scratch_;
  std::unique_ptr<Dataset> dataset_;
};

// Steps large enough to learn the small feed in a few epochs.
const std::vector<std::string> kQuick{"train.batch=128", "train.epochs=6", "train.patience=0",
                                      "optimizer.learning_rate=0.02", "train.log_every=10"};

std::vector<std::string> quick(std::vector<std::string> more) {
  more.insert(more.begin(), kQuick.begin(), kQuick.end());
  return more;
}

TEST_F(TrainTest, DmtlLearnsClicksAndReads) {
  learnable_dataset(5000).write(scratch_ / "data");
  dataset_ = std::make_unique<Dataset>(scratch_ / "data");
  const TrainResult result = run("dmtl", tiny_recipe("dmtl", kQuick));
  EXPECT_EQ(result.epochs, 6);
  const auto train = lines_of("dmtl", "epoch", "train");
  ASSERT_EQ(train.size(), 6u);
  for (const char* term : {"bce_teacher_read", "bce_teacher_click"})
    EXPECT_LT(train.back()["terms"][term], 0.9 * train[0]["terms"][term].get<double>()) << term;
  const Json valid = lines_of("dmtl", "epoch", "valid").back();
  for (const char* model : {"teacher", "student"}) {
    EXPECT_GT(valid[model]["auc_read"], 0.8) << model;
    EXPECT_GT(valid[model]["auc_read_given_click"], 0.75) << model;
  }
  EXPECT_GT(valid["teacher"]["auc_click"], 0.65);
  EXPECT_GE(result.best_metric, valid["student"]["auc_read"]);
}

TEST_F(TrainTest, EveryPublishedModelBeatsChance) {
  for (const char* name :
       {"dssm_click", "dssm_classification", "dssm_regression_log1p", "dssm_regression_scaled",
        "kd_single", "kd_ctr", "dmtl_literal_eq8", "dmtl_literal_eq11"}) {
    EXPECT_GT(run(name, tiny_recipe(name, kQuick)).best_metric, 0.65) << name;
  }
}

TEST_F(TrainTest, RecordsStepsEpochsAndTheResult) {
  const TrainResult result = run("run", tiny_recipe("dmtl", kQuick));
  const int64_t steps_per_epoch = result.steps / 6;
  EXPECT_EQ(lines_of("run", "step", "train").size(), static_cast<size_t>(result.steps / 10));
  const auto valid = lines_of("run", "epoch", "valid");
  ASSERT_EQ(valid.size(), 6u);
  double best = 0;
  for (size_t i = 0; i < valid.size(); ++i) {
    EXPECT_EQ(valid[i]["step"], steps_per_epoch * static_cast<int64_t>(i + 1));
    EXPECT_EQ(valid[i]["epoch"], i + 1);
    EXPECT_EQ(valid[i]["best"].get<bool>(), valid[i]["metric"] > best);
    best = std::max(best, valid[i]["metric"].get<double>());
  }
  EXPECT_EQ(best, result.best_metric);
  const Json step = lines_of("run", "step", "train").front();
  for (const char* key :
       {"loss", "terms", "learning_rate", "rows_per_second", "data_wait_share", "seconds", "phase"})
    EXPECT_TRUE(step.contains(key)) << key;
  EXPECT_NEAR(step["loss"].get<double>(),
              step["terms"]["bce_teacher_read"].get<double>() +
                  step["terms"]["bce_teacher_click"].get<double>() +
                  step["terms"]["kl_bernoulli_student"].get<double>(),
              1e-6);
  const Json info = read_json(scratch_ / "run/run.json");
  EXPECT_EQ(info["status"], "finished");
  EXPECT_EQ(info["seed"], 1);
  EXPECT_EQ(info["dataset"]["sha256"], sha256_file(scratch_ / "data/manifest.json"));
  EXPECT_EQ(info["result"]["best_metric"], best);
  for (const char* key : {"retort", "libtorch", "compiler", "device", "name"})
    EXPECT_FALSE(info[key].get<std::string>().empty()) << key;
  EXPECT_EQ(read_json(scratch_ / "run/recipe.json"), tiny_recipe("dmtl", kQuick));
  int events = 0;
  for (const auto& entry : fs::directory_iterator(scratch_ / "run"))
    events += entry.path().filename().string().starts_with("events.out.tfevents.") ? 1 : 0;
  EXPECT_EQ(events, 1);
}

TEST_F(TrainTest, StopsEarlyAndKeepsTheBestEpoch) {
  const TrainResult result =
      run("early", tiny_recipe("dssm_click", quick({"train.epochs=200", "train.patience=2",
                                                    "optimizer.learning_rate=0.1"})));
  EXPECT_LT(result.epochs, 200);
  EXPECT_EQ(result.epochs, result.best_epoch + 2);
  const Checkpoint best = load_checkpoint(RunPaths(scratch_ / "early").best);
  EXPECT_EQ(best.state.at("best_epoch"), result.best_epoch);
  EXPECT_EQ(best.state.at("best"), result.best_metric);
}

TEST_F(TrainTest, LossAsTheMetricIsMinimised) {
  const TrainResult result = run("loss", tiny_recipe("dssm_click", quick({"train.metric=loss"})));
  double least = std::numeric_limits<double>::infinity();
  for (const Json& line : lines_of("loss", "epoch", "valid"))
    least = std::min(least, line["loss"].get<double>());
  EXPECT_EQ(result.best_metric, least);
}

TEST_F(TrainTest, TheTeachersWayDoesNotDependOnTheStudent) {
  const TrainRecipe recipe =
      read_train_recipe(tiny_recipe("dmtl", {"optimizer.clip_norm=0.5"}), dataset());
  Learner with(recipe, dataset().schema(), 3, torch::kCPU, 100);
  Learner without(recipe, dataset().schema(), 3, torch::kCPU, 100);
  without.set_phase(Phase::kTeacher);
  const Loader rows(dataset(), training_rows(tiny_recipe("dmtl"), dataset(), 3));
  Batch batch;
  for (int64_t step = 0; step < 12; ++step) {
    rows.load(step / rows.batches(), step % rows.batches(), batch);
    with.step(batch, step + 1);
    without.step(batch, step + 1);
  }
  const NamedTensors one = take_prefix(with.weights(), kTeacherPrefix);
  const NamedTensors two = take_prefix(without.weights(), kTeacherPrefix);
  ASSERT_EQ(one.size(), two.size());
  for (const auto& [name, tensor] : one) EXPECT_TRUE(torch::equal(tensor, two.at(name))) << name;
  const NamedTensors student = take_prefix(with.weights(), kStudentPrefix);
  const NamedTensors untouched = take_prefix(without.weights(), kStudentPrefix);
  EXPECT_FALSE(torch::equal(student.begin()->second, untouched.begin()->second));
}

TEST_F(TrainTest, FrozenDistillationTrainsTheTeacherFirstAndThenLeavesItAlone) {
  const TrainResult result =
      run("frozen", tiny_recipe("dmtl", quick({"distill.mode=frozen", "train.patience=2"})));
  const RunPaths paths(scratch_ / "frozen");
  const Checkpoint teacher = load_checkpoint(paths.teacher_best);
  const Checkpoint last = load_checkpoint(paths.last);
  for (const auto& [name, tensor] : take_prefix(teacher.tensors, kTeacherPrefix))
    EXPECT_TRUE(torch::equal(tensor, last.tensors.at(kTeacherPrefix + name))) << name;
  bool student_began = false;
  double teacher_auc = 0;
  for (const Json& line : lines_of("frozen", "epoch", "valid")) {
    const bool student = line.at("phase") == "student";
    EXPECT_TRUE(student || !student_began) << "the teacher's phase comes first";
    student_began |= student;
    if (!student) teacher_auc = std::max(teacher_auc, line["teacher"]["auc_read"].get<double>());
    if (student) {
      EXPECT_EQ(line["teacher"]["auc_read"], teacher_auc);
    }
    EXPECT_EQ(line["terms"].contains("kl_bernoulli_student"), student);
    EXPECT_EQ(line["terms"].contains("bce_teacher_read"), !student);
  }
  EXPECT_TRUE(student_began);
  EXPECT_GT(result.best_metric, 0.75);
  EXPECT_EQ(read_json(paths.info)["result"]["teacher_auc_read"], teacher_auc);
}

TEST_F(TrainTest, ANonFiniteFeatureStopsTheRunByName) {
  TinyDataset data = learnable_dataset(300);
  data.schema.features[2].transform = {.kind = "standard", .mean = 0, .deviation = 1e-38};
  data.values["item.quality"].assign(40, 3e5F);  // 3e43 overflows float32
  data.write(scratch_ / "bad");
  const Dataset bad(scratch_ / "bad");
  std::string message;
  try {
    train(tiny_recipe("dmtl"), bad, {.run = scratch_ / "run", .device = "cpu"});
  } catch (const Error& error) {
    message = error.what();
  }
  EXPECT_THAT(message, AllOf(HasSubstr("step 1:"), HasSubstr("'quality'")));
  EXPECT_EQ(load_checkpoint(RunPaths(scratch_ / "run").last).state.at("step"), 0);
}

TEST_F(TrainTest, ANonFiniteEmbeddingStopsTheRunByTable) {
  const TrainRecipe recipe = read_train_recipe(tiny_recipe("dssm_click"), dataset());
  Learner learner(recipe, dataset().schema(), 1, torch::kCPU, 10);
  NamedTensors state = learner.full_state();
  torch::Tensor table = state.at("student/item.item_id.weight");
  table[5].fill_(std::numeric_limits<float>::quiet_NaN());
  const Loader rows(dataset(), training_rows(tiny_recipe("dssm_click"), dataset(), 1));
  Batch batch;
  rows.load(0, 0, batch);
  try {
    learner.step(batch, 17);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(),
                AllOf(HasSubstr("step 17:"), HasSubstr("item.item_id"), HasSubstr("row 5")));
  }
}

TEST_F(TrainTest, AnExplodingRunLeavesItsLastGoodCheckpoint) {
  const Json recipe = tiny_recipe(
      "dssm_regression", quick({"optimizer.learning_rate=1e18", "train.checkpoint_every=1"}));
  EXPECT_THROW(run("explodes", recipe), Error);
  for (const auto& [name, tensor] : load_checkpoint(RunPaths(scratch_ / "explodes").last).tensors)
    EXPECT_TRUE(torch::isfinite(tensor).all().item<bool>()) << name;
}

TEST_F(TrainTest, AnExistingRunIsNotOverwritten) {
  run("run", tiny_recipe("dssm_click", {"train.epochs=1"}));
  try {
    run("run", tiny_recipe("dssm_click", {"train.epochs=1"}));
    FAIL() << "no error";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), HasSubstr("--resume"));
  }
}

TEST_F(TrainTest, ARunInWhichAnotherTrainsIsLeftAlone) {
  const Json recipe = tiny_recipe("dssm_click", {"train.epochs=1"});
  run("run", recipe);
  const FolderLock other(scratch_ / "run");
  EXPECT_THROW(train(recipe, dataset(), {.run = scratch_ / "run", .resume = true, .device = "cpu"}),
               IoError);
}

TEST_F(TrainTest, ChoosesBetaOnValidation) {
  run("beta", tiny_recipe("dssm_click", quick({"beta.choose=validation", "beta.metric=recall@5",
                                               "beta.grid=[0.0, 0.5, 1.0]"})));
  const Json info = read_json(scratch_ / "beta/run.json");
  double best = -1, beta = -1;
  ASSERT_EQ(info["beta"]["grid"].size(), 3u);
  for (const Json& pair : info["beta"]["grid"]) {
    if (pair[1] > best) beta = pair[0];
    best = std::max(best, pair[1].get<double>());
  }
  EXPECT_EQ(info["beta"]["value"], beta);
  EXPECT_EQ(read_json(scratch_ / "beta/model.json")["beta"], beta);
}

TEST_F(TrainTest, RecallCanDecide) {
  const TrainResult result =
      run("recall", tiny_recipe("dssm_click", quick({"train.metric=recall@10"})));
  const auto valid = lines_of("recall", "epoch", "valid");
  EXPECT_GT(result.best_metric, 10.0 / 40);  // better than a random ten of forty
  EXPECT_EQ(valid.back()["metric"], valid.back()["student"]["recall@10"]);
}

TEST_F(TrainTest, WithoutValidationTheLastEpochIsKept) {
  TinyDataset data = learnable_dataset(300);
  for (TinyClick& click : data.clicks) click.split = Split::kTrain;
  data.write(scratch_ / "all_train");
  const Dataset all(scratch_ / "all_train");
  const TrainResult result =
      train(tiny_recipe("dssm_click", {"train.epochs=4", "train.patience=1"}), all,
            {.run = scratch_ / "run", .device = "cpu"});
  EXPECT_EQ(result.epochs, 4);
  EXPECT_EQ(result.best_epoch, 4);
}

}  // namespace
}  // namespace retort
