#include "retort/study/compare_table.h"

#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/study/compare_plot.h"

namespace retort {
namespace {

SummaryMetric metric(const std::string& name, std::vector<double> seeds, double user_noise) {
  SummaryMetric metric;
  metric.name = name;
  for (const double value : seeds) metric.mean += value / static_cast<double>(seeds.size());
  metric.seeds = std::move(seeds);
  for (const int at : {-1, 0, 1}) metric.replicates.push_back(metric.mean + at * user_noise);
  metric.low = metric.replicates.front();
  metric.high = metric.replicates.back();
  return metric;
}

CompareRow plan_row(const std::string& label, Published published) {
  CompareRow row;
  row.label = label;
  row.title = "Model " + label;
  row.published["tv"] = std::move(published);
  return row;
}

/// Three rows on "tv": recall published a < b < c, nktd published a > b, none of c.
class PublishedTables : public testing::Test {
 protected:
  PublishedTables() {
    plan_.name = "t";
    plan_.data = {"tv"};
    plan_.metrics = {"recall_click@20", "nktd"};
    plan_.rows = {plan_row("a", {{"recall_click", 0.5}, {"nktd", 0.45}}),
                  plan_row("b", {{"recall_click", 0.6}, {"nktd", 0.40}}),
                  plan_row("c", {{"recall_click", 0.7}})};
    measured_.data = "tv";
    measured_.result.seeds = 3;
    measured_.result.about = {{"catalogue", {{"catalogue", 1500}, {"mean_candidates", 1494.4}}}};
    add("a", {0.10, 0.11, 0.12}, {0.30, 0.31, 0.32});
    add("b", {0.20, 0.21, 0.22}, {0.40, 0.41, 0.42});
    add("c", {0.20, 0.24, 0.19}, {0.30, 0.31, 0.32});
  }
  void add(const std::string& name, std::vector<double> recall, std::vector<double> nktd) {
    measured_.result.rows.push_back(
        {name,
         RowRole::kModel,
         {metric("recall_click@20", std::move(recall), 0), metric("nktd@60", std::move(nktd), 0)}});
  }
  Claim claim(const std::string& row, const std::string& other) {
    Claim claim;
    claim.name = "H";
    claim.row = row;
    claim.other = other;
    return claim;
  }
  std::vector<std::string> verdicts(const Claim& claim) {
    plan_.claims = {claim};
    std::vector<std::string> found;
    for (const Verdict& verdict : judge_claims(plan_, measured_)) found.push_back(verdict.verdict);
    return found;
  }
  ComparePlan plan_;
  DataResult measured_;
};

using Words = std::vector<std::string>;

TEST_F(PublishedTables, ExpectThePublishedSideOfZero) {
  // Recall rises as published; the distance was to fall and rises.
  EXPECT_EQ(verdicts(claim("b", "a")), (Words{"reproduced", "reversed"}));
  EXPECT_EQ(verdicts(claim("a", "b")), (Words{"reproduced", "reversed"}));
  // Of c no distance is published.
  EXPECT_EQ(verdicts(claim("c", "b")), (Words{"not distinguishable"}));
}

TEST_F(PublishedTables, ADistanceIsBetterWhereItIsLess) {
  Claim stated = claim("a", "b");
  stated.expected = "better";
  EXPECT_EQ(verdicts(stated), (Words{"reversed", "reproduced"}));
  stated.expected = "worse";
  EXPECT_EQ(verdicts(stated), (Words{"reproduced", "reversed"}));
  stated.metrics = {"nktd"};
  EXPECT_EQ(verdicts(stated), (Words{"reversed"}));
  stated.data = {"movies"};
  EXPECT_EQ(verdicts(stated), Words{});
}

TEST_F(PublishedTables, OnAParIsInsideTheMargin) {
  Claim same = claim("c", "a");
  same.expected = "same";
  same.metrics = {"nktd"};
  same.margin = 0.02;
  EXPECT_EQ(verdicts(same), (Words{"reproduced"}));  // equal in every seed
  same.row = "b";
  EXPECT_EQ(verdicts(same), (Words{"reversed"}));  // 0.1 in every seed
  same.metrics = {"recall_click"};
  same.row = "c";
  same.other = "b";
  EXPECT_EQ(verdicts(same), (Words{"not distinguishable"}));
}

TEST_F(PublishedTables, AVerdictNeedsSeedsAndUsers) {
  // The seeds agree on +0.1; other users could turn it.
  SummaryMetric& recall = measured_.result.rows[1].metrics[0];
  recall.replicates = {0.05, 0.2, 0.4};
  EXPECT_EQ(verdicts(claim("b", "a"))[0], "not distinguishable");
  const Verdict verdict = judge_claims(plan_, measured_)[0];
  EXPECT_GT(verdict.seeds.low, 0);
  EXPECT_LT(verdict.users.low, 0);
}

TEST_F(PublishedTables, CountThePairsOfThePublishedOrder) {
  const auto orders = judge_order(plan_, measured_);
  ASSERT_EQ(orders.size(), 2u);
  EXPECT_EQ(orders[0].metric, "recall_click@20");
  EXPECT_EQ(orders[0].reproduced, 2);           // a < b, a < c
  EXPECT_EQ(orders[0].not_distinguishable, 1);  // b, c
  EXPECT_EQ(orders[1].metric, "nktd@60");
  EXPECT_EQ(orders[1].reversed, 1);
  EXPECT_EQ(orders[1].reproduced + orders[1].not_distinguishable, 0);
}

TEST_F(PublishedTables, DrawRowsOverTheirX) {
  EXPECT_TRUE(plan_plots(plan_, {measured_}).empty());
  plan_.plot = ComparePlot{"days", plan_.metrics};
  plan_.rows[0].x = 3;
  plan_.rows[1].x = 0;
  plan_.rows[0].line = plan_.rows[1].line = "stored";
  const auto files = plan_plots(plan_, {measured_});
  ASSERT_EQ(files.size(), 2u);
  EXPECT_TRUE(files.contains("t-nktd-60.svg"));
  const std::string& svg = files.at("t-recall_click-20.svg");
  // b at 0 comes before a at 3; c has no x. 0.02484 is 4.3027 * 0.01 / sqrt(3).
  const size_t b = svg.find("Model b: 0.2100 [0.1852, 0.2348]"),
               a = svg.find("Model a: 0.1100 [0.0852, 0.1348]");
  EXPECT_LT(b, a);
  EXPECT_NE(a, std::string::npos) << svg;
  EXPECT_EQ(svg.find("Model c"), std::string::npos);
  EXPECT_NE(svg.find(">stored</text>"), std::string::npos);
  EXPECT_NE(svg.find(">recall_click@20</text>"), std::string::npos);
}

TEST_F(PublishedTables, PrintMeasuredBesidePublished) {
  plan_.title = "Table 1";
  plan_.published_note = "K = 100 of many";
  plan_.claims = {claim("b", "a")};
  measured_.result.rows.push_back(
      {"popularity", RowRole::kBaseline, {metric("recall_click@20", {0.15}, 0.01)}});
  measured_.result.rows.push_back({"teacher", RowRole::kTeacher, {metric("auc_read", {0.9}, 0)}});
  measured_.result.rows.push_back(
      {"teacher_b", RowRole::kTeacher, {metric("recall_click@20", {0.3}, 0.01)}});
  measured_.result.warnings = {"b recalls less: recall_click@20 0.110 against 0.150: try more",
                               "b recalls less: recall_click@200 0.2 against 0.3: try more"};
  const std::string text = plan_table(plan_, {measured_});
  // 4.3027 * 0.01 / sqrt(3) = 0.0248
  EXPECT_NE(text.find("Model a      0.1100 ±0.0248     0.5000  0.3100 ±0.0248     0.4500"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("popularity   0.1500 ±0.0100"), std::string::npos) << text;
  EXPECT_EQ(text.find("teacher "), std::string::npos) << text;  // has none of the metrics
  EXPECT_NE(text.find("teacher_b    0.3000 ±0.0100"), std::string::npos) << text;
  EXPECT_NE(text.find("Warning: b recalls less: recall_click@20 "), std::string::npos) << text;
  EXPECT_EQ(text.find("recall_click@200"), std::string::npos) << text;
  EXPECT_NE(text.find("Model b against Model a: +0.1000"), std::string::npos) << text;
  EXPECT_NE(
      text.find("Pairs of rows in their published order by recall_click: 2 of 3 reproduced, 1 not"),
      std::string::npos)
      << text;
  EXPECT_NE(text.find("1494 candidates of 1,500 an event"), std::string::npos) << text;
  EXPECT_NE(text.find("K = 100 of many"), std::string::npos) << text;
  const Json json = plan_json(plan_, {measured_});
  EXPECT_EQ(json["data"]["tv"]["table"][0]["recall_click@20"]["published"], 0.5);
  EXPECT_TRUE(json["data"]["tv"]["table"][2]["nktd@60"]["published"].is_null());
  EXPECT_EQ(json["data"]["tv"]["claims"][0]["verdict"], "reproduced");
  EXPECT_EQ(json["data"]["tv"]["models"]["popularity"]["recall_click@20"]["value"], 0.15);
}

TEST_F(PublishedTables, RefuseAMetricThatNoRowHas) {
  plan_.metrics = {"recall_click@7"};
  EXPECT_THROW(plan_table(plan_, {measured_}), ConfigError);
}

}  // namespace
}  // namespace retort
