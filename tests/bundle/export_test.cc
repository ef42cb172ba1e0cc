#include "retort/bundle/export.h"

#include <cstring>
#include <vector>

#include "tests/support/scratch_folder.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/common/rng.h"
#include "retort/log/duckdb.h"

namespace retort {
namespace {

using testing::HasSubstr;

class Export : public testing::Test {
 protected:
  static constexpr int64_t kRows = 5000;  // more than a block
  static constexpr int32_t kDim = 3;
  void SetUp() override {
    const Rng rng(1, "vectors");
    for (int64_t i = 0; i < kRows * kDim; ++i)
      values_.push_back(static_cast<float>(rng.normal(static_cast<uint64_t>(i))));
    for (int64_t i = 0; i < kRows; ++i)
      keys_.push_back(i == 7 ? "a \"b\", c" : i == 8 ? "" : fmt::format("k{}", i));
    write();
  }
  void write() {
    write_strings(scratch_.path(), "keys", keys_);
    columns_ = Columns(scratch_.path());
  }
  VectorSource source() const {
    return {columns_.strings("keys"), kDim,
            [this](int64_t begin, int64_t end, std::span<float> out) {
              std::copy(values_.begin() + begin * kDim, values_.begin() + end * kDim, out.begin());
            }};
  }
  ScratchFolder scratch_;
  std::vector<float> values_;
  std::vector<std::string> keys_;
  Columns columns_;
};

TEST_F(Export, NpyIsAHeaderOf64BytesTimesNAndTheValues) {
  const fs::path path = scratch_ / "vectors.npy";
  export_vectors(source(), path, "npy");
  const std::string bytes = read_file(path);
  EXPECT_EQ(bytes.substr(0, 8), std::string("\x93NUMPY\x01\x00", 8));
  const size_t header =
      static_cast<unsigned char>(bytes[8]) + 256u * static_cast<unsigned char>(bytes[9]);
  EXPECT_EQ((10 + header) % 64, 0u);
  EXPECT_THAT(bytes.substr(10, header),
              HasSubstr("{'descr': '<f4', 'fortran_order': False, 'shape': (5000, 3), }"));
  EXPECT_EQ(bytes[9 + header], '\n');
  ASSERT_EQ(bytes.size(), 10 + header + values_.size() * 4);
  EXPECT_EQ(std::memcmp(bytes.data() + 10 + header, values_.data(), values_.size() * 4), 0);
  std::string expected;
  for (const std::string& key : keys_) expected += key + '\n';
  EXPECT_EQ(read_file(path.string() + ".keys.txt"), expected);
}

TEST_F(Export, ParquetHoldsKeysAndVectorsInOrder) {
  const fs::path path = scratch_ / "it's.parquet";
  export_vectors(source(), path, "parquet");
  DuckDb db;
  const std::string table = "read_parquet(" + sql_string(path.string()) + ")";
  using Types = std::vector<std::pair<std::string, std::string>>;
  EXPECT_EQ(db.describe("SELECT * FROM " + table),
            (Types{{"id", "VARCHAR"}, {"vector", "FLOAT[]"}}));
  int64_t row = 0;
  db.query(
      "SELECT id, CAST(vector[1] AS DOUBLE), CAST(vector[2] AS DOUBLE), "
      "CAST(vector[3] AS DOUBLE), len(vector) FROM " +
          table,
      [&](const ResultChunk& chunk) {
        for (int64_t i = 0; i < chunk.rows(); ++i, ++row) {
          ASSERT_FALSE(chunk.is_null(0, i));
          ASSERT_EQ(chunk.text(0, i), keys_[static_cast<size_t>(row)]);
          for (int d = 0; d < kDim; ++d)
            ASSERT_EQ(static_cast<float>(chunk.number(1 + d, i)),
                      values_[static_cast<size_t>(row * kDim + d)]);
          ASSERT_EQ(chunk.integer(4, i), kDim);
        }
      });
  EXPECT_EQ(row, kRows);
  EXPECT_FALSE(fs::exists(path.string() + ".csv"));
}

TEST_F(Export, RefusesUnknownFormatsAndKeysOfTwoLines) {
  EXPECT_THROW(export_vectors(source(), scratch_ / "x", "csv"), ConfigError);
  keys_[3] = "two\nlines";
  write();
  EXPECT_THROW(export_vectors(source(), scratch_ / "x.npy", "npy"), DataError);
  EXPECT_FALSE(fs::exists(scratch_ / "x.npy"));
  EXPECT_FALSE(fs::exists(scratch_ / "x.npy.keys.txt"));
}

}  // namespace
}  // namespace retort
