#include "retort/study/breakdown.h"

#include <algorithm>
#include <map>

#include "tests/support/scratch_folder.h"
#include "tests/support/tiny_dataset.h"
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/common/rng.h"
#include "retort/metric/auc.h"
#include "retort/study/evaluate.h"
#include "retort/study/judge.h"

namespace retort {
namespace {

TEST(GroupRows, CutsEqualSharesAndKeepsEqualKeysTogether) {
  const std::vector<int64_t> keys{5, 1, 1, 1, 9, 3, 3, 7};
  const RowGroups found = group_rows(keys, 4);
  ASSERT_EQ(found.groups.size(), 4);
  EXPECT_EQ(found.groups[0].rows, (std::vector<int64_t>{1, 2, 3}));  // of key 1
  EXPECT_EQ(found.groups[1].rows, (std::vector<int64_t>{5, 6}));
  EXPECT_EQ(found.groups[2].rows, (std::vector<int64_t>{0}));
  EXPECT_EQ(found.groups[3].rows, (std::vector<int64_t>{4, 7}));
  EXPECT_EQ(found.groups[3].from, 7);
  EXPECT_EQ(found.groups[3].to, 9);
  EXPECT_EQ(group_rows(std::vector<int64_t>(7, 2), 3).groups.size(), 1);
  EXPECT_TRUE(group_rows({}, 3).groups.empty());
  EXPECT_THROW(group_rows(keys, 0), ArgumentError);
}

TEST(GroupRows, HoldsEveryRowOnceInOrderOfTheKeys) {
  const Rng rng(3, "rows");
  for (const int64_t span : {3, 40, 100000}) {
    std::vector<int64_t> keys;
    for (uint64_t i = 0; i < 1000; ++i)
      keys.push_back(static_cast<int64_t>(rng.below(static_cast<uint64_t>(span), i)));
    const RowGroups found = group_rows(keys, 10);
    std::vector<int64_t> rows;
    int64_t last = -1;
    for (const RowGroups::Group& group : found.groups) {
      EXPECT_GT(group.from, last);
      last = group.to;
      for (const int64_t row : group.rows) {
        EXPECT_GE(keys[row], group.from);
        EXPECT_LE(keys[row], group.to);
        rows.push_back(row);
      }
      if (span == 100000) {
        EXPECT_NEAR(static_cast<double>(group.rows.size()), 100, 2);
      }
    }
    std::sort(rows.begin(), rows.end());
    EXPECT_EQ(std::unique(rows.begin(), rows.end()), rows.end());
    EXPECT_EQ(rows.size(), keys.size());
    EXPECT_LE(found.groups.size(), 10);
  }
}

TEST(AucByGroup, IsTheAucOfTheGroupsOwnRows) {
  const std::vector<int64_t> keys{1, 1, 1, 1, 2, 2, 2, 2, 3, 3};
  const std::vector<float> scores{1, 2, 3, 4, 4, 3, 2, 1, 5, 6};
  using enum RowKind;
  const std::vector<RowKind> kinds{kSampled,    kSampled, kRead, kRead, kSampled,
                                   kShortClick, kRead,    kRead, kRead, kRead};
  const std::vector<int32_t> users{0, 1, 2, 3, 0, 1, 2, 3, 0, 1};
  const Json found =
      auc_by_group(group_rows(keys, 3), scores, kinds, users, Bootstrap(4, {.resamples = 20}));
  ASSERT_EQ(found.size(), 3);
  EXPECT_EQ(found[0]["value"], 1.0);
  EXPECT_EQ(found[1]["value"], 0.0);
  EXPECT_TRUE(found[2]["value"].is_null());  // all were read
  EXPECT_EQ(found[1]["from"], 2);
  EXPECT_EQ(found[0]["rows"], 4);
  EXPECT_EQ(found[0]["low"], 1.0);
}

/// Scores an item by its number.
class ByNumber : public Towers {
 public:
  int32_t dim() const override { return 1; }
  void encode_users(const SideBatch& users, std::span<float> out) const override {
    for (int64_t row = 0; row < users.rows; ++row) out[row] = 1;
  }
  void encode_items(const SideBatch& items, std::span<float> out) const override {
    for (int64_t row = 0; row < items.rows; ++row)
      out[row] = static_cast<float>(items.sparse[0].ids[items.sparse[0].offsets[row]]);
  }
};

TEST(ClickBait, IsItsShareAmongTheBestOfEveryList) {
  TinyDataset tiny = random_tiny_dataset(11, 12, 20, 600);
  tiny.protocol.recall_at = {2, 5};
  const ScratchFolder scratch;
  tiny.write(scratch / "tiny");
  const Dataset dataset(scratch / "tiny");
  EvaluateOptions options;
  options.bootstrap.resamples = 20;
  options.click_bait.assign(20, 0);
  for (const int item : {19, 17, 3}) options.click_bait[item] = 1;  // two of the best five
  Judge judge(dataset, options);
  const JudgedRow row = judge.towers("x", ByNumber(), 0, true);
  ASSERT_NE(row.find("click_bait@5"), nullptr);
  EXPECT_DOUBLE_EQ(row.find("click_bait@5")->interval.value, 0.4);
  EXPECT_EQ(row.find("click_bait@2"), nullptr);

  options.click_bait.clear();
  EXPECT_EQ(Judge(dataset, options).towers("x", ByNumber(), 0, true).find("click_bait@5"), nullptr);
}

TEST(Details, AreOfModelsAndHoldEveryRow) {
  TinyDataset tiny = random_tiny_dataset(11, 12, 20, 600);
  const ScratchFolder scratch;
  tiny.write(scratch / "tiny");
  const Dataset dataset(scratch / "tiny");
  EvaluateOptions options;
  options.bootstrap.resamples = 20;
  Judge judge(dataset, options);
  const JudgedRow row = judge.towers("x", ByNumber(), 0, true);
  const int64_t rows = judge.about()["rows"];
  for (const char* key : {"calibration", "auc_by_popularity", "auc_by_activity"}) {
    int64_t sum = 0;
    for (const Json& group : row.details[key]) sum += group["rows"].get<int64_t>();
    EXPECT_EQ(sum, rows) << key;
  }
  for (const JudgedRow& baseline : judge.baselines()) EXPECT_TRUE(baseline.details.empty());
  EvaluateResult result;
  result.rows = {row};
  EXPECT_EQ(to_json(result)["details"]["x"], Json::array({row.details}));
}

}  // namespace
}  // namespace retort
