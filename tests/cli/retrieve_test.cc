// `retort retrieve` on bundles of one and of two tasks.
#include "executable.h"
#include "tests/bundle/tiny_bundle.h"
#include "tests/encoder/two_tasks.h"
#include <gtest/gtest.h>

#include "retort/bundle/bundle.h"
#include "retort/encoder/retriever.h"

namespace retort {
namespace {

TEST(RetrieveCommand, FusesTheTasksAsAsked) {
  const TwoTaskPublication published(0);
  const std::string command = "retrieve " + published.path.string() + " --user u3 -k 60 --json";
  const Bundle bundle(published.path);
  const Retriever retriever(bundle);
  for (const double fusion : {0.0, 0.3, 1.0}) {
    const Outcome outcome = retort_command(command + fmt::format(" --fusion {}", fusion));
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    const Json expected = to_json(retriever.retrieve("u3", {.k = 60, .fusion = fusion}));
    EXPECT_EQ(outcome.json()["items"], expected["items"]);
  }
  EXPECT_EQ(retort_command(command).json(), retort_command(command + " --fusion 0.25").json());
  EXPECT_NE(retort_command(command).json(), retort_command(command + " --fusion 1").json());
}

TEST(RetrieveCommand, AWrongFusionIsWrongUsage) {
  const TwoTaskPublication published(0);
  const Outcome outside =
      retort_command("retrieve " + published.path.string() + " --user u3 --fusion 1.5");
  EXPECT_EQ(outside.code, 2);
  EXPECT_NE(outside.err.find("expected 0 to 1"), std::string::npos) << outside.err;
  const fs::path plain = published.tiny.publish().path;
  const Outcome one_task = retort_command("retrieve " + plain.string() + " --user u3 --fusion 0.5");
  EXPECT_EQ(one_task.code, 2);
  EXPECT_NE(one_task.err.find("the model has one task"), std::string::npos) << one_task.err;
}

}  // namespace
}  // namespace retort
