#include "retort/common/table.h"

#include <gtest/gtest.h>

#include "retort/common/error.h"

namespace retort {
namespace {

TEST(Table, SetsTheFirstColumnLeftAndTheOthersRight) {
  Table table({"model", "auc"});
  table.add({"dmtl", "0.95"});
  table.add({"click", "0.9"});
  EXPECT_EQ(table.text(),
            "model   auc\n"
            "-----------\n"
            "dmtl   0.95\n"
            "click   0.9\n");
}

TEST(Table, CountsCodePointsNotBytes) {
  Table table({"\xC3\xA9", "b"});  // é
  table.add({"xx", "1"});
  EXPECT_EQ(table.text(), "\xC3\xA9   b\n-----\nxx  1\n");
}

TEST(Table, PrintsMarkdown) {
  Table table({"model", "auc"});
  table.add({"dmtl", "0.95"});
  EXPECT_EQ(table.markdown(), "| model | auc |\n|---|---:|\n| dmtl | 0.95 |\n");
}

TEST(Table, RefusesARowOfAnotherLength) {
  Table table({"a", "b"});
  EXPECT_THROW(table.add({"1"}), ArgumentError);
}

}  // namespace
}  // namespace retort
