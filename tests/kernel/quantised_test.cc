// Oracle: dot() of the vectors as they are, and plain loops over the decoded bounds.
#include "retort/kernel/quantised.h"

#include <cmath>

#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/common/rng.h"
#include "retort/kernel/dense.h"

namespace retort {
namespace {

constexpr CompactStorage kStorages[] = {CompactStorage::kInt8, CompactStorage::kBf16};

/// Rows with a common offset and lengths over four orders of magnitude.
std::vector<float> uneven_rows(int64_t rows, int64_t dim, const char* stream) {
  const Rng rng(5, stream);
  std::vector<float> values(static_cast<size_t>(rows * dim));
  for (size_t i = 0; i < values.size(); ++i) {
    const size_t row = i / static_cast<size_t>(dim);
    const double length = std::pow(10.0, 4 * rng.uniform((uint64_t{1} << 40) + row) - 2);
    values[i] = static_cast<float>(0.5 + length * rng.normal(i));
  }
  return values;
}

std::vector<Survivor> scan_all(const QuantisedMatrix& matrix, const QuantisedQuery& ready,
                               ScanFunction scan, float threshold, const uint64_t* bits,
                               int64_t copies) {
  std::vector<std::vector<Survivor>> out(
      static_cast<size_t>(copies), std::vector<Survivor>(static_cast<size_t>(matrix.rows()) + 1));
  std::vector<ScanQuery> queries;
  for (auto& room : out)
    queries.push_back({ready.narrow.data(), ready.wide.data(), ready.start, ready.norm_factor,
                       ready.residual_factor, threshold, room.data(), 0});
  scan(matrix.view(), 0, matrix.panels(), bits, queries.data(), copies);
  for (int64_t q = 0; q < copies; ++q) {
    auto& survivors = out[static_cast<size_t>(q)];
    survivors.resize(static_cast<size_t>(queries[static_cast<size_t>(q)].count));
    std::sort(survivors.begin(), survivors.end(),
              [](const Survivor& a, const Survivor& b) { return a.row < b.row; });
    EXPECT_EQ(survivors.size(), out[0].size());
    for (size_t i = 0; i < std::min(survivors.size(), out[0].size()); ++i) {
      EXPECT_EQ(survivors[i].row, out[0][i].row);
      EXPECT_EQ(survivors[i].upper, out[0][i].upper);
    }
  }
  return out[0];
}

TEST(QuantisedMatrix, BoundsHoldTheProductAtEveryLevelWidthAndRowCount) {
  for (const CompactStorage storage : kStorages)
    for (const int64_t dim : {1, 3, 31, 128, 130})
      for (const int64_t rows : {1, 15, 16, 17, 100}) {
        const auto vectors = uneven_rows(rows, dim, "rows"), query = uneven_rows(1, dim, "query");
        const QuantisedMatrix matrix(vectors, dim, storage);
        const QuantisedQuery ready = matrix.prepare(query);
        ASSERT_TRUE(ready.bounded);
        for (const std::string_view isa : scan_levels(storage)) {
          const auto bounds =
              scan_all(matrix, ready, scan_function(storage, isa), -INFINITY, nullptr, 9);
          ASSERT_EQ(std::ssize(bounds), rows) << isa;
          for (const Survivor& one : bounds) {
            const double exact = dot(query.data(), vectors.data() + one.row * dim, dim);
            const double margin = matrix.margin(ready, one.row);
            EXPECT_LE(exact, ready.unit * one.upper + ready.offset + ready.slack) << isa;
            EXPECT_GE(exact, ready.unit * (one.upper - 2 * margin) + ready.offset - ready.slack)
                << isa;
          }
        }
      }
}

TEST(QuantisedMatrix, MarginsAreNarrow) {
  const auto vectors = uneven_rows(1, 128, "one"), query = uneven_rows(1, 128, "query");
  std::vector<float> rows(128 * 16);  // the mean is not the row itself
  std::copy(vectors.begin(), vectors.end(), rows.begin());
  double query_length = 0;
  for (const float value : query) query_length += double{value} * value;
  for (const CompactStorage storage : kStorages) {
    const QuantisedMatrix matrix(rows, 128, storage);
    const QuantisedQuery ready = matrix.prepare(query);
    const double relative =
        matrix.margin(ready, 0) * ready.unit / (std::sqrt(query_length) * matrix.view().norm[0]);
    EXPECT_LT(relative, storage == CompactStorage::kInt8 ? 0.02 : 0.005);
    EXPECT_GT(relative, 1e-4);
  }
}

TEST(Scan, LevelsAgreeAndKeepWhatReachesTheThresholdAndIsAllowed) {
  const int64_t rows = 1000, dim = 67;
  const auto vectors = uneven_rows(rows, dim, "rows"), query = uneven_rows(1, dim, "query");
  std::vector<uint64_t> bits(16);
  for (int64_t row = 0; row < rows; row += 3)
    bits[static_cast<size_t>(row / 64)] |= uint64_t{1} << (row % 64);
  for (size_t word = 4; word < 8; ++word) bits[word] = 0;  // panels without an allowed row
  for (const CompactStorage storage : kStorages) {
    const QuantisedMatrix matrix(vectors, dim, storage);
    const QuantisedQuery ready = matrix.prepare(query);
    const auto plain =
        scan_all(matrix, ready, scan_function(storage, "generic"), -INFINITY, nullptr, 1);
    float largest = 0;
    for (const Survivor& one : plain) largest = std::max(largest, std::abs(one.upper));
    const float threshold = plain[500].upper;
    std::vector<int32_t> kept;
    for (const Survivor& one : plain)
      if (one.upper >= threshold && one.row % 3 == 0 && (one.row < 256 || one.row >= 512))
        kept.push_back(one.row);
    ASSERT_GT(kept.size(), 20u);
    for (const std::string_view isa : scan_levels(storage)) {
      const ScanFunction scan = scan_function(storage, isa);
      const auto all = scan_all(matrix, ready, scan, -INFINITY, nullptr, 8);
      for (size_t i = 0; i < all.size(); ++i)
        ASSERT_NEAR(all[i].upper, plain[i].upper, 1e-5f * largest) << isa;
      const auto some = scan_all(matrix, ready, scan, all[500].upper, bits.data(), 11);
      std::vector<int32_t> found;
      for (const Survivor& one : some) {
        found.push_back(one.row);
        EXPECT_EQ(one.upper, all[static_cast<size_t>(one.row)].upper);
      }
      EXPECT_EQ(found, kept) << isa;
    }
  }
}

TEST(QuantisedMatrix, BadRowsAlwaysSurviveAndBadQueriesHaveNoBound) {
  std::vector<float> rows(64, 1.0f);  // [16, 4]
  rows[5] = NAN;
  rows[9] = INFINITY;
  rows[13] = 3e38f;
  for (const CompactStorage storage : kStorages) {
    const QuantisedMatrix matrix(rows, 4, storage);
    const QuantisedQuery ready = matrix.prepare(std::vector<float>{1, 2, 3, 4});
    ASSERT_TRUE(ready.bounded);
    for (const std::string_view isa : scan_levels(storage)) {
      const auto kept = scan_all(matrix, ready, scan_function(storage, isa), 1e30f, nullptr, 1);
      std::vector<int32_t> found;
      for (const Survivor& one : kept) found.push_back(one.row);
      EXPECT_EQ(found, (std::vector<int32_t>{1, 2, 3})) << isa;
    }
    for (const float bad : {NAN, INFINITY, 1e30f, 0.0f})
      EXPECT_FALSE(matrix.prepare(std::vector<float>{bad, 0, 0, 0}).bounded) << bad;
    EXPECT_THROW(matrix.prepare(std::vector<float>{1, 2}), ArgumentError);
  }
  EXPECT_THROW(QuantisedMatrix(rows, 0, CompactStorage::kInt8), ArgumentError);
  EXPECT_THROW(QuantisedMatrix(rows, 3, CompactStorage::kInt8), ArgumentError);
}

}  // namespace
}  // namespace retort
