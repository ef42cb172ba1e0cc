#include "retort/study/sweep.h"

#include "tests/study/sweep_recipe_text.h"
#include "tests/support/scratch_folder.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/common/recipe.h"

namespace retort {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class Sweep : public testing::Test {
 protected:
  SweepPlan read(const std::string& text) const {
    write_file(scratch_ / "sweep.toml", text);
    return read_sweep_plan(scratch_ / "sweep.toml", "", {"train.epochs=2"});
  }
  static std::string without(std::string text, const std::string& line) {
    const size_t at = text.find(line);
    return text.erase(at, line.size());
  }
  ScratchFolder scratch_;
};

TEST_F(Sweep, EveryCellOfAMapIsThereOnceWithItsSettings) {
  const SweepPlan plan = read(kSweepRecipe);
  std::vector<std::string> labels;
  for (const SweepCell& cell : cells_of(plan)) labels.push_back(cell.label(plan));
  EXPECT_THAT(labels,
              ElementsAre("epochs=one negatives=2", "negatives=2", "epochs=one", "default"));
  const SweepCell cell = cell_at(plan, plan.maps[0], 0, 0);
  EXPECT_THAT(cell.data_sets(plan), ElementsAre("negatives.per_click=2"));
  EXPECT_EQ(cell.compare_plan(plan).rows[0].recipe["train"]["epochs"], 1);
  EXPECT_EQ(plan.compare.rows[0].recipe["train"]["epochs"], 2);
}

TEST_F(Sweep, CellsThatTwoMapsShareAreOne) {
  const std::string more = std::string(kSweepRecipe) + R"(
[[dimensions]]
name = "other"
values = [{ name = "a" }, { name = "b", data = ["world.drift=false"] }]
[[maps]]
x = "epochs"
y = "other"
)";
  EXPECT_EQ(cells_of(read(more)).size(), 6);  // 4 + 4, of which two have the defaults of y
}

TEST_F(Sweep, MistakesAreNamed) {
  const std::string good = kSweepRecipe;
  EXPECT_THROW(read(without(good, "[[maps]]\nx = \"epochs\"\ny = \"negatives\"\n")), ConfigError);
  EXPECT_THROW(read(without(good, ", { name = \"two\" }")), ConfigError);
  EXPECT_THROW(read(without(good, ", data = [\"negatives.per_click=2\"]")), ConfigError);
  EXPECT_THROW(read(without(good, "data = \"feed\"\n")), ConfigError);
  EXPECT_THROW(read(good + "[[maps]]\nx = \"epochs\"\ny = \"noise\"\n"), ConfigError);
  EXPECT_THROW(read(good + "[[maps]]\nx = \"epochs\"\ny = \"epochs\"\n"), ConfigError);
}

}  // namespace
}  // namespace retort
