// Jobs of several processes: the curve of one, whatever happens to them.
#include <chrono>
#include <cmath>
#include <memory>
#include <thread>

#include "tests/support/scratch_folder.h"
#include "tests/trainer/learnable_data.h"
#include "tests/trainer/ranks_job.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "retort/common/thread_pool.h"
#include "retort/trainer/checkpoint.h"
#include "retort/trainer/run_folder.h"

namespace retort {
namespace {

using testing::AllOf;
using testing::Each;
using testing::HasSubstr;

class RanksTest : public testing::Test {
 protected:
  RanksTest() {
    set_threads(1);
    learnable_dataset(400).write(scratch_ / "data");
    dataset_ = std::make_unique<Dataset>(scratch_ / "data");
  }
  // 67 rows: 13 positives a batch, of which the ranks get unequal parts, and 7 in the last one.
  static Json recipe(const std::string& name, std::vector<std::string> more = {}) {
    std::vector<std::string> sets{"train.batch=67",       "train.epochs=2",
                                  "train.patience=0",     "train.log_every=1",
                                  "train.precision=fp32", "optimizer.clip_norm=0.5"};
    sets.insert(sets.end(), more.begin(), more.end());
    return tiny_recipe(name, sets);
  }
  RanksJob start(const Json& recipe, const std::string& folder, int ranks, bool resume = false) {
    return {recipe, *dataset_, scratch_ / folder, ranks, resume};
  }
  std::vector<Json> metrics(const std::string& folder) const {
    return metrics_of(scratch_ / folder / "run");
  }
  void expect_same_curve(const std::string& one, const std::string& two) const {
    const std::vector<Json> a = metrics(one), b = metrics(two);
    ASSERT_EQ(a.size(), b.size());
    double worst = 0;
    for (size_t i = 0; i < a.size(); ++i) {
      EXPECT_EQ(a[i].at("step"), b[i].at("step"));
      EXPECT_EQ(a[i].at("kind"), b[i].at("kind"));
      worst =
          std::max(worst, std::abs(a[i].at("loss").get<double>() - b[i].at("loss").get<double>()));
      ASSERT_EQ(a[i].at("terms").size(), b[i].at("terms").size());
      for (const auto& [name, value] : a[i].at("terms").items())
        worst = std::max(worst, std::abs(value.get<double>() - b[i]["terms"][name].get<double>()));
    }
    EXPECT_LE(worst, 1e-5) << one << " against " << two;
    RecordProperty("worst_difference_of_" + two, std::to_string(worst * 1e6) + "e-6");
  }
  void wait_for_steps(const std::string& folder, size_t steps) const {
    const fs::path log = scratch_ / folder / "run/metrics.jsonl";
    for (int i = 0; i < 30'000; ++i) {
      if (fs::exists(log)) {
        const std::string text = read_file(log);
        if (static_cast<size_t>(std::count(text.begin(), text.end(), '\n')) >= steps) return;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    FAIL() << log << " never had " << steps << " lines";
  }
  const ScratchFolder scratch_;
  std::unique_ptr<Dataset> dataset_;
};

TEST_F(RanksTest, TwoAndFourRanksGiveTheLossCurveOfOne) {
  for (const std::string name : {"dmtl", "dssm_click"}) {
    SCOPED_TRACE(name);
    for (const int ranks : {1, 2, 4})
      ASSERT_THAT(start(recipe(name), name + std::to_string(ranks), ranks).wait_for_all(), Each(0));
    ASSERT_GT(metrics(name + "1").size(), 40U);
    expect_same_curve(name + "1", name + "2");
    expect_same_curve(name + "1", name + "4");
    EXPECT_EQ(read_json(scratch_ / (name + "4") / "run/run.json")["ranks"], 4);
  }
}

TEST_F(RanksTest, RanksWithoutRowsTakePartAndFrozenPhasesToo) {
  // 3 positives a batch for 4 ranks; the second phase begins on all of them.
  const Json frozen = recipe("dmtl", {"distill.mode=frozen", "train.batch=15", "train.epochs=1"});
  for (const int ranks : {1, 4})
    ASSERT_THAT(start(frozen, "frozen" + std::to_string(ranks), ranks).wait_for_all(), Each(0));
  expect_same_curve("frozen1", "frozen4");
}

TEST_F(RanksTest, ALostRankEndsTheJobAndResumeContinuesTheCurveWithAnyNumberOfRanks) {
  const Json job = recipe("dmtl", {"train.epochs=8", "train.checkpoint_every=3"});
  ASSERT_THAT(start(job, "whole", 1).wait_for_all(), Each(0));
  for (const int lost : {0, 1}) {
    const std::string folder = "lost" + std::to_string(lost);
    RanksJob ranks = start(job, folder, 2);
    wait_for_steps(folder, 30);
    ranks.signal(lost, SIGKILL);
    EXPECT_EQ(ranks.wait(1 - lost, 10), 1);
    EXPECT_EQ(ranks.wait(lost), -SIGKILL) << "it was done before it was killed";
    EXPECT_THAT(ranks.errors_of(1 - lost), AllOf(HasSubstr("lost a peer"), HasSubstr("--resume")));
    const Checkpoint last = load_checkpoint(RunPaths(scratch_ / folder / "run").last);
    EXPECT_GT(last.state.at("step"), 0);
    EXPECT_THAT(start(job, folder, lost == 0 ? 1 : 3, true).wait_for_all(), Each(0));
    expect_same_curve("whole", folder);
  }
}

TEST_F(RanksTest, OneOfFourLostEndsTheOthers) {
  const Json job = recipe("dssm_click", {"train.epochs=100000"});
  RanksJob ranks = start(job, "four", 4);
  wait_for_steps("four", 20);
  ranks.signal(2, SIGKILL);
  for (const int rank : {0, 1, 3}) {
    EXPECT_EQ(ranks.wait(rank, 10), 1);
    EXPECT_THAT(ranks.errors_of(rank), HasSubstr("lost a peer"));
  }
}

TEST_F(RanksTest, AHungRankEndsTheJobAfterTheTimeout) {
  const Json job = recipe("dssm_click", {"train.epochs=100000", "train.rank_timeout=2"});
  RanksJob ranks = start(job, "hung", 2);
  wait_for_steps("hung", 20);
  ranks.signal(1, SIGSTOP);
  EXPECT_EQ(ranks.wait(0, 15), 1);
  EXPECT_THAT(ranks.errors_of(0), AllOf(HasSubstr("lost a peer"), HasSubstr("2 s")));
}

TEST_F(RanksTest, AnInterruptOfOneRankStopsAllWithACheckpoint) {
  const Json job = recipe("dmtl", {"train.epochs=100000"});
  RanksJob ranks = start(job, "stopped", 2);
  wait_for_steps("stopped", 10);
  ranks.signal(1, SIGTERM);
  EXPECT_THAT(ranks.wait_for_all(), Each(130));
  EXPECT_GT(load_checkpoint(RunPaths(scratch_ / "stopped/run").last).state.at("step"), 9);
  EXPECT_EQ(read_json(scratch_ / "stopped/run/run.json")["status"], "interrupted");
}

TEST_F(RanksTest, AllRanksRefuseALossThatIsNotFiniteWithOneMessage) {
  RanksJob ranks = start(recipe("dssm_regression", {"optimizer.learning_rate=1e30"}), "nan", 2);
  EXPECT_THAT(ranks.wait_for_all(), Each(1));
  EXPECT_THAT(ranks.errors_of(0), HasSubstr("is not finite"));
  EXPECT_EQ(ranks.errors_of(0), ranks.errors_of(1));
}

TEST_F(RanksTest, WhatRankZeroRefusesIsRefusedByAll) {
  fs::create_directories(scratch_ / "taken/run");
  RanksJob ranks = start(recipe("dssm_click"), "taken", 2);
  EXPECT_THAT(ranks.wait_for_all(), Each(2));
  for (const int rank : {0, 1}) EXPECT_THAT(ranks.errors_of(rank), HasSubstr("exists already"));
}

}  // namespace
}  // namespace retort
