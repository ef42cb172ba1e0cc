// The recipes of public logs, where these lie beside the checkout or under RETORT_DATA.
#include <algorithm>
#include <cstdlib>
#include <numeric>

#include "tests/log/ingest_support.h"
#include <gtest/gtest.h>

namespace retort {
namespace {

fs::path data_folder(const std::string& name) {
  if (const char* set = std::getenv("RETORT_DATA")) return fs::path(set) / name;
  return fs::path(RETORT_SOURCE) / "../shared/data" / name;
}

IngestResult ingest_real(const std::string& recipe, const fs::path& from, const fs::path& out) {
  return ingest(load_recipe(fs::path(RETORT_SOURCE) / "recipes/data" / (recipe + ".toml"), "", {}),
                {.from = from, .out = out});
}

TEST(RealLogs, MovieLensPopularityMatchesItsProtocol) {
  const fs::path from = data_folder("ml-100k");
  if (!fs::exists(from)) GTEST_SKIP() << "needs " << from;
  const ScratchFolder folder;
  const auto result = ingest_real("ml-100k", from, folder / "d");
  expect_counts(result, 100'000, 100'000);
  EXPECT_EQ(result.users, 943);
  EXPECT_EQ(result.items, 1682);
  const Dataset data(folder / "d");
  ASSERT_EQ(data.rows_of(Split::kTest).size(), 943u);
  EXPECT_EQ(data.rows_of(Split::kValid).size(), 943u);
  // Recall@100 of the most clicked items, clicks of every split but test.
  std::vector<int64_t> clicks(static_cast<size_t>(data.items()), 0);
  for (size_t row = 0; row < data.clicks().item.size(); ++row)
    clicks[static_cast<size_t>(data.clicks().item[row])] +=
        data.clicks().split[row] != static_cast<uint8_t>(Split::kTest) ? 1 : 0;
  std::vector<int32_t> order(clicks.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return clicks[static_cast<size_t>(a)] > clicks[static_cast<size_t>(b)];
  });
  int hits = 0;
  for (const int64_t row : data.rows_of(Split::kTest))
    hits += std::count(order.begin(), order.begin() + 100,
                       data.clicks().item[static_cast<size_t>(row)]) > 0;
  EXPECT_NEAR(hits / 943.0, 0.2439, 5e-5);
}

TEST(RealLogs, NewsHistorySplitsByTime) {
  const fs::path from = data_folder("ebnerd_demo/train");
  if (!fs::exists(from)) GTEST_SKIP() << "needs " << from;
  const ScratchFolder folder;
  const auto result = ingest_real("ebnerd", from, folder / "d");
  expect_counts(result, 258'318, 258'318);
  EXPECT_EQ(result.items, 4247);
  const Dataset data(folder / "d");
  int64_t last_train = 0, first_test = INT64_MAX;
  for (const int64_t row : data.rows_of(Split::kTrain))
    last_train = std::max(last_train, data.clicks().time[static_cast<size_t>(row)]);
  for (const int64_t row : data.rows_of(Split::kTest))
    first_test = std::min(first_test, data.clicks().time[static_cast<size_t>(row)]);
  EXPECT_LT(last_train, first_test);
  EXPECT_GE(data.end_time() - first_test, 47 * 3'600'000'000);
  EXPECT_LE(data.end_time() - first_test, 48 * 3'600'000'000);
}

TEST(RealLogs, NewsHistorySplitsByUser) {
  const fs::path from = data_folder("ebnerd_demo/train");
  if (!fs::exists(from)) GTEST_SKIP() << "needs " << from;
  const ScratchFolder folder;
  const auto result = ingest_real("ebnerd-user", from, folder / "d");
  expect_counts(result, 258'318, 258'318);
  EXPECT_NEAR(static_cast<double>(result.clicks_of_split.at("test")), 25'832, 300);
}

}  // namespace
}  // namespace retort
