#include "retort/study/compare.h"

#include <algorithm>
#include <cmath>

#include "tests/support/scratch_folder.h"
#include "tests/support/tiny_dataset.h"
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/common/recipe.h"
#include "retort/study/evaluate.h"
#include "retort/trainer/trained_model.h"

namespace retort {
namespace {

Json tiny(const std::string& name) {
  return load_recipe(fs::path(RETORT_SOURCE) / "recipes" / (name + ".toml"), "tiny",
                     {"train.epochs=1", "train.batch=128"});
}

class Comparing : public testing::Test {
 protected:
  Comparing() {
    random_tiny_dataset(1, 12, 20, 600).write(folder_ / "tiny");
    dataset_ = std::make_unique<Dataset>(folder_ / "tiny");
    options_.out = folder_ / "runs";
    options_.seeds = 2;
    options_.device = "cpu";
    options_.evaluate.bootstrap.resamples = 20;
  }
  const SummaryRow* find(const CompareResult& result, const std::string& name) {
    for (const SummaryRow& row : result.rows) {
      if (row.name == name) return &row;
    }
    return nullptr;
  }
  ScratchFolder folder_;
  std::unique_ptr<Dataset> dataset_;
  CompareOptions options_;
};

TEST_F(Comparing, TrainsJudgesAndSumsUp) {
  const std::vector<CompareRow> rows{{"kd_single", tiny("kd_single")},
                                     {"dmtl", tiny("dmtl")},
                                     {"dssm_regression", tiny("dssm_regression")}};
  const CompareResult result = compare(rows, *dataset_, options_);
  for (const char* name : {"dmtl", "kd_single", "dssm_regression", "teacher", "teacher_kd_single",
                           "popularity", "popularity_1h", "co_click", "random"}) {
    ASSERT_NE(find(result, name), nullptr) << name;
  }
  const SummaryRow& dmtl = *find(result, "dmtl");
  EXPECT_EQ(dmtl.find("auc_read")->seeds.size(), 2u);
  EXPECT_NE(dmtl.find("auc_read")->seeds[0], dmtl.find("auc_read")->seeds[1]);
  EXPECT_NE(dmtl.find("ece"), nullptr);
  EXPECT_EQ(find(result, "dssm_regression")->find("ece"), nullptr);
  EXPECT_EQ(find(result, "popularity")->find("auc_read")->seeds.size(), 1u);
  EXPECT_TRUE(fs::exists(options_.out / "compare.json"));
  ASSERT_EQ(result.differences.size(), 6u);  // auc_read, recall@20, recall@100 of two others
  EXPECT_EQ(result.differences[0].row, "dmtl");
  EXPECT_EQ(result.differences[0].other, "kd_single");
  EXPECT_NEAR(result.differences[0].users.value,
              dmtl.find("auc_read")->mean - find(result, "kd_single")->find("auc_read")->mean,
              1e-12);
  EXPECT_NE(table(result).find("teacher_kd_single"), std::string::npos);
  EXPECT_EQ(to_json(result)["models"]["dmtl"]["auc_read"]["seeds"].size(), 2u);

  // One run judged alone gives the same numbers.
  const TrainedModel model(options_.out / "dmtl/seed1", *dataset_, "cpu");
  const EvaluateResult alone = evaluate(*dataset_, model, options_.evaluate);
  EXPECT_EQ(alone.rows[0].name, "dmtl");
  EXPECT_EQ(alone.rows[1].name, "teacher");
  EXPECT_DOUBLE_EQ(alone.rows[0].find("auc_read")->interval.value, dmtl.find("auc_read")->seeds[0]);
  EXPECT_DOUBLE_EQ(alone.rows[0].find("recall@20")->interval.value,
                   dmtl.find("recall@20")->seeds[0]);
}

// A dataset for each seed: every value is what the seed alone has on its dataset, of baselines too.
TEST_F(Comparing, EachSeedMayHaveDataOfItsOwn) {
  random_tiny_dataset(2, 14, 20, 500).write(folder_ / "other");
  const Dataset other(folder_ / "other");
  const std::vector<CompareRow> rows{{"dssm_click", tiny("dssm_click")}};
  const std::vector<CompareData> both{{.dataset = dataset_.get()}, {.dataset = &other}};
  const CompareResult result = compare(rows, both, options_);
  EXPECT_EQ(to_json(result)["datasets"], 2);
  EXPECT_NE(table(result).find("a log of its own"), std::string::npos) << table(result);
  options_.seeds = 1;
  options_.out = folder_ / "apart";
  for (size_t i = 0; i < both.size(); ++i) {
    options_.first_seed = 1 + i;
    const CompareResult alone = compare(rows, *both[i].dataset, options_);
    for (const char* row : {"dssm_click", "popularity", "co_click"})
      for (const char* metric : {"auc_read", "recall@20"}) {
        const SummaryMetric& values = *find(result, row)->find(metric);
        ASSERT_EQ(values.seeds.size(), 2u);
        EXPECT_DOUBLE_EQ(values.seeds[i], find(alone, row)->find(metric)->mean) << row << metric;
      }
  }
  EXPECT_NE(find(result, "popularity")->find("auc_read")->seeds[0],
            find(result, "popularity")->find("auc_read")->seeds[1]);
  options_.seeds = 3;
  EXPECT_THROW(compare(rows, both, options_), ArgumentError);
}

TEST_F(Comparing, FinishedRunsAreNotTrainedAgain) {
  const std::vector<CompareRow> rows{{"dssm_click", tiny("dssm_click")}};
  options_.seeds = 1;
  const CompareResult first = compare(rows, *dataset_, options_);
  const fs::path checkpoints = options_.out / "dssm_click/seed1/checkpoints";
  std::vector<fs::file_time_type> before, after;
  for (const auto& file : fs::directory_iterator(checkpoints)) {
    before.push_back(file.last_write_time());
  }
  const CompareResult second = compare(rows, *dataset_, options_);
  for (const auto& file : fs::directory_iterator(checkpoints)) {
    after.push_back(file.last_write_time());
  }
  EXPECT_EQ(before, after);
  EXPECT_EQ(first.rows[0].find("auc_read")->mean, second.rows[0].find("auc_read")->mean);
  // Another recipe in the same folder is refused.
  std::vector<CompareRow> other = rows;
  other[0].recipe["train"]["epochs"] = 2;
  EXPECT_THROW(compare(other, *dataset_, options_), ConfigError);
}

TEST_F(Comparing, ARowLearnsFromTheRunOfTheSameSeedOfAnEarlierRow) {
  CompareRow hidden{"ranker", tiny("dmtl")}, learner{"learner", tiny("dssm_click")};
  hidden.shown = false;
  learner.after = "ranker";
  learner.recipe["terms"] = {{{"loss", "soft_bce"}, {"target", "mentor_click"}}};
  learner.recipe["terms"][0]["on"] = "student";
  options_.results.clear();
  const CompareResult result = compare(std::vector{hidden, learner}, *dataset_, options_);
  EXPECT_EQ(find(result, "ranker"), nullptr);
  ASSERT_NE(find(result, "learner"), nullptr);
  EXPECT_FALSE(fs::exists(options_.out / "compare.json"));
  for (const std::string seed : {"seed1", "seed2"}) {
    const Json recipe = Json::parse(read_file(options_.out / "learner" / seed / "recipe.json"));
    EXPECT_EQ(recipe["distill"]["run"], fs::canonical(options_.out / "ranker" / seed).string());
  }
  EXPECT_THROW(compare(std::vector{learner}, *dataset_, options_), ConfigError);
}

TEST_F(Comparing, ARowGetsTheScoresOfTheRunItComesAfter) {
  CompareRow ranker{"ranker", tiny("dmtl")}, lists{"lists", tiny("offline_list")},
      point{"point", tiny("offline_point")};
  ranker.shown = false;
  lists.after = point.after = "ranker";
  lists.scores = {{"pairs", "top-5"}};
  point.scores = {{"pairs", "logged"}};
  options_.evaluate.nktd_at = 5;
  const std::vector rows{ranker, lists, point};
  const CompareResult result = compare(rows, *dataset_, options_);
  std::map<std::string, fs::file_time_type> made;
  for (const std::string seed : {"seed1", "seed2"}) {
    for (const fs::path& file : {options_.out / "lists" / seed, options_.out / "point" / seed}) {
      const std::string scores =
          Json::parse(read_file(file / "recipe.json")).at("scores").at("file");
      EXPECT_NE(scores.find((fs::canonical(options_.out) / "ranker" / seed / "scores").string()),
                std::string::npos)
          << scores;
      made[scores] = fs::last_write_time(scores);
    }
  }
  EXPECT_EQ(made.size(), 4U);
  for (const char* label : {"lists", "point"})
    for (const char* metric : {"train_seconds", "score_seconds", "nktd@5"}) {
      ASSERT_NE(find(result, label)->find(metric), nullptr) << label << ' ' << metric;
      EXPECT_GT(find(result, label)->find(metric)->mean, 0) << label << ' ' << metric;
    }
  compare(rows, *dataset_, options_);
  for (const auto& [file, time] : made) EXPECT_EQ(fs::last_write_time(file), time);
}

}  // namespace
}  // namespace retort
