// RRA's tables at the smallest size: data recipes of one world, runs that tables share, rows that
// learn from others, what is printed.
#include "../cli/executable.h"
#include <gtest/gtest.h>

namespace retort {
namespace {

constexpr const char* kQuick = "\"train.epochs=1\"";

/// Two plans: a table of two data recipes, and one of the first that shares its row "prod".
class TinyTables : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TestFolder;
    const std::string metrics = "metrics = [\"recall_click@10\", \"wrecall@10\", \"nktd@30\"]\n";
    const std::string prod =
        "[[rows]]\nrecipe = \"rra\"\nlabel = \"prod\"\ntitle = \"ProdModel\"\nsets = "
        "[\"teacher.sharing=none\", \"terms.kd_click.enabled=false\", "
        "\"terms.kd_dwm.enabled=false\", " +
        std::string(kQuick) +
        "]\n[rows.published]\nlong_video_tv = { recall_click = 0.8284, nktd = 0.412 }\n";
    const std::string alone =
        "[[rows]]\nrecipe = \"rra\"\nlabel = \"alone\"\nsets = [\"teacher.kind=none\", "
        "\"terms.rank_click.enabled=false\", \"terms.rank_dwm.enabled=false\", "
        "\"terms.kd_click.enabled=false\", \"terms.kd_dwm.enabled=false\", " +
        std::string(kQuick) + "]\n";
    write_file(
        at("one.toml"),
        "name = \"one\"\ndata = [\"long_video_tv\", \"long_video_movies\"]\n" + metrics + prod);
    write_file(at("two.toml"),
               "name = \"two\"\ndata = [\"long_video_tv\"]\n" + metrics + prod + alone +
                   "[[rows]]\nrecipe = \"rra\"\nlabel = \"kd\"\nafter = \"prod\"\nsets = "
                   "[\"terms.kd_click.target=mentor_click\", \"terms.kd_dwm.target=mentor_dwm\", " +
                   kQuick + "]\npublished = { recall_click = 0.7983 }\n");
    one_ = compare("one.toml");
    made_ = fs::last_write_time(at("runs/long_video_tv/prod/seed1/checkpoints/best.safetensors"));
    two_ = compare("two.toml");
  }
  static void TearDownTestSuite() { delete folder_; }
  static std::string at(const std::string& name) { return *folder_ / name; }
  static Outcome compare(const std::string& plan, const std::string& preset = "tiny") {
    return retort_command("compare " + at(plan) + " --out " + at("runs") + " --preset " + preset +
                          " --seeds 1 --resamples 20 --threads 1 --quiet");
  }

  inline static TestFolder* folder_ = nullptr;
  inline static Outcome one_, two_;
  inline static fs::file_time_type made_;
};

TEST_F(TinyTables, ShowTheMeasuredBesideThePublished) {
  ASSERT_EQ(one_.code, 0) << one_.err;
  for (const char* text : {"long_video_tv ", "long_video_movies ", "recall_click@10  published",
                           "wrecall@10", "nktd@30", "ProdModel", "0.8284", "0.4120", "oracle",
                           "candidates of 120 an event", "candidates of 200 an event"})
    EXPECT_NE(one_.out.find(text), std::string::npos) << text << " in\n" << one_.out;
}

TEST_F(TinyTables, HaveOneWorldAndAFolderADataRecipe) {
  for (const char* path : {"runs/world/world.json", "runs/long_video_tv/dataset/manifest.json",
                           "runs/long_video_movies/dataset/manifest.json", "runs/one.json",
                           "runs/long_video_movies/prod/seed1/run.json", "runs/two.json"})
    EXPECT_TRUE(fs::exists(at(path))) << path;
  const Json world = Json::parse(read_file(at("runs/world/world.json")));
  EXPECT_EQ(world["options"]["tv"], 120);  // the preset's
}

