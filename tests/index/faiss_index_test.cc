// Oracle: the exact index.
#include "retort/index/faiss_index.h"

#include <fstream>

#include "tests/index/search_oracle.h"
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#endif

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/index/exact_index.h"

namespace retort {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

/// Faiss leaks what it had made when it refuses a file or a factory string.
struct FaissLeaks {
#if defined(__SANITIZE_ADDRESS__)
  __lsan::ScopedDisabler disabler;
#endif
  ~FaissLeaks() {}
};

class Faiss : public testing::Test {
 protected:
  static constexpr int32_t kDim = 20;  // no multiple of 16: padded
  static constexpr int64_t kItems = 3000;
  Faiss() : vectors_(random_floats(kItems * kDim, "v")), queries_(random_floats(40 * kDim, "q")) {}
  ~Faiss() override { fs::remove(file_); }
  std::span<const float> query(size_t q) const {
    return std::span(queries_).subspan(q * kDim, kDim);
  }
  const Json options_{{"factory", "IVF32,PQ8x8"}, {"nprobe", 16}, {"refine", 8}};
  std::vector<float> vectors_, queries_;
  fs::path file_ = fs::path(testing::TempDir()) / fmt::format("faiss-{}", ::getpid());
};

TEST_F(Faiss, FindsMostOfTheBestAndScoresThemInFp32) {
  FaissIndex index(faiss_options(options_));
  index.build(vectors_, kDim);
  EXPECT_EQ(index.size(), kItems);
  // Measured 0.935.
  EXPECT_GT(recall_against_exact(index, vectors_, queries_, kDim, 20), 0.85);
  const ExactIndex exact(vectors_, kDim);
  const auto all = exact.search(query(0), kItems, {});
  for (const SearchHit& hit : index.search(query(0), 50, {})) {
    const auto same = std::find_if(all.begin(), all.end(),
                                   [&](const SearchHit& one) { return one.item == hit.item; });
    EXPECT_EQ(hit.score, same->score);
  }
}

TEST_F(Faiss, FiltersOfAnySelectivityGiveKOfTheAllowed) {
  FaissIndex index(faiss_options(options_));
  index.build(vectors_, kDim);
  const ExactIndex exact(vectors_, kDim);
  for (size_t q = 0; q < 10; ++q) {
    // The worst case: everything found first is forbidden.
    ItemFilter worst = ItemFilter::all(kItems);
    for (const SearchHit& hit : exact.search(query(q), 600, {})) worst.forbid(hit.item);
    for (const ItemFilter& filter : {ItemFilter{}, worst, every(kItems, 2), every(kItems, 50),
                                     every(kItems, kItems), ItemFilter::none(kItems)})
      for (const int32_t k : {1, 20, 300, 5000}) {
        const auto hits = index.search(query(q), k, filter);
        const auto best = items_of(exact.search(query(q), k, filter));
        ASSERT_EQ(hits.size(), best.size());
        EXPECT_TRUE(std::is_sorted(hits.begin(), hits.end(), ranks_before));
        int64_t found = 0;
        for (const SearchHit& hit : hits) {
          EXPECT_TRUE(filter.allows(hit.item));
          found += std::count(best.begin(), best.end(), hit.item);
        }
        // Measured 8 of 20 in the worst case, whose best are all alike to compressed codes.
        EXPECT_GE(found, std::ssize(best) >= 20 ? std::ssize(best) * 3 / 10 : 0);
      }
  }
}

TEST_F(Faiss, ComesBackFromDiskAsItWas) {
  const FaissLeaks allowed;
  for (const char* factory : {"auto", "IVF32,Flat", "PCA16,IVF16,PQ8x4"}) {
    const Json options{{"factory", factory}};
    const auto index = find_index("faiss").make(options);
    index->build(vectors_, kDim);
    index->save(file_);
    const auto loaded = find_index("faiss").load(file_, vectors_, kDim, options);
    for (size_t q = 0; q < 10; ++q)
      EXPECT_EQ(items_of(loaded->search(query(q), 30, {})),
                items_of(index->search(query(q), 30, {})));
    EXPECT_THROW(find_index("faiss").load(file_, vectors_, kDim * 2, options), DataError);
    const auto fewer = std::span(vectors_).first(2000 * kDim);
    EXPECT_THROW(find_index("faiss").load(file_, fewer, kDim, options), DataError);
    EXPECT_THROW(find_index("faiss").load(file_, fewer.first(100 * kDim), kDim, options),
                 DataError);
    std::ofstream(file_, std::ios::binary) << "IwPQ but no index";
    EXPECT_THROW(find_index("faiss").load(file_, vectors_, kDim, options), DataError);
  }
}

TEST_F(Faiss, FewItemsAreSearchedExactly) {
  const auto few = std::span(vectors_).first(500 * kDim);
  FaissIndex index;
  index.build(few, kDim);
  index.save(file_);
  const auto loaded = find_index("faiss").load(file_, few, kDim, Json::object());
  const ExactIndex exact(few, kDim);
  EXPECT_EQ(items_of(index.search(query(0), 30, {})), items_of(exact.search(query(0), 30, {})));
  EXPECT_EQ(items_of(loaded->search(query(0), 30, {})), items_of(exact.search(query(0), 30, {})));
}

TEST_F(Faiss, RefusesOptionsThatDoNotFit) {
  const FaissLeaks allowed;
  const auto build = [&](const char* factory) {
    return [&, factory] { FaissIndex({.factory = factory}).build(vectors_, kDim); };
  };
  EXPECT_THAT(build("IVF16,PQ7x8"), ThrowsMessage<ConfigError>(HasSubstr("'IVF16,PQ7x8'")));
  EXPECT_THAT(build("nonsense"), ThrowsMessage<ConfigError>(HasSubstr("'nonsense'")));
  EXPECT_THAT(build("Flat"), ThrowsMessage<ConfigError>(HasSubstr("makes no IVF")));
  EXPECT_THAT(
      [] {
        faiss_options({{"nprobe", 0}});
      },
      ThrowsMessage<ConfigError>(HasSubstr("nprobe = 0")));
  vectors_[7] = NAN;
  EXPECT_THROW(FaissIndex().build(vectors_, kDim), ArgumentError);
}

}  // namespace
}  // namespace retort
