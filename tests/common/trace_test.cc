#include "retort/common/trace.h"

#include <thread>

#include "tests/support/scratch_folder.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/common/json.h"

namespace retort {
namespace {

using namespace std::chrono_literals;

TEST(Trace, SelfTimeLeavesOutTheScopesInside) {
  const TraceRecorder recorder;
  {
    const TraceScope outer("outer");
    std::this_thread::sleep_for(20ms);
    for (int i = 0; i < 2; ++i) {
      const TraceScope inner("inner");
      std::this_thread::sleep_for(30ms);
    }
  }
  const auto rows = recorder.rows();
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].name, "inner");
  EXPECT_EQ(rows[0].calls, 2);
  EXPECT_GE(rows[0].self_seconds, 0.06);
  EXPECT_EQ(rows[1].name, "outer");
  EXPECT_GE(rows[1].seconds, 0.08);
  EXPECT_NEAR(rows[1].self_seconds, rows[1].seconds - rows[0].seconds, 1e-6);
  EXPECT_THAT(recorder.table(), testing::HasSubstr("inner"));
}

TEST(Trace, NothingIsKeptWithoutARecorder) {
  { const TraceScope scope("lost"); }
  const TraceRecorder recorder;
  EXPECT_TRUE(recorder.rows().empty());
  EXPECT_THROW(TraceRecorder(), ArgumentError) << "one at a time";
}

TEST(Trace, ThreadsAreToldApartInTheChromeTrace) {
  const TraceRecorder recorder;
  { const TraceScope scope("here"); }
  std::thread([] { const TraceScope scope("there"); }).join();
  const ScratchFolder folder;
  recorder.write_chrome_trace(folder / "trace.json");
  const Json events = Json::parse(read_file(folder / "trace.json"))["traceEvents"];
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[0]["ph"], "X");
  EXPECT_NE(events[0]["tid"], events[1]["tid"]);
  EXPECT_GE(events[1]["ts"].get<double>(), events[0]["ts"].get<double>());
}

}  // namespace
}  // namespace retort