TEST_F(TinyTables, ShareRunsAndLearnFromThem) {
  ASSERT_EQ(two_.code, 0) << two_.err;
  EXPECT_EQ(fs::last_write_time(at("runs/long_video_tv/prod/seed1/checkpoints/best.safetensors")),
            made_);
  const Json recipe = Json::parse(read_file(at("runs/long_video_tv/kd/seed1/recipe.json")));
  EXPECT_EQ(recipe["distill"]["run"], fs::canonical(at("runs/long_video_tv/prod/seed1")).string());
  const auto prod = [](const char* file) {
    return Json::parse(read_file(at(file)))["data"]["long_video_tv"]["models"]["prod"];
  };
  EXPECT_EQ(prod("runs/one.json"), prod("runs/two.json"));
  EXPECT_NE(two_.out.find("published order by recall_click: "), std::string::npos) << two_.out;
}

// So that a plain model of the tables may have a ranking model beside it.
TEST_F(TinyTables, ARankingModelThatSharesNothingChangesNothing) {
  const Json models =
      Json::parse(read_file(at("runs/two.json")))["data"]["long_video_tv"]["models"];
  for (const char* metric : {"auc_click", "recall_click@10", "recall_click@100", "wrecall@10"})
    EXPECT_EQ(models["prod"][metric], models["alone"][metric]) << metric;
  EXPECT_TRUE(models["prod"].contains("nktd@30"));
  EXPECT_FALSE(models["alone"].contains("nktd@30"));
}

TEST_F(TinyTables, AResumedCallPrintsTheSame) {
  const Outcome again = compare("two.toml");
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(again.out, two_.out);
}

class TinyWorlds : public testing::Test {
 protected:
  Outcome compare(const std::string& flags) {
    write_file(folder_ / "worlds.toml",
               "name = \"worlds\"\ndata = \"feed\"\nmetrics = [\"auc_read\"]\nnew_worlds = "
               "true\nseeds = 2\n[[rows]]\nrecipe = \"dssm_click\"\nsets = [" +
                   std::string(kQuick) + "]\n");
    return retort_command("compare " + folder_ / "worlds.toml" + " --out " + folder_ / "runs" +
                          " --preset tiny --resamples 20 --threads 1 --quiet " + flags);
  }
  TestFolder folder_;
};

TEST_F(TinyWorlds, EachSeedHasItsOwn) {
  const Outcome outcome = compare("");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  for (const int seed : {1, 2}) {
    const std::string folder = fmt::format("runs/worlds/seed{}/", seed);
    const Json options = Json::parse(read_file(folder_ / folder + "world/world.json"))["options"];
    EXPECT_EQ(options["seed"], seed);
    EXPECT_EQ(options["log_seed"], seed + 1);
    EXPECT_TRUE(fs::exists(folder_ / folder + "dataset/manifest.json"));
    EXPECT_TRUE(fs::exists(folder_ / fmt::format("runs/dssm_click/seed{}/run.json", seed)));
  }
  const Json result = Json::parse(read_file(folder_ / "runs/worlds.json"))["data"]["feed"];
  EXPECT_EQ(result["datasets"], 2);
  for (const char* row : {"dssm_click", "popularity", "oracle"}) {
    const Json& seeds = result["models"][row]["auc_read"]["seeds"];
    ASSERT_EQ(seeds.size(), 2U) << row;
    EXPECT_NE(seeds[0], seeds[1]) << row;
  }
  EXPECT_EQ(compare("").out, outcome.out);
}

TEST_F(TinyWorlds, WhatCannotBeSimulatedIsRefused) {
  for (const char* flags : {"--dataset data", "--from logs", "--truth world"}) {
    const Outcome outcome = compare(flags);
    EXPECT_EQ(outcome.code, 2) << flags;
    EXPECT_NE(outcome.err.find("do not fit"), std::string::npos) << outcome.err;
  }
}

TEST_F(TinyTables, AMetricOfTheCatalogueNeedsTheCatalogue) {
  const Outcome outcome = retort_command("compare " + at("one.toml") + " --out " + at("runs") +
                                         " --preset tiny --seeds 1 --no-catalogue --quiet");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_NE(outcome.err.find("--no-catalogue"), std::string::npos) << outcome.err;
}

TEST_F(TinyTables, AnotherPresetIsRefusedWhereAWorldWasMade) {
  const Outcome other = compare("two.toml", "small");
  EXPECT_NE(other.code, 0);
  EXPECT_NE(other.err.find("world.days"), std::string::npos) << other.err;
}

}  // namespace
}  // namespace retort
