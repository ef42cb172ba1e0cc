#include "retort/report/collect.h"

#include "tests/report/report_files.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/bundle/bundle.h"
#include "retort/common/error.h"
#include "retort/report/html.h"

namespace retort {
namespace {

using testing::HasSubstr;
using testing::Not;

Json collect(const std::vector<fs::path>& paths, const ReportOptions& options = {}) {
  return collect_report(paths, options);
}

TEST(Collect, FindsEachKindOnceAndPassesByWhatIsNone) {
  const ReportFiles files;
  const Json report = collect({files.folder()});
  EXPECT_EQ(report["comparisons"].size(), 1);
  EXPECT_EQ(report["abtests"].size(), 3);
  EXPECT_EQ(report["indexes"].size(), 1);
  ASSERT_EQ(report["bundles"].size(), 1);
  EXPECT_EQ(report["bundles"][0]["version"], 2);  // the newest
  ASSERT_EQ(report["runs"].size(), 2);
  EXPECT_EQ(report["runs"][0]["group"], "first");
}

TEST(Collect, TestsOfAFeedHaveAPartForEachRanker) {
  const ReportFiles files;
  const Json one = collect({files.folder() / "feed_test"})["abtests"][0];
  const Json& difference = one["sections"]["behind ctr"]["differences"][0];
  EXPECT_EQ(difference["value"], 2.0);
  EXPECT_EQ(difference["relative"]["value"], 0.2);
  EXPECT_TRUE(one["sections"]["behind ctr"].contains("counterfactual"));
  EXPECT_FALSE(one.contains("rankers"));
  const Json sum = collect({files.folder() / "feed_tests"})["abtests"][0];
  const Json& relative = sum["sections"]["behind none"]["differences"][0];
  EXPECT_EQ(relative["relative"]["low"], 0.25);
  EXPECT_FALSE(relative.contains("value"));
}

TEST(Collect, ReadsCurvesAndLeavesACutLineOut) {
  const ReportFiles files;
  const Json run = collect({files.folder() / "compare/first/seed1"})["runs"][0];
  EXPECT_EQ(run["train"]["step"], Json({10, 20, 30}));
  EXPECT_EQ(run["train"]["loss"], Json({1.0, 0.5, 1.0 / 3}));
  EXPECT_EQ(run["valid"]["metric"].back(), 0.6);
  EXPECT_EQ(run["metric"], "auc_read");
}

TEST(Collect, ThinsLongCurvesAndKeepsTheirEnd) {
  const ScratchFolder scratch;
  write_file(scratch / "run.json", R"({"name": "x"})");
  std::string lines;
  for (int step = 0; step < 5000; ++step)
    lines += Json{{"step", step}, {"split", "train"}, {"loss", step}}.dump() + "\n";
  write_file(scratch / "metrics.jsonl", lines);
  const Json steps = collect({scratch.path()})["runs"][0]["train"]["step"];
  EXPECT_LE(steps.size(), 301);
  EXPECT_GE(steps.size(), 250);
  EXPECT_EQ(steps.front(), 0);
  EXPECT_EQ(steps.back(), 4999);
}

TEST(Collect, SaysInWordsWhatADifferenceMeans) {
  const ReportFiles files;
  const Json differences =
      collect({files.folder() / "compare/compare.json"})["comparisons"][0]["differences"];
  EXPECT_EQ(differences[0]["verdict"], "worse");
  EXPECT_EQ(differences[1]["verdict"], "not distinguishable");
}

TEST(Collect, TakesPlansOfSeveralDatasetsApart) {
  const ReportFiles files;
  const Json one = Json::parse(read_file(files.folder() / "compare/compare.json"));
  Json part = one;
  part["table"] = {{{"label", "first"}, {"title", "The first"}}};
  const Json plan{{"name", "p"}, {"title", "A plan"}, {"data", {{"feed", part}, {"other", one}}}};
  write_file(files.folder() / "plan.json", plan.dump());
  const Json found = collect({files.folder() / "plan.json"})["comparisons"];
  ASSERT_EQ(found.size(), 2);
  EXPECT_EQ(found[0]["title"], "A plan");
  EXPECT_EQ(found[0]["data"], "feed");
  EXPECT_EQ(found[0]["titles"]["first"], "The first");
  EXPECT_EQ(found[1]["data"], "other");
}

TEST(Collect, PlacesEveryItemAndColoursByItsOwnTopic) {
  const ReportFiles files;
  const Json bundle = collect({files.folder() / "bundles"})["bundles"][0];
  const Bundle opened(files.folder() / "bundles");
  EXPECT_EQ(bundle["topic"], "category");
  ASSERT_EQ(bundle["points"].size(), 60);
  const auto& column = std::get<TextAttribute>(opened.attributes().columns().at("category"));
  for (size_t item = 0; item < 60; ++item) {
    const Json& point = bundle["points"][item];
    EXPECT_EQ(point[3], std::string(opened.item_keys()[static_cast<int64_t>(item)]));
    const bool none = column.offsets[item] == column.offsets[item + 1];
    const std::string own =
        none ? ""
             : std::string(column.values[column.codes[static_cast<size_t>(column.offsets[item])]]);
    EXPECT_EQ(bundle["topics"][point[2].get<size_t>()], own);
  }
  const Json few = collect({files.folder() / "bundles"}, {.items = 7})["bundles"][0];
  EXPECT_EQ(few["points"].size(), 7);
}

TEST(Collect, SaysWhatIsWrong) {
  const ReportFiles files;
  const ScratchFolder empty;
  EXPECT_THROW(collect({empty.path()}), DataError);
  EXPECT_THROW(collect({empty / "none"}), IoError);
  EXPECT_THROW(collect({files.folder() / "other.json"}), DataError);
  EXPECT_THROW(collect({files.folder() / "broken.json"}), DataError);
  EXPECT_THROW(collect({files.folder() / "bundles"}, {.topic = "none"}), ConfigError);
}

TEST(ReportHtml, IsWholeAndTakesNoTextForMarkup) {
  const ReportFiles files;
  Json report = collect({files.folder()});
  report["title"] = kHostile;
  const std::string html = report_html(report);
  EXPECT_THAT(html, Not(HasSubstr("<img src=x")));
  EXPECT_THAT(html, Not(HasSubstr("<!-- code -->")));
  EXPECT_THAT(html, HasSubstr("Permission to use, copy, modify"));  // the library's licence
  const std::string open = "<script id=\"data\" type=\"application/json\">";
  const size_t begin = html.find(open) + open.size();
  EXPECT_EQ(Json::parse(html.substr(begin, html.find("</script>", begin) - begin)), report);
  for (const char* reach : {"<script src", "<img", "stylesheet", "@import"})
    EXPECT_THAT(html, Not(HasSubstr(reach)));
}

}  // namespace
}  // namespace retort
