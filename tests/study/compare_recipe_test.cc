#include "retort/study/compare_recipe.h"

#include <map>

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

constexpr const char* kTable =
    "name = \"t\"\ndata = [\"tv\", \"movies\"]\npreset = \"small\"\n"
    "metrics = [\"recall_click@20\", \"nktd\"]\n"
    "[presets.tiny]\nmetrics = [\"recall_click@10\", \"nktd\"]\n"
    "[[rows]]\nrecipe = \"one.toml\"\nlabel = \"a\"\ntitle = \"A\"\nshown = false\n"
    "[[rows]]\nrecipe = \"one.toml\"\nlabel = \"b\"\nafter = \"a\"\n"
    "sets = [\"train.epochs=5\"]\n[rows.presets.tiny]\nsets = [\"train.epochs=4\"]\n"
    "[rows.published]\ntv = { recall_click = 0.5, nktd = 0.4 }\nmovies = { nktd = 0.3 }\n"
    "[[rows]]\nrecipe = \"two.toml\"\nlabel = \"c\"\ndata = \"tv\"\n";

TEST_F(ComparePlans, TablesHaveDataPresetsAndPublishedFigures) {
  const ComparePlan plan = read(kTable);
  EXPECT_TRUE(plan.data_folders);
  EXPECT_EQ(plan.metrics[0], "recall_click@20");
  EXPECT_EQ(plan.preset, "small");
  EXPECT_EQ(plan.rows[0].heading(), "A");
  EXPECT_FALSE(plan.rows[0].shown);
  EXPECT_EQ(plan.rows[1].heading(), "b");
  EXPECT_EQ(plan.rows[1].after, "a");
  EXPECT_EQ(plan.rows[1].recipe["train"]["epochs"], 5);
  EXPECT_EQ(plan.rows[1].published.at("tv").at("recall_click"), 0.5);
  EXPECT_EQ(plan.rows[1].published.at("movies").size(), 1u);
  EXPECT_EQ(rows_for(plan, "tv").size(), 3u);
  EXPECT_EQ(rows_for(plan, "movies").size(), 2u);
  const ComparePlan tiny = read(kTable, "tiny");
  EXPECT_EQ(tiny.metrics[0], "recall_click@10");
  EXPECT_EQ(tiny.rows[1].recipe["train"]["epochs"], 4);
}

TEST_F(ComparePlans, FiguresOfOneDataRecipeNeedNoName) {
  const ComparePlan plan = read(
      "data = [\"tv\"]\nmetrics = [\"wrecall@20\"]\n"
      "[[rows]]\nrecipe = \"one.toml\"\npublished = { wrecall = 0.25 }\n");
  EXPECT_EQ(plan.rows[0].published.at("tv").at("wrecall"), 0.25);
}

TEST_F(ComparePlans, AMetricThatDoesNotExistIsRefusedBeforeAnythingIsTrained) {
  const auto plan = [&](const std::string& metric) {
    return read("data = [\"tv\"]\nmetrics = [\"" + metric +
                "\"]\n[[rows]]\nrecipe = \"one.toml\"\n");
  };
  EXPECT_NO_THROW(plan("task_auc_share"));
  EXPECT_NO_THROW(plan("train_megabytes"));
  try {
    plan("auc_reed");
    FAIL() << "no error";
  } catch (const ConfigError& error) {
    EXPECT_NE(std::string(error.what()).find("did you mean 'auc_read'"), std::string::npos);
  }
}

TEST_F(ComparePlans, RefuseTablesThatDoNotFit) {
  const std::string table = kTable;
  const auto claim = [&](const std::string& keys) {
    return read(table + "[[claims]]\nname = \"H\"\n" + keys);
  };
  EXPECT_EQ(claim("row = \"b\"\nother = \"c\"\n").claims.size(), 1u);
  EXPECT_THROW(claim("row = \"b\"\nother = \"x\"\n"), ConfigError);
  EXPECT_THROW(claim("row = \"b\"\nother = \"a\"\n"), ConfigError);  // not shown
  EXPECT_THROW(claim("row = \"b\"\nother = \"c\"\nexpected = \"same\"\n"), ConfigError);
  EXPECT_THROW(claim("row = \"b\"\nother = \"c\"\nmetrics = [\"mrr\"]\n"), ConfigError);
  const std::string row = "[[rows]]\nrecipe = \"two.toml\"\nlabel = \"d\"\n";
  EXPECT_THROW(read(table + row + "after = \"e\"\n"), ConfigError);
  EXPECT_THROW(read(table + row + "data = \"music\"\n"), ConfigError);
  EXPECT_THROW(read(table + row + "published = { nktd = 0.3 }\n"), ConfigError);  // of which data
  EXPECT_THROW(read(table + row + "published = { tv = { mrr = 0.3 } }\n"), ConfigError);
  // On movies there is no row c to come after.
  EXPECT_THROW(read(table + row + "after = \"c\"\n"), ConfigError);
  EXPECT_NO_THROW(read(table + row + "after = \"c\"\ndata = \"tv\"\n"));
}

