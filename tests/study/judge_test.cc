#include "retort/study/judge.h"

#include <cmath>
#include <map>

#include "tests/support/scratch_folder.h"
#include "tests/support/tiny_dataset.h"
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/dataset/loader.h"
#include "retort/metric/auc.h"
#include "retort/metric/rank_metric.h"
#include "retort/metric/user_lists.h"
#include "retort/study/evaluate.h"

namespace retort {
namespace {

/// Towers whose score is the item's dense feature "length" plus its first id.
class LengthTowers : public Towers {
 public:
  int32_t dim() const override { return 2; }
  void encode_users(const SideBatch& users, std::span<float> out) const override {
    for (int64_t row = 0; row < users.rows; ++row) {
      out[2 * row] = 1;
      out[2 * row + 1] = 0.1f;
    }
  }
  void encode_items(const SideBatch& items, std::span<float> out) const override {
    const int64_t width =
        static_cast<int64_t>(items.dense.size()) / std::max<int64_t>(items.rows, 1);
    for (int64_t row = 0; row < items.rows; ++row) {
      out[2 * row] = items.dense[row * width];
      out[2 * row + 1] = static_cast<float>(items.sparse[0].ids[items.sparse[0].offsets[row]]);
    }
  }
};

/// Knows the labels: reads above short clicks above negatives.
class Perfect : public PairScorer {
 public:
  void score(const Batch& batch, std::string_view task, std::span<float> out) const override {
    for (int64_t row = 0; row < batch.rows(); ++row) {
      out[row] = batch.click[row] + (task == "read" ? batch.read[row] : 0);
    }
  }
};

class Judging : public testing::Test {
 protected:
  Judging() : tiny_(random_tiny_dataset(11, 12, 20, 600)) {
    tiny_.protocol.negatives_per_click = 3;
    tiny_.protocol.recall_at = {2, 5};
  }
  Judge& open(EvaluateOptions options = {}) {
    tiny_.write(folder_ / "tiny");
    dataset_ = std::make_unique<Dataset>(folder_ / "tiny");
    options.bootstrap.resamples = 60;
    judge_ = std::make_unique<Judge>(*dataset_, options);
    return *judge_;
  }
  double value(const JudgedRow& row, const std::string& metric) {
    const MetricValue* found = row.find(metric);
    EXPECT_NE(found, nullptr) << metric;
    return found == nullptr ? NAN : found->interval.value;
  }
  ScratchFolder folder_;
  TinyDataset tiny_;
  std::unique_ptr<Dataset> dataset_;
  std::unique_ptr<Judge> judge_;
};

TEST_F(Judging, TowersGetTheMetricsOfTheirRowsAndRanks) {
  Judge& judge = open();
  const LengthTowers towers;
  const JudgedRow row = judge.towers("length", towers, 0, true);

  LoaderOptions rows;
  rows.split = Split::kTest;
  rows.training = false;
  rows.negatives = 3;
  rows.seed = dataset_->protocol().seed;
  Batch batch;
  const Loader loader(*dataset_, rows);
  ASSERT_EQ(loader.batches(), 1);
  loader.load(0, 0, batch);
  std::vector<float> items(batch.rows() * 2), scores;
  towers.encode_items(batch.items, items);
  std::vector<uint8_t> read;
  for (int64_t at = 0; at < batch.rows(); ++at) {
    scores.push_back(items[2 * at] + 0.1f * items[2 * at + 1]);
    read.push_back(batch.read[at] != 0);
  }
  EXPECT_NEAR(value(row, "auc_read"), auc(scores, read), 1e-6);
  EXPECT_NEAR(value(row, "auc_read"),
              value(row, "omega") * value(row, "auc_read_given_click") +
                  (1 - value(row, "omega")) * value(row, "auc_read_vs_sampled"),
              1e-12);

  CatalogueOptions options;
  options.refresh = dataset_->protocol().refresh;
  const CatalogueRanks reads = rank_catalogue(*dataset_, towers, options);
  options.reads_only = false;
  const CatalogueRanks clicks = rank_catalogue(*dataset_, towers, options);
  const auto recall = [](const CatalogueRanks& ranks, int32_t k) {
    double hits = 0;
    for (const int32_t rank : ranks.rank) hits += rank > 0 && rank <= k;
    return hits / static_cast<double>(ranks.rank.size());
  };
  EXPECT_NEAR(value(row, "recall@2"), recall(reads, 2), 1e-12);
  EXPECT_NEAR(value(row, "recall@5"), recall(reads, 5), 1e-12);
  EXPECT_NEAR(value(row, "recall_click@5"), recall(clicks, 5), 1e-12);
  EXPECT_GT(value(row, "ndcg@5"), 0);
  EXPECT_LT(value(row, "ndcg@5"), value(row, "recall@5"));
  EXPECT_GT(value(row, "mrr"), 0);
  EXPECT_GT(value(row, "coverage@5"), 0);
  EXPECT_GT(value(row, "ece"), 0);
  for (const MetricValue& metric : row.metrics) {
    EXPECT_LE(metric.interval.low, metric.interval.value) << metric.name;
    EXPECT_GE(metric.interval.high, metric.interval.value) << metric.name;
  }
}

TEST_F(Judging, OneListAUserIsAveragedOverUsers) {
  tiny_.protocol.lists = "user";
  Judge& judge = open();
  const LengthTowers towers;
  const JudgedRow row = judge.towers("length", towers, 0, true);
  CatalogueOptions options;
  options.refresh = dataset_->protocol().refresh;
  options.reads_only = false;
  const CatalogueRanks ranks = rank_catalogue(*dataset_, towers, options);
  for (const bool reads : {true, false}) {
    double sum = 0, users = 0;
    for (const UserList& list : user_lists(*dataset_, ranks, Ties::kMid, reads)) {
      sum += recall_of_list(list, 5);
      users += 1;
    }
    ASSERT_GT(users, 3);
    EXPECT_NEAR(value(row, reads ? "recall@5" : "recall_click@5"), sum / users, 1e-12);
  }
  EXPECT_EQ(judge.about()["lists"], "user");
  EXPECT_EQ(row.find("wrecall@5"), nullptr);
}

TEST_F(Judging, SecondsOfALongTermAreWeighed) {
  tiny_.protocol.long_term = true;
  Judge& judge = open();
  const LengthTowers towers;
  const JudgedRow row = judge.towers("length", towers, 0, true);
  CatalogueOptions options;
  options.refresh = dataset_->protocol().refresh;
  options.reads_only = false;
  EXPECT_NEAR(value(row, "wrecall@5"),
              rank_metric(*dataset_, rank_catalogue(*dataset_, towers, options), "wrecall@5"),
              1e-12);
}

TEST_F(Judging, RegressionStudentsHaveNoCalibration) {
  Judge& judge = open({.catalogue = false});
  EXPECT_EQ(judge.towers("length", LengthTowers(), 0, false).find("ece"), nullptr);
  EXPECT_NE(judge.towers("length", LengthTowers(), 0, true).find("ece"), nullptr);
  const auto recipe = [](const char* loss, const char* on) {
    return Json{{"terms", {{{"loss", loss}, {"on", on}}}}};
  };
  EXPECT_FALSE(is_logit_student(recipe("squared", "student")));
  EXPECT_TRUE(is_logit_student(recipe("bce", "student")));
  EXPECT_TRUE(is_logit_student(recipe("squared", "teacher_read")));
}

TEST_F(Judging, ATeacherIsJudgedByTask) {
  Judge& judge = open();
  const JudgedRow row = judge.teacher("teacher", Perfect());
  EXPECT_EQ(row.kind, RowRole::kTeacher);
  for (const char* metric :
       {"auc_read", "auc_click", "auc_read_given_click", "auc_read_vs_sampled", "gauc"}) {
    EXPECT_DOUBLE_EQ(value(row, metric), 1) << metric;
  }
  EXPECT_EQ(row.find("recall@2"), nullptr);
}

TEST_F(Judging, BaselinesAreRowsOfTheirOwn) {
  Judge& judge = open();
  const std::vector<JudgedRow> rows = judge.baselines();
  ASSERT_EQ(rows.size(), 6u);
  EXPECT_EQ(rows[0].name, "popularity");
  for (const JudgedRow& row : rows) {
    EXPECT_EQ(row.kind, RowRole::kBaseline);
    EXPECT_TRUE(std::isfinite(value(row, "auc_read")));
    EXPECT_TRUE(std::isfinite(value(row, "recall@5")));
  }
  // The feed prefers small indices: popularity finds far more than chance does.
  EXPECT_GT(value(rows[0], "recall@5"), value(rows[5], "recall@5") + 0.1);
}

TEST_F(Judging, RepeatsItself) {
  Judge& judge = open();
  const JudgedRow one = judge.towers("length", LengthTowers(), 0.5, true);
  const JudgedRow two = judge.towers("length", LengthTowers(), 0.5, true);
  for (size_t at = 0; at < one.metrics.size(); ++at) {
    EXPECT_EQ(one.metrics[at].interval.value, two.metrics[at].interval.value);
    EXPECT_EQ(one.metrics[at].interval.low, two.metrics[at].interval.low);
    EXPECT_EQ(one.metrics[at].replicates, two.metrics[at].replicates);
  }
}

TEST_F(Judging, OptionsReplaceTheProtocol) {
  EvaluateOptions options;
  options.recall_at = {{3}};
  options.alive_window = 7'200'000'000;
  options.exclude_seen = true;
  Judge& judge = open(options);
  const JudgedRow row = judge.towers("length", LengthTowers(), 0, true);
  EXPECT_NE(row.find("recall@3"), nullptr);
  EXPECT_EQ(row.find("recall@2"), nullptr);
  const Json about = judge.about();
  EXPECT_EQ(about["alive"], "2h");
  EXPECT_EQ(about["exclude_seen"], true);
  EXPECT_LT(about["catalogue"]["mean_candidates"], 20);
  EXPECT_GT(about["catalogue"]["misses"], 0);
}

TEST_F(Judging, ExtraRowsAreNoRivals) {
  Judge& judge = open();
  const Perfect perfect;
  ExtraRow oracle{"oracle", &perfect,
                  [](int64_t, std::span<const int32_t> items, std::span<float> out) {
                    for (size_t at = 0; at < items.size(); ++at) out[at] = -items[at];
                  }};
  EvaluateResult result;
  result.rows = {judge.towers("length", LengthTowers(), 0, true), judge.extra(oracle)};
  EXPECT_EQ(result.rows[1].kind, RowRole::kExtra);
  EXPECT_DOUBLE_EQ(value(result.rows[1], "auc_read"), 1);
  EXPECT_GT(value(result.rows[1], "recall@5"), 0);
  EXPECT_TRUE(warnings_of(result.rows).empty());
}

TEST_F(Judging, RefusesWrongOptionsAndEmptySplits) {
  EvaluateOptions options;
  options.recall_at = {{0}};
  EXPECT_THROW(open(options), ConfigError);
  for (TinyClick& click : tiny_.clicks) click.split = Split::kTrain;
  ScratchFolder other;
  tiny_.write(other / "tiny");
  const Dataset dataset(other / "tiny");
  EXPECT_THROW(Judge(dataset, {}), DataError);
}

TEST(Warnings, NameEveryBaselineThatIsBetter) {
  const auto row = [](const char* name, RowRole kind, double auc, double recall) {
    return JudgedRow{name,
                     kind,
                     {{"auc_read", {auc, auc, auc}, {}},
                      {"recall@20", {recall, recall, recall}, {}},
                      {"recall_click@20", {0, 0, 0}, {}}}};
  };
  const std::vector<JudgedRow> rows{row("dmtl", RowRole::kModel, 0.89, 0.112),
                                    row("teacher", RowRole::kTeacher, 0.95, 0.5),
                                    row("popularity", RowRole::kBaseline, 0.6, 0.112),
                                    row("popularity_1h", RowRole::kBaseline, 0.9, 0.14),
                                    row("co_click", RowRole::kBaseline, 0.7, 0.2),
                                    row("oracle", RowRole::kExtra, 1, 1)};
  const auto warnings = warnings_of(rows);
  ASSERT_EQ(warnings.size(), 2u);
  EXPECT_TRUE(warnings[0].starts_with(
      "dmtl orders reads worse than popularity_1h: auc_read 0.890 against 0.900: "));
  EXPECT_TRUE(warnings[1].starts_with(
      "dmtl recalls less than co_click, popularity_1h: recall@20 0.112 against 0.200: "));
}

TEST(Tables, HoldEveryRowAndJsonItsNumbers) {
  EvaluateResult result;
  result.about = {{"dataset", "tiny"}, {"split", "test"}, {"clicks", 10},
                  {"users", 3},        {"rows", 40},      {"intervals", "95%"}};
  result.rows = {{"dmtl",
                  RowRole::kModel,
                  {{"auc_read", {0.75, 0.7, 0.8}, {}}, {"recall@20", {NAN, NAN, NAN}, {}}}},
                 {"teacher", RowRole::kTeacher, {{"auc_read", {0.5, 0.5, 0.5}, {}}}}};
  result.warnings = {"dmtl is slow"};
  const Json json = to_json(result);
  EXPECT_EQ(json["models"]["dmtl"]["auc_read"]["value"], 0.75);
  EXPECT_EQ(json["models"]["dmtl"]["auc_read"]["low"], 0.7);
  EXPECT_EQ(json["models"]["dmtl"]["auc_read"]["high"], 0.8);
  EXPECT_TRUE(json["models"]["dmtl"]["recall@20"]["value"].is_null());
  EXPECT_EQ(json["kinds"]["teacher"], "teacher");
  EXPECT_EQ(json["warnings"][0], "dmtl is slow");
  const std::string text = table(result);
  EXPECT_NE(text.find("0.7500 ±0.0500"), std::string::npos);
  EXPECT_NE(text.find("whole catalogue"), std::string::npos);
  EXPECT_NE(text.find("Warning: dmtl is slow.\n"), std::string::npos);
  EXPECT_NE(text.find("10 clicks of 3 users, 40 rows"), std::string::npos);
}

}  // namespace
}  // namespace retort
