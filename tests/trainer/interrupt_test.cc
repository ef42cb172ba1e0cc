// Runs in child processes that are interrupted or killed.
#include <chrono>
#include <cstdio>
#include <memory>
#include <thread>

#include "tests/support/scratch_folder.h"
#include "tests/support/soak.h"
#include "tests/trainer/learnable_data.h"
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "retort/common/error.h"
#include "retort/common/progress.h"
#include "retort/common/rng.h"
#include "retort/common/thread_pool.h"
#include "retort/trainer/checkpoint.h"
#include "retort/trainer/run_folder.h"
#include "retort/trainer/train.h"
#include "retort/trainer/trained_model.h"

namespace retort {
namespace {

class InterruptTest : public testing::Test {
 protected:
  InterruptTest() {
    set_threads(1);
    learnable_dataset(400).write(scratch_ / "data");
    dataset_ = std::make_unique<Dataset>(scratch_ / "data");
  }
  // Trains in a child until a signal ends it; 130 if it left by Interrupted.
  pid_t start(const std::string& folder, bool resume) const {
    const pid_t child = ::fork();
    if (child != 0) return child;
    Progress::set_enabled(false);
    catch_interrupts();
    int code = 0;
    try {
      train(recipe_, *dataset_, {.run = scratch_ / folder, .resume = resume, .device = "cpu"});
    } catch (const Interrupted&) {
      code = 130;
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s\n", error.what());
      code = 1;
    }
    ::_exit(code);
  }
  static int wait_for(pid_t child) {
    int status = 0;
    ::waitpid(child, &status, 0);
    return status;
  }
  void wait_until_begun(const std::string& folder) const {
    for (int i = 0; i < 3000 && !fs::exists(scratch_ / folder / "metrics.jsonl"); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  const ScratchFolder scratch_;
  std::unique_ptr<Dataset> dataset_;
  // Endless for the purpose; a checkpoint a step, so that kills meet writing ones.
  Json recipe_ = tiny_recipe("dmtl", {"train.batch=64", "train.epochs=100000", "train.patience=0",
                                      "train.checkpoint_every=1"});
};

TEST_F(InterruptTest, InterruptAndTerminateLeaveACheckpoint) {
  for (const int signal : {SIGINT, SIGTERM}) {
    const std::string folder = "run" + std::to_string(signal);
    const pid_t child = start(folder, false);
    wait_until_begun(folder);
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    ::kill(child, signal);
    const int status = wait_for(child);
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 130);
    EXPECT_GT(load_checkpoint(RunPaths(scratch_ / folder).last).state.at("step"), 0);
    EXPECT_EQ(read_json(scratch_ / folder / "run.json")["status"], "interrupted");
  }
}

TEST_F(InterruptTest, AKillAtAnyMomentLeavesARunThatLoadsOrIsAbsent) {
  const Rng rng(11, "kills");
  int64_t step = 0;
  for (int kill = 0; kill < soak(8); ++kill) {
    const pid_t child = start("killed", true);
    if (kill > 0) wait_until_begun("killed");
    const auto pause = static_cast<int64_t>(rng.below(250'000, static_cast<uint64_t>(kill)));
    std::this_thread::sleep_for(std::chrono::microseconds(pause));
    ::kill(child, SIGKILL);
    ASSERT_TRUE(WIFSIGNALED(wait_for(child))) << "the child ended by itself";
    if (!fs::exists(scratch_ / "killed")) continue;
    const Checkpoint last = load_checkpoint(RunPaths(scratch_ / "killed").last);
    EXPECT_GE(last.state.at("step").get<int64_t>(), step);
    step = last.state.at("step");
    EXPECT_NO_THROW(TrainedModel(scratch_ / "killed", *dataset_, "cpu"));
  }
  EXPECT_GT(step, 0);
}

}  // namespace
}  // namespace retort