TEST_F(ComparePlans, AxesGiveEveryCombination) {
  const ComparePlan plan = read(
      "data = [\"a\", \"b\"]\nmetrics = [\"recall@20\"]\n[plot]\nx_title = \"days\"\n"
      "[[rows]]\nrecipe = \"one.toml\"\nlabel = \"first_x\"\n"
      "[[axes]]\nname = \"way\"\nvalues = [{ name = \"x\", recipe = \"one.toml\", line = \"X\", "
      "after = \"first_{way}\", scores = { lag = \"{days}d\" }, sets = [\"train.epochs=5\", "
      "\"train.lag={days}d\"] }, { name = \"y\", recipe = \"two.toml\" }]\n"
      "[[axes]]\nname = \"days\"\nvalues = [{ name = \"0\", title = \"none\", x = 0 }, "
      "{ name = \"3\", x = 3, sets = [\"train.epochs=6\"] }]\n",
      "tiny", {"train.seed=1"});
  std::vector<std::string> labels, titles;
  for (const CompareRow& row : plan.rows) {
    labels.push_back(row.label);
    titles.push_back(row.title);
  }
  EXPECT_EQ(labels, (std::vector<std::string>{"first_x", "x-0", "x-3", "y-0", "y-3"}));
  EXPECT_EQ(titles, (std::vector<std::string>{"", "x, none", "x, 3", "y, none", "y, 3"}));
  EXPECT_EQ(plan.rows[1].recipe["train"]["epochs"], 5);
  EXPECT_EQ(plan.rows[2].recipe["train"]["epochs"], 6);  // the later axis's
  EXPECT_EQ(plan.rows[2].recipe["train"]["lag"], "3d");
  EXPECT_EQ(plan.rows[2].recipe["train"]["seed"], 1);
  EXPECT_EQ(plan.rows[2].after, "first_x");
  EXPECT_EQ(plan.rows[2].scores["lag"], "3d");
  EXPECT_EQ(plan.rows[2].line, "X");
  EXPECT_EQ(plan.rows[2].x, 3);
  EXPECT_FALSE(plan.rows[0].x.has_value());
  EXPECT_EQ(plan.rows[4].recipe["name"], "two");
  EXPECT_EQ(plan.plot->metrics, plan.metrics);
}

TEST_F(ComparePlans, RefuseAxesThatDoNotFit) {
  const auto axes = [&](const std::string& text) { return read("[[axes]]\n" + text); };
  const std::string value = "{ name = \"a\", recipe = \"one.toml\" }";
  EXPECT_EQ(axes("name = \"n\"\nvalues = [" + value + "]\n").rows.size(), 1u);
  EXPECT_THROW(axes("values = [" + value + "]\n"), ConfigError);
  EXPECT_THROW(axes("name = \"n\"\n"), ConfigError);
  EXPECT_THROW(axes("name = \"n\"\nvalues = []\n"), ConfigError);
  EXPECT_THROW(axes("name = \"n\"\nvalues = [" + value + ", " + value + "]\n"), ConfigError);
  EXPECT_THROW(axes("name = \"n\"\nvalues = [{ recipe = \"one.toml\" }]\n"), ConfigError);
  EXPECT_THROW(
      axes("name = \"n\"\nvalues = [{ name = \"a\", label = \"b\", recipe = \"one.toml\" }]\n"),
      ConfigError);
  const std::string one = "name = \"n\"\nvalues = [" + value + "]\n";
  EXPECT_THROW(axes(one + "[[axes]]\n" + one), ConfigError);
  EXPECT_THROW(axes(one + "[plot]\nx_title = \"x\"\n"), ConfigError);  // no row has an x
}

TEST(Grid, HasEveryTeacherStudentAndWay) {
  const fs::path file = fs::path(RETORT_SOURCE) / "recipes/compare/grid.toml";
  for (const char* preset : {"tiny", "small"}) {
    const ComparePlan plan = read_compare_plan(file, preset, {});
    std::map<std::string, int> students, teachers;
    for (const CompareRow& row : plan.rows) {
      if (!row.shown) continue;
      ++students[row.recipe["student"]["kind"]];
      ++teachers[row.after.empty() ? row.recipe["teacher"]["kind"].get<std::string>()
                                   : row.after.substr(7)];
    }
    EXPECT_EQ(students, (std::map<std::string, int>{
                            {"multi_task", 20}, {"three_tower", 20}, {"two_tower", 20}}));
    EXPECT_EQ(teachers, (std::map<std::string, int>{
                            {"cgc", 15}, {"mmoe", 15}, {"ple", 15}, {"shared_bottom", 15}}));
  }
}

TEST(RraTables, ShareRunsOfOneRecipe) {
  const fs::path folder = fs::path(RETORT_SOURCE) / "recipes/compare";
  for (const char* preset : {"tiny", "small", "paper"}) {
    std::map<std::string, Json> runs;
    size_t rows = 0;
    for (const char* name : {"rra_table1", "rra_table2", "rra_table3", "rra_table4"}) {
      const ComparePlan plan =
          read_compare_plan(folder / (name + std::string(".toml")), preset, {});
      for (const CompareRow& row : plan.rows) {
        ++rows;
        const auto& [known, added] = runs.emplace(row.label, row.recipe);
        EXPECT_EQ(known->second, row.recipe) << preset << ' ' << name << ' ' << row.label;
      }
    }
    EXPECT_EQ(rows, 34u);
    EXPECT_EQ(runs.size(), 29u);  // prod, prod_sharing and prod_rra stand in several tables
  }
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
