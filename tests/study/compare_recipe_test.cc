#include "retort/study/compare_recipe.h"

#include "tests/support/scratch_folder.h"
#include <gtest/gtest.h>

#include "retort/common/error.h"

namespace retort {
namespace {

class ComparePlans : public testing::Test {
 protected:
  ComparePlans() {
    write_file(folder_ / "one.toml",
               "name = \"one\"\n[train]\nepochs = 20\n[presets.tiny.train]\nepochs = 2\n"
               "[presets.small]\n");
    write_file(folder_ / "two.toml",
               "name = \"two\"\n[train]\nepochs = 7\n[presets.tiny]\n"
               "[presets.small]\n");
  }
  ComparePlan read(const std::string& text, const std::string& preset = "",
                   const std::vector<std::string>& sets = {}) {
    write_file(folder_ / "plan.toml", text);
    return read_compare_plan(folder_ / "plan.toml", preset, sets);
  }
  ScratchFolder folder_;
};

TEST_F(ComparePlans, ResolveRowsWithPresetsAndSets) {
  const std::string text =
      "name = \"both\"\ndata = \"feed\"\nseeds = 2\npreset = \"tiny\"\n"
      "[[rows]]\nrecipe = \"one.toml\"\n"
      "[[rows]]\nrecipe = \"one.toml\"\nlabel = \"long\"\nsets = [\"train.epochs=50\"]\n"
      "[[rows]]\nrecipe = \"one.toml\"\nlabel = \"small\"\npreset = \"small\"\n"
      "[[rows]]\nrecipe = \"two.toml\"\n";
  const ComparePlan plan = read(text);
  EXPECT_EQ(plan.name, "both");
  EXPECT_EQ(plan.data, std::vector<std::string>{"feed"});
  EXPECT_EQ(plan.seeds, 2);
  ASSERT_EQ(plan.rows.size(), 4u);
  EXPECT_EQ(plan.rows[0].label, "one");
  EXPECT_EQ(plan.rows[0].recipe["train"]["epochs"], 2);
  EXPECT_EQ(plan.rows[1].label, "long");
  EXPECT_EQ(plan.rows[1].recipe["train"]["epochs"], 50);
  EXPECT_EQ(plan.rows[2].recipe["train"]["epochs"], 20);
  EXPECT_EQ(plan.rows[3].label, "two");
  const ComparePlan other = read(text, "small", {"train.epochs=3"});
  for (const CompareRow& row : other.rows) EXPECT_EQ(row.recipe["train"]["epochs"], 3);
}

TEST_F(ComparePlans, RefuseWhatIsWrong) {
  const std::string row = "[[rows]]\nrecipe = \"one.toml\"\n";
  EXPECT_THROW(read("name = \"x\"\n"), ConfigError);
  EXPECT_THROW(read("seeds = 0\n" + row), ConfigError);
  EXPECT_THROW(read("sedes = 2\n" + row), ConfigError);
  EXPECT_THROW(read(row + row), ConfigError);                  // one label twice
  EXPECT_THROW(read(row + "label = \"a/b\"\n"), ConfigError);  // no folder name
  EXPECT_THROW(read(row + "lable = \"a\"\n"), ConfigError);
  EXPECT_THROW(read("[[rows]]\nlabel = \"a\"\n"), ConfigError);  // no recipe
  EXPECT_THROW(read("[[rows]]\nrecipe = \"none.toml\"\n"), ConfigError);
}

TEST_F(ComparePlans, PlainRecipesAreLabelledByName) {
  const auto rows =
      compare_rows({(folder_ / "one.toml").string(), (folder_ / "two.toml").string()}, "tiny", {});
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].label, "one");
  EXPECT_EQ(rows[0].recipe["train"]["epochs"], 2);
  EXPECT_FALSE(is_compare_plan(rows[0].recipe));
}

}  // namespace
}  // namespace retort
