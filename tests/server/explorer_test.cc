// The explorer in a real browser, before the real executable with a model of two tasks and one of
// a single score, which brings its teacher.
#include "tests/bundle/tiny_ranker.h"
#include "tests/encoder/two_tasks.h"
#include "tests/server/retortd_process.h"
#include "tests/support/node.h"
#include <gtest/gtest.h>

#include "retort/common/file.h"

namespace retort {
namespace {

TEST(Explorer, IsClickedThroughInChromium) {
  if (const std::string why = node_missing(/*browser=*/true); !why.empty()) GTEST_SKIP() << why;
  const TwoTaskPublication two(0.5);
  const TinyPublication one(random_tiny_dataset(8, 12, 60, 400));
  publish_with_ranker(one);
  const ScratchFolder scratch;
  write_file(scratch / "tokens", "0123456789abcdef retrieve,events\n");
  const std::vector<std::string> bundles{"two=" + two.tiny.bundles().string(),
                                         "one=" + one.bundles().string()};
  const RetortdProcess open(bundles, scratch / "open.log");
  std::vector<std::string> closed_arguments = bundles;
  closed_arguments.insert(closed_arguments.end(), {"--tokens", (scratch / "tokens").string()});
  const RetortdProcess closed(closed_arguments, scratch / "closed.log");
  ASSERT_NE(open.port(), 0) << read_file(scratch / "open.log");
  ASSERT_NE(closed.port(), 0) << read_file(scratch / "closed.log");
  const auto address = [](const RetortdProcess& server) {
    return "http://127.0.0.1:" + std::to_string(server.port());
  };
  const NodeRun run = run_node("explorer.mjs", {address(open), "u1", scratch.path().string(),
                                                address(closed), "0123456789abcdef"});
  EXPECT_EQ(run.status, 0) << run.output;
}

}  // namespace
}  // namespace retort
