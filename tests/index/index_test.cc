// Oracle: every inner product in double precision, sorted.
#include <algorithm>
#include <cmath>
#include <fstream>

#include "tests/index/search_oracle.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/common/rng.h"
#include "retort/common/thread_pool.h"
#include "retort/index/exact_index.h"
#include "retort/index/hnsw_index.h"
#include "retort/index/item_index.h"

namespace retort {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(ItemFilter, CountsForbidsAllowsAndIntersects) {
  for (const int64_t items : {0, 1, 63, 64, 65, 200}) {
    ItemFilter filter = ItemFilter::all(items);
    EXPECT_EQ(filter.count(items), items);
    EXPECT_EQ(ItemFilter{}.count(items), items);
    EXPECT_EQ(ItemFilter::none(items).count(items), 0);
    if (items < 2) continue;
    filter.forbid(1);
    EXPECT_FALSE(filter.allows(1));
    EXPECT_TRUE(filter.allows(0));
    filter.intersect({});
    EXPECT_EQ(filter.count(items), items - 1);
    filter.intersect(every(items, 2));
    EXPECT_EQ(filter.count(items), (items + 1) / 2);
    std::vector<int32_t> visited;
    filter.each(0, items, [&](int32_t item) { visited.push_back(item); });
    for (size_t i = 0; i < visited.size(); ++i) EXPECT_EQ(visited[i], static_cast<int32_t>(2 * i));
    EXPECT_EQ(std::ssize(visited), (items + 1) / 2);
  }
  ItemFilter filter;
  EXPECT_THROW(filter.forbid(0), ArgumentError);
  filter = ItemFilter::all(64);
  EXPECT_THROW(filter.forbid(64), ArgumentError);
  EXPECT_THROW(filter.forbid(-1), ArgumentError);
}

TEST(ExactIndex, MatchesBruteForceWithTiesAndFilters) {
  for (const int32_t dim : {1, 5, 32}) {
    const int64_t items = 1500;
    const auto vectors = random_digits(items * dim, "vectors");
    ExactIndex index;
    index.build(vectors, dim);
    EXPECT_EQ(index.size(), items);
    for (int query = 0; query < 5; ++query) {
      const auto q = random_digits(dim, std::to_string(query).c_str());
      for (const ItemFilter& filter : {ItemFilter{}, ItemFilter::all(items), every(items, 2),
                                       every(items, 301), ItemFilter::none(items)})
        for (const int32_t k : {0, 1, 10, 2000})
          EXPECT_EQ(items_of(index.search(q, k, filter)), best_items(vectors, q, k, filter));
    }
  }
}

TEST(ExactIndex, ManyQueriesAtOnceGiveTheSame) {
  const auto vectors = random_digits(3000 * 7, "vectors"), queries = random_digits(70 * 7, "q");
  const auto all = exact_top_k(vectors, queries, 7, 25);
  ASSERT_EQ(all.size(), 70u);
  for (size_t q = 0; q < all.size(); ++q)
    EXPECT_EQ(items_of(all[q]), best_items(vectors, std::span(queries).subspan(q * 7, 7), 25, {}));
}

TEST(Indexes, RefuseWhatDoesNotFit) {
  for (const IndexEntry& entry : indexes()) {
    const auto index = entry.make(Json::object());
    const auto vectors = random_floats(40, "v");
    EXPECT_THROW(index->build(std::span(vectors).first(39), 4), ArgumentError);
    index->build(vectors, 4);
    EXPECT_THROW(index->search(std::span(vectors).first(3), 1, {}), ArgumentError);
    EXPECT_THROW(index->search(std::span(vectors).first(4), -1, {}), ArgumentError);
    EXPECT_THROW(index->search(std::span(vectors).first(4), 1, ItemFilter::all(65)), ArgumentError);
    EXPECT_THAT(
        [&] {
          entry.make({{"ef_serch", 3}});
        },
        ThrowsMessage<ConfigError>(HasSubstr("ef_serch")));
  }
  EXPECT_THAT([] { find_index("hsnw"); }, ThrowsMessage<ConfigError>(HasSubstr("exact, hnsw")));
  EXPECT_THAT(
      [] {
        find_index("hnsw").make({{"M", 1}});
      },
      ThrowsMessage<ConfigError>(HasSubstr("M = 1")));
}

TEST(Indexes, AnEmptyCatalogueGivesNothing) {
  for (const IndexEntry& entry : indexes()) {
    const auto index = entry.make(Json::object());
    index->build({}, 3);
    EXPECT_EQ(index->size(), 0);
    EXPECT_TRUE(index->search(std::vector<float>{1, 2, 3}, 5, {}).empty());
  }
}

class Hnsw : public testing::Test {
 protected:
  static constexpr int32_t kDim = 16;
  static constexpr int64_t kItems = 2500;
  Hnsw() : vectors_(random_floats(kItems * kDim, "v")), queries_(random_floats(40 * kDim, "q")) {
    const Rng rng(1, "norms");
    for (size_t i = 0; i < vectors_.size(); ++i)
      vectors_[i] *= static_cast<float>(0.1 + 2 * rng.uniform(i / kDim));
  }
  std::span<const float> query(size_t q) const {
    return std::span(queries_).subspan(q * kDim, kDim);
  }
  std::vector<float> vectors_, queries_;
  fs::path file_ = fs::path(testing::TempDir()) / fmt::format("hnsw-{}", ::getpid());
  ~Hnsw() override { fs::remove(file_); }
};

TEST_F(Hnsw, FindsNearlyAllOfTheBest) {
  HnswIndex index({.ef_search = 100});
  index.build(vectors_, kDim);
  EXPECT_EQ(index.size(), kItems);
  EXPECT_GT(recall_against_exact(index, vectors_, queries_, kDim, 50), 0.97);
  for (const auto& hits : search_batch(index, queries_, kDim, 50)) {
    ASSERT_EQ(hits.size(), 50u);
    EXPECT_TRUE(std::is_sorted(hits.begin(), hits.end(), ranks_before));
  }
}

TEST_F(Hnsw, EqualNormsFindWhatOneLongDimensionHides) {
  // Popularity far outweighs the rest; plain links then join the extremes with each other.
  for (size_t i = kDim - 1; i < vectors_.size(); i += kDim)
    vectors_[i] = -20 * std::log(1 + static_cast<float>(i / kDim));
  for (size_t i = kDim - 1; i < queries_.size(); i += kDim) queries_[i] = 1;
  HnswIndex index({.ef_search = 100, .equal_norms = true});
  index.build(vectors_, kDim);
  EXPECT_GT(recall_against_exact(index, vectors_, queries_, kDim, 50), 0.95);
}

TEST_F(Hnsw, ScoresEqualThoseOfTheExactIndex) {
  HnswIndex index;
  index.build(vectors_, kDim);
  const ExactIndex exact(vectors_, kDim);
  const auto all = exact.search(query(0), kItems, {});
  std::map<int32_t, float> score;
  for (const SearchHit& hit : all) score[hit.item] = hit.score;
  for (const SearchHit& hit : index.search(query(0), 100, {}))
    EXPECT_EQ(hit.score, score[hit.item]);
}

TEST_F(Hnsw, FiltersOfAnySelectivityGiveKOfTheAllowed) {
  HnswIndex index({.ef_search = 50});
  index.build(vectors_, kDim);
  const ExactIndex exact(vectors_, kDim);
  for (size_t q = 0; q < 10; ++q) {
    // The worst case: everything the walk finds first is forbidden.
    ItemFilter worst = ItemFilter::all(kItems);
    for (const SearchHit& hit : exact.search(query(q), 300, {})) worst.forbid(hit.item);
    for (const ItemFilter& filter : {worst, every(kItems, 2), every(kItems, 10), every(kItems, 500),
                                     every(kItems, kItems), ItemFilter::none(kItems)})
      for (const int32_t k : {1, 20, 300}) {
        const auto hits = index.search(query(q), k, filter);
        const auto best = items_of(exact.search(query(q), k, filter));
        ASSERT_EQ(hits.size(), best.size());
        int64_t found = 0;
        for (const SearchHit& hit : hits) {
          EXPECT_TRUE(filter.allows(hit.item));
          found += std::count(best.begin(), best.end(), hit.item);
        }
        EXPECT_GE(static_cast<double>(found), 0.8 * static_cast<double>(best.size()));
      }
  }
}

TEST(HnswWidths, OddWidthsAreFoundAsWell) {
  for (const int32_t dim : {1, 3, 31, 130}) {
    const auto vectors = random_floats(1500 * dim, "v"), queries = random_floats(20 * dim, "q");
    HnswIndex index;
    index.build(vectors, dim);
    EXPECT_GT(recall_against_exact(index, vectors, queries, dim, 20), 0.95) << dim;
  }
}

TEST_F(Hnsw, KOfTheWholeCatalogueReturnsAllOfIt) {
  HnswIndex index;
  index.build(vectors_, kDim);
  EXPECT_EQ(index.search(query(0), kItems + 5, {}).size(), static_cast<size_t>(kItems));
}

TEST_F(Hnsw, OneThreadBuildsTheSameGraphEachTime) {
  const HnswOptions options{.seed = 5, .parallel = false};
  HnswIndex first(options), second(options);
  first.build(std::span(vectors_).first(500 * kDim), kDim);
  second.build(std::span(vectors_).first(500 * kDim), kDim);
  first.save(file_);
  const std::string bytes = read_file(file_);
  second.save(file_);
  EXPECT_TRUE(bytes == read_file(file_));
}

TEST_F(Hnsw, ComesBackFromDiskAsItWas) {
  const auto index = find_index("hnsw").make({{"M", 8}});
  index->build(vectors_, kDim);
  index->save(file_);
  const auto loaded = find_index("hnsw").load(file_, vectors_, kDim, {{"M", 8}});
  for (size_t q = 0; q < 10; ++q)
    EXPECT_EQ(items_of(loaded->search(query(q), 30, {})),
              items_of(index->search(query(q), 30, {})));
  EXPECT_THROW(find_index("hnsw").load(file_, vectors_, kDim, {{"M", 16}}), DataError);
  EXPECT_THROW(find_index("hnsw").load(file_, vectors_, kDim / 2, {{"M", 8}}), DataError);
}

TEST_F(Hnsw, DamagedFilesAreRefusedOrSearchedWithoutLeavingMemory) {
  HnswIndex index({.M = 4});
  const auto some = std::span(vectors_).first(300 * kDim);
  index.build(some, kDim);
  index.save(file_);
  const std::string good = read_file(file_);
  const Rng rng(3, "damage");
  int refused = 0;
  for (uint64_t trial = 0; trial < 300; ++trial) {
    std::string bad = good;
    if (trial % 10 == 0)
      bad.resize(rng.below(good.size(), trial));
    else
      bad[rng.below(trial < 100 ? 96 : good.size(), trial)] ^=
          static_cast<char>(1 << rng.below(8, 1000 + trial));
    std::ofstream(file_, std::ios::binary) << bad;
    HnswIndex damaged({.M = 4, .ef_search = 10});
    try {
      damaged.load(file_, some, kDim);
      EXPECT_EQ(damaged.search(query(0), 20, {}).size(), 20u);
    } catch (const DataError& error) {
      EXPECT_THAT(error.what(), HasSubstr(file_.string()));
      ++refused;
    }
  }
  EXPECT_GT(refused, 100);
}

constexpr float kOneGoodVector[10] = {5, 1, 1, 1, 1, 1, 1, 1, 1, 1};

/// Answers every query with the last items.
class LastItems : public ItemIndex {
 public:
  void build(std::span<const float>, int32_t) override {}
  std::vector<SearchHit> search(std::span<const float> query, int32_t k,
                                const ItemFilter&) const override {
    std::vector<SearchHit> hits;
    for (int32_t i = 0; i < k; ++i) hits.push_back({9 - i, query[0] * kOneGoodVector[9 - i]});
    return hits;
  }
  void save(const fs::path&) const override {}
  int64_t size() const override { return 10; }
};

TEST(RecallAgainstExact, CountsEqualScoresAsFoundAndMissesAsMisses) {
  const std::vector<float> query{2};
  // Best 4: item 0 and three of the nine equal ones; the last items miss item 0 only.
  EXPECT_DOUBLE_EQ(recall_against_exact(LastItems(), kOneGoodVector, query, 1, 4), 0.75);
}

}  // namespace
}  // namespace retort
