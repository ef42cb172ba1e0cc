// MovieLens-100K with its users' last items as test: figures that others published check the way
// from the log to the ranks. Skipped where the data are not at hand.
#include <cstdlib>
#include <optional>

#include "tests/support/scratch_folder.h"
#include <gtest/gtest.h>

#include "retort/common/recipe.h"
#include "retort/dataset/builder.h"
#include "retort/study/baselines.h"

namespace retort {
namespace {

std::optional<fs::path> ml_100k() {
  const char* data = std::getenv("RETORT_DATA");
  std::vector<fs::path> places{fs::path(RETORT_SOURCE) / "../shared/data/ml-100k"};
  if (data != nullptr) places = {fs::path(data) / "ml-100k", fs::path(data)};
  for (const fs::path& place : places) {
    if (fs::exists(place / "ml-100k.inter.gz")) return place;
  }
  return std::nullopt;
}

class Ml100k : public testing::Test {
 protected:
  void SetUp() override {
    const auto from = ml_100k();
    if (!from) {
      GTEST_SKIP() << "ml-100k.inter.gz is neither below RETORT_DATA nor in ../shared/data/ml-100k";
    }
    const Json recipe = load_recipe(fs::path(RETORT_SOURCE) / "recipes/data/ml-100k.toml", "", {});
    ingest(recipe, {.from = *from, .out = folder_ / "ml-100k", .seed = {}});
    dataset_ = std::make_unique<Dataset>(folder_ / "ml-100k");
  }
  /// Share of the 943 users whose last item is among the first 100 by popularity.
  double popularity_recall(bool exclude_seen) {
    CatalogueOptions options;
    options.exclude_seen = exclude_seen;
    options.reads_only = false;
    const CatalogueRanks ranks =
        rank_catalogue(*dataset_, make_baselines(*dataset_, 1).front().candidates, options);
    EXPECT_EQ(ranks.rank.size(), 943u);
    double hits = 0;
    for (const int32_t rank : ranks.rank) hits += rank > 0 && rank <= 100;
    return hits / 943;
  }
  ScratchFolder folder_;
  std::unique_ptr<Dataset> dataset_;
};

TEST_F(Ml100k, HasTheCountsOfItsSource) {
  EXPECT_EQ(dataset_->users(), 943);
  EXPECT_EQ(dataset_->items(), 1682);
  EXPECT_EQ(dataset_->clicks().size(), 100000);
  EXPECT_EQ(dataset_->rows_of(Split::kTest).size(), 943u);
}

TEST_F(Ml100k, PopularityRecallsAsPublished) {
  EXPECT_NEAR(popularity_recall(false), 230.0 / 943, 1e-12);  // 0.2439
}

}  // namespace
}  // namespace retort
