// Oracles: the fp32 scan, and all inner products in double precision for whole numbers.
#include "retort/index/exact_index.h"

#include <cmath>

#include "tests/index/search_oracle.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/common/thread_pool.h"

namespace retort {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr Storage kCompact[] = {Storage::kInt8, Storage::kBf16};

void expect_same(const std::vector<SearchHit>& got, const std::vector<SearchHit>& expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_EQ(got[i].item, expected[i].item) << i;
    EXPECT_EQ(got[i].score, expected[i].score) << i;
  }
}

/// As towers give them: clusters, a common offset, lengths that differ, a popularity dimension.
std::vector<float> tower_like(int64_t rows, int64_t dim, const char* stream) {
  const Rng centres(2, "centres"), noise(2, stream);
  std::vector<float> values(static_cast<size_t>(rows * dim));
  for (size_t i = 0; i < values.size(); ++i) {
    const size_t row = i / static_cast<size_t>(dim), d = i % static_cast<size_t>(dim);
    const uint64_t centre = noise.below(20, (uint64_t{1} << 40) + row);
    const double length = std::exp(noise.normal((uint64_t{1} << 41) + row) / 2);
    values[i] = static_cast<float>(
        0.3 + length * (centres.normal(centre * 1000 + d) + 0.5 * noise.normal(i)));
    if (d + 1 == static_cast<size_t>(dim) && dim > 1)
      values[i] = static_cast<float>(-std::log(1.0 + static_cast<double>(row)));
  }
  return values;
}

TEST(CompactStorage, GivesTheHitsAndScoresOfTheFp32Scan) {
  const int64_t items = 3000;
  for (const int32_t dim : {1, 3, 31, 128, 130}) {
    const auto vectors = tower_like(items, dim, "items"), queries = tower_like(70, dim, "users");
    const ExactIndex plain(vectors, dim);
    for (const Storage storage : kCompact) {
      const ExactIndex compact(vectors, dim, storage);
      ASSERT_NE(compact.storage(), "fp32");
      for (const ItemFilter& filter :
           {ItemFilter{}, every(items, 2), every(items, 40), ItemFilter::none(items)})
        for (const int32_t k : {0, 1, 100, 4000}) {
          const auto many = compact.search_many(queries, dim, k, filter);
          ASSERT_EQ(many.size(), 70u);
          for (size_t q = 0; q < many.size(); q += 23) {
            const auto query =
                std::span(queries).subspan(q * static_cast<size_t>(dim), static_cast<size_t>(dim));
            const auto expected = plain.search(query, k, filter);
            expect_same(compact.search(query, k, filter), expected);
            expect_same(many[q], expected);
          }
        }
    }
  }
}

TEST(CompactStorage, TiesGoToTheLowerItem) {
  const int64_t items = 4000;
  for (const int32_t dim : {1, 5, 32}) {
    const auto vectors = random_digits(items * dim, "vectors");
    for (const Storage storage : kCompact) {
      const ExactIndex compact(vectors, dim, storage);
      for (int query = 0; query < 4; ++query) {
        const auto q = random_digits(dim, std::to_string(query).c_str());
        for (const ItemFilter& filter : {ItemFilter{}, every(items, 3)})
          for (const int32_t k : {1, 10, 200})
            EXPECT_EQ(items_of(compact.search(q, k, filter)), best_items(vectors, q, k, filter));
      }
    }
  }
}

TEST(CompactStorage, DoesNotDependOnThreads) {
  const auto vectors = tower_like(20'000, 64, "items"), query = tower_like(1, 64, "user");
  const ExactIndex plain(vectors, 64), compact(vectors, 64, Storage::kInt8);
  set_threads(1);
  const auto expected = plain.search(query, 50, {});
  expect_same(compact.search(query, 50, {}), expected);
  set_threads(4);
  expect_same(compact.search(query, 50, {}), expected);
  set_threads(0);
}

TEST(CompactStorage, NumbersThatAreNoneScoreAsTheFp32ScanDoes) {
  auto vectors = tower_like(3000, 16, "items");
  vectors[5 * 16 + 3] = NAN;
  vectors[9 * 16] = INFINITY;
  vectors[11 * 16 + 1] = -INFINITY;
  vectors[13 * 16 + 2] = 3e38f;
  const ExactIndex plain(vectors, 16);
  auto query = tower_like(1, 16, "user");
  for (const Storage storage : kCompact) {
    const ExactIndex compact(vectors, 16, storage);
    for (const float first : {query[0], 0.0f, NAN, INFINITY, 1e30f}) {
      auto changed = query;
      changed[0] = first;
      expect_same(compact.search(changed, 20, {}), plain.search(changed, 20, {}));
      expect_same(compact.search_many(changed, 16, 20, {})[0], plain.search(changed, 20, {}));
    }
    const std::vector<float> zeros(16), tiny(16, 1e-30f);
    expect_same(compact.search(zeros, 20, {}), plain.search(zeros, 20, {}));
    expect_same(compact.search(tiny, 20, {}), plain.search(tiny, 20, {}));
  }
}

TEST(CompactStorage, VectorsAllAlikeAreScoredOneByOne) {
  const std::vector<float> vectors(size_t{40'000} * 8, 0.7f), query(8, 1.0f);
  const ExactIndex plain(vectors, 8), compact(vectors, 8, Storage::kInt8);
  expect_same(compact.search(query, 30, {}), plain.search(query, 30, {}));
  expect_same(compact.search_many(query, 8, 30, {})[0], plain.search(query, 30, {}));
}

TEST(ExactIndex, StorageIsAnOption) {
  const auto vectors = random_floats(4000 * 4, "v");
  const auto made = [&](const char* storage) {
    ExactIndex index(Storage::kFp32);
    const auto entry = find_index("exact").make({{"storage", storage}});
    entry->build(vectors, 4);
    return dynamic_cast<const ExactIndex&>(*entry).storage();
  };
  EXPECT_EQ(made("fp32"), "fp32");
  EXPECT_EQ(made("bf16"), "bf16");
  EXPECT_EQ(made("int8"), "int8");
  EXPECT_THAT(
      [] {
        find_index("exact").make({{"storage", "int4"}});
      },
      ThrowsMessage<ConfigError>(HasSubstr("int4")));
  const ExactIndex int8(vectors, 4, Storage::kInt8), bf16(vectors, 4, Storage::kBf16);
  EXPECT_EQ(int8.compact_bytes(), 4000 * (4 + 12) + 4 * 4 + 1024);
  EXPECT_EQ(bf16.compact_bytes(), 4000 * (8 + 12) + 4 * 4 + 1024);
}

TEST(ExactIndex, ComesBackFromDiskAsItWas) {
  const auto vectors = tower_like(3000, 24, "items"), query = tower_like(1, 24, "user");
  const auto index = find_index("exact").make({{"storage", "int8"}});
  index->build(vectors, 24);
  const fs::path file = fs::path(testing::TempDir()) / fmt::format("exact-{}", ::getpid());
  index->save(file);
  const auto loaded = find_index("exact").load(file, vectors, 24, {{"storage", "int8"}});
  expect_same(loaded->search(query, 30, {}), index->search(query, 30, {}));
  fs::remove(file);
}

}  // namespace
}  // namespace retort
