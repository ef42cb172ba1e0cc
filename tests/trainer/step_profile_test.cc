#include "retort/trainer/step_profile.h"

#include "tests/support/scratch_folder.h"
#include <gtest/gtest.h>

#include "retort/common/json.h"

namespace retort {
namespace {

void run_steps(StepProfile& profile, int steps) {
  for (int step = 0; step < steps; ++step) {
    const TraceScope trace("step");
    profile.step_done();
  }
}

size_t events_in(const fs::path& path) {
  return Json::parse(read_file(path))["traceEvents"].size();
}

TEST(StepProfile, KeepsTheStepsAfterTheFirst) {
  const ScratchFolder folder;
  StepProfile profile(folder / "profile.json");
  run_steps(profile, StepProfile::kWarmup + StepProfile::kSteps - 1);
  EXPECT_FALSE(fs::exists(folder / "profile.json"));
  run_steps(profile, 50);
  // The last step is still running when its end is noted.
  EXPECT_EQ(events_in(folder / "profile.json"), StepProfile::kSteps - 1);
}

TEST(StepProfile, AShortRunKeepsWhatThereIs) {
  const ScratchFolder folder;
  {
    StepProfile profile(folder / "profile.json");
    run_steps(profile, StepProfile::kWarmup + 5);
  }
  EXPECT_EQ(events_in(folder / "profile.json"), 5U);
}

TEST(StepProfile, WithoutAFileNothingIsRecorded) {
  StepProfile profile(std::nullopt);
  run_steps(profile, StepProfile::kWarmup + 5);
  const TraceRecorder free;  // none is active
}

}  // namespace
}  // namespace retort
