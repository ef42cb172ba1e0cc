#include "tests/support/scratch_folder.h"
#include "tests/trainer/learnable_data.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/common/thread_pool.h"
#include "retort/trainer/checkpoint.h"
#include "retort/trainer/run_folder.h"
#include "retort/trainer/train.h"

namespace retort {
namespace {

using testing::HasSubstr;

void expect_equal_tensors(const fs::path& a, const fs::path& b) {
  const Checkpoint one = load_checkpoint(a), two = load_checkpoint(b);
  ASSERT_EQ(one.tensors.size(), two.tensors.size());
  for (const auto& [name, tensor] : one.tensors)
    EXPECT_TRUE(torch::equal(tensor, two.tensors.at(name))) << name;
}

// The lines without what the clock decides.
std::vector<Json> timeless(std::vector<Json> lines) {
  for (Json& line : lines)
    for (const char* key : {"rows_per_second", "data_wait_share", "seconds", "validation_seconds"})
      line.erase(key);
  return lines;
}

void expect_equal_runs(const fs::path& a, const fs::path& b) {
  const RunPaths one(a), two(b);
  expect_equal_tensors(one.last, two.last);
  expect_equal_tensors(one.best, two.best);
  expect_equal_tensors(one.teacher_best, two.teacher_best);
  EXPECT_EQ(timeless(metrics_of(a)), timeless(metrics_of(b)));
  for (const char* key : {"steps", "best_metric", "best_epoch", "teacher_auc_read"})
    EXPECT_EQ(read_json(one.info)["result"][key], read_json(two.info)["result"][key]) << key;
}

class ResumeTest : public testing::Test {
 protected:
  ResumeTest() {
    set_threads(1);
    random_tiny_dataset(3).write(scratch_ / "data");
    dataset_ = std::make_unique<Dataset>(scratch_ / "data");
    recipe_ = tiny_recipe("dmtl", {"train.batch=70", "train.epochs=3", "train.log_every=4",
                                   "train.checkpoint_every=7", "optimizer.warmup_steps=5",
                                   "optimizer.decay=cosine", "optimizer.clip_norm=1.0"});
  }
  TrainResult run(const std::string& folder, bool resume = false, int64_t stop = -1) {
    TrainOptions options{.run = scratch_ / folder, .resume = resume, .device = "cpu"};
    options.stop_after_step = stop;
    return train(recipe_, *dataset_, options);
  }
  const ScratchFolder scratch_;
  std::unique_ptr<Dataset> dataset_;
  Json recipe_;
};

TEST_F(ResumeTest, FromTwentyStopsTheResultIsThatOfAnUninterruptedRun) {
  const int64_t steps = run("whole").steps;
  ASSERT_GE(steps, 20);
  const int64_t per_epoch = steps / 3;
  for (int64_t i = 0; i < 20; ++i) {
    // Spread over the run; the first ones at epoch ends and at the very last step.
    const int64_t stop = i < 3 ? per_epoch * (i + 1) : 1 + (i - 3) * (steps - 1) / 17;
    SCOPED_TRACE("stopped after step " + std::to_string(stop));
    const std::string folder = "stopped" + std::to_string(i);
    EXPECT_THROW(run(folder, false, stop), Interrupted);
    EXPECT_EQ(read_json(scratch_ / folder / "run.json")["status"], "interrupted");
    run(folder, true);
    expect_equal_runs(scratch_ / "whole", scratch_ / folder);
  }
}

TEST_F(ResumeTest, ARunMayBeStoppedAgainAndAgain) {
  const int64_t steps = run("whole").steps;
  for (int64_t stop = 3; stop < steps; stop += 5)
    EXPECT_THROW(run("often", stop > 3, stop), Interrupted);
  run("often", true);
  expect_equal_runs(scratch_ / "whole", scratch_ / "often");
}

TEST_F(ResumeTest, FrozenDistillationResumesInEitherPhase) {
  recipe_["distill"]["mode"] = "frozen";
  const int64_t steps = run("whole").steps;
  for (const int64_t stop : {steps / 5, steps / 2, steps - 1}) {
    SCOPED_TRACE(stop);
    const std::string folder = "frozen" + std::to_string(stop);
    EXPECT_THROW(run(folder, false, stop), Interrupted);
    run(folder, true);
    expect_equal_runs(scratch_ / "whole", scratch_ / folder);
  }
}

TEST_F(ResumeTest, AFinishedRunStaysAsItIs) {
  const TrainResult result = run("done");
  const std::string before = read_file(scratch_ / "done/metrics.jsonl");
  const TrainResult again = run("done", true);
  EXPECT_EQ(again.steps, result.steps);
  EXPECT_EQ(again.best_metric, result.best_metric);
  EXPECT_EQ(read_file(scratch_ / "done/metrics.jsonl"), before);
}

TEST_F(ResumeTest, WithoutARunItBegins) { EXPECT_GT(run("fresh", true).steps, 0); }

TEST_F(ResumeTest, AnotherRecipeSeedOrDatasetIsRefused) {
  EXPECT_THROW(run("run", false, 2), Interrupted);
  const auto error_of = [&](const Json& recipe, const Dataset& dataset, uint64_t seed) {
    try {
      train(recipe, dataset,
            {.run = scratch_ / "run", .resume = true, .device = "cpu", .seed = seed});
    } catch (const ConfigError& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  Json other = recipe_;
  other["train"]["batch"] = 71;
  EXPECT_THAT(error_of(other, *dataset_, 1), HasSubstr("train.batch"));
  EXPECT_THAT(error_of(recipe_, *dataset_, 2), HasSubstr("--seed"));
  random_tiny_dataset(4).write(scratch_ / "other");
  EXPECT_THAT(error_of(recipe_, Dataset(scratch_ / "other"), 1), HasSubstr("another dataset"));
}

}  // namespace
}  // namespace retort
