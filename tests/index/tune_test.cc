#include "retort/index/tune.h"

#include "tests/index/search_oracle.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"

namespace retort {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(TuneTarget, IsARecallWithOrWithoutTheWord) {
  EXPECT_EQ(parse_target("recall 0.98"), 0.98);
  EXPECT_EQ(parse_target("recall  1"), 1);
  EXPECT_EQ(parse_target("0.5"), 0.5);
  for (const char* bad :
       {"", "recall", "latency 2", "recall 0", "recall 1.5", "recall 0.9 ms", "nan"})
    EXPECT_THAT([&] { parse_target(bad); }, ThrowsMessage<ConfigError>(HasSubstr("as in")));
}

TEST(TuneChoice, IsTheFastestThatReachesTheTarget) {
  const std::vector<TunePoint> points{
      {.index = "exact", .options = {}, .recall = 1, .median_ms = 5},
      {.index = "hnsw", .options = {}, .recall = 0.97, .median_ms = 1},
      {.index = "hnsw", .options = {}, .recall = 0.99, .median_ms = 2}};
  EXPECT_EQ(&choose_point(points, 0.9), &points[1]);
  EXPECT_EQ(&choose_point(points, 0.98), &points[2]);
  EXPECT_EQ(&choose_point(points, 1.0), &points[0]);
  EXPECT_THROW(choose_point(std::span(points).subspan(1), 1.0), ArgumentError);
}

TEST(TuneIndexes, MeasuresEveryIndexAndPlotsThem) {
  constexpr int32_t kDim = 8;
  const auto vectors = random_floats(2500 * kDim, "v"), queries = random_floats(30 * kDim, "q");
  const auto points = tune_indexes(vectors, queries, kDim, {.k = 20, .recall = 0.9});
  std::map<std::string, double> best;
  int on_front = 0;
  for (const TunePoint& one : points) {
    best[one.index] = std::max(best[one.index], one.recall);
    on_front += one.on_front;
    EXPECT_GT(one.median_ms, 0);
    EXPECT_GE(one.p99_ms, one.median_ms);
    EXPECT_GT(one.queries_per_second, 0);
    EXPECT_LE(one.recall, 1);
    // What is printed for publish makes the index that was measured.
    EXPECT_NO_THROW(find_index(one.index).make(one.options));
    for (const TunePoint& other : points)
      EXPECT_FALSE(one.on_front && other.recall > one.recall && other.median_ms < one.median_ms);
  }
  EXPECT_EQ(best.size(), 3u);
  EXPECT_EQ(best["exact"], 1);
  EXPECT_GT(best["hnsw"], 0.99);
  EXPECT_GT(best["faiss"], 0.8);
  EXPECT_GE(on_front, 1);
  const std::string plot = tune_plot(points, choose_point(points, 0.9), 20);
  EXPECT_THAT(plot, HasSubstr("<svg"));
  size_t circles = 0;
  for (size_t at = plot.find("<title>"); at != std::string::npos; at = plot.find("<title>", at + 1))
    ++circles;
  EXPECT_EQ(circles, points.size());
}

TEST(TuneIndexes, RefusesNothingToSearchFor) {
  const auto vectors = random_floats(20, "v");
  EXPECT_THROW(tune_indexes(vectors, {}, 4, {}), ArgumentError);
}

}  // namespace
}  // namespace retort
