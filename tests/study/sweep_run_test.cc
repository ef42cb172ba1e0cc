#include "tests/study/sweep_recipe_text.h"
#include "tests/support/scratch_folder.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/recipe.h"
#include "retort/study/sweep.h"

namespace retort {
namespace {

using testing::HasSubstr;

CompareOptions quick_options(const fs::path& out) {
  CompareOptions options;
  options.out = out;
  options.seeds = 1;
  options.evaluate.baselines = false;
  options.evaluate.bootstrap.resamples = 20;
  return options;
}

/// Trains eight tiny models once; a second call trains none and says the same.
TEST(SweepRun, TablesAndPictureAreOfAllCells) {
  const ScratchFolder scratch;
  write_file(scratch / "sweep.toml", kSweepRecipe);
  const SweepPlan plan = read_sweep_plan(scratch / "sweep.toml", "", {"train.epochs=2"});
  const CompareOptions options = quick_options(scratch / "out");
  const SweepResult result = run_sweep(plan, options);
  ASSERT_EQ(result.cells.size(), 4);
  const Json json = to_json(plan, result);
  for (const Json& cell : json["cells"]) {
    EXPECT_GT(cell["dataset"]["clicks"], 1000);
    ASSERT_EQ(cell["claims"].size(), 1);
    EXPECT_LE(cell["claims"][0]["low"], cell["claims"][0]["value"]);
  }
  const std::string text = table(plan, result);
  EXPECT_THAT(text, HasSubstr("clicks first by auc_read; down: negatives a click; across: epochs"));
  for (const Json& cell : json["cells"])
    EXPECT_THAT(text, HasSubstr(fmt::format("{:+.4f}", cell["claims"][0]["value"].get<double>())));
  const std::string svg = sweep_svg(plan, result);
  EXPECT_THAT(svg, HasSubstr("A reader&#39;s &lt;sweep>"));
  EXPECT_THAT(svg, HasSubstr("negatives=2"));
  size_t cells = 0;
  for (size_t at = svg.find("stroke='#888'"); at != std::string::npos;
       at = svg.find("stroke='#888'", at + 1))
    ++cells;
  EXPECT_EQ(cells, 4);
  size_t worlds = 0;
  for (const auto& entry : fs::directory_iterator(options.out / "worlds")) worlds += entry.exists();
  EXPECT_EQ(worlds, 1);
  EXPECT_EQ(to_json(plan, run_sweep(plan, options)), json);
}

/// No item can be read for so evenly long a time.
TEST(SweepRun, AWorldThatCannotBeMadeIsLeftOutWithItsReason) {
  const ScratchFolder scratch;
  std::string recipe = kSweepRecipe;
  const std::string negatives = "negatives.per_click=2";
  recipe.replace(recipe.find(negatives), negatives.size(), "world.log_seconds_deviation=0.2");
  write_file(scratch / "sweep.toml", recipe);
  const SweepPlan plan = read_sweep_plan(scratch / "sweep.toml", "", {"train.epochs=1"});
  const CompareOptions options = quick_options(scratch / "out");
  const SweepResult result = run_sweep(plan, options);
  for (size_t i = 0; i < result.cells.size(); ++i) {
    const bool impossible = result.cells[i].label(plan).find("negatives=2") != std::string::npos;
    EXPECT_EQ(result.verdicts[i].empty(), impossible);
    EXPECT_EQ(result.reasons[i].find("log_seconds_deviation") != std::string::npos, impossible);
  }
  EXPECT_THAT(sweep_svg(plan, result), HasSubstr("no such world"));
}

}  // namespace
}  // namespace retort
