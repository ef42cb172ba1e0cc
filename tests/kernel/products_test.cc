#include "retort/kernel/products.h"

#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"

namespace retort {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

const std::vector<float> kTable{1, 10, 2, 20, 4, 40};  // 3 rows of 2

RowTable table() { return {.rows = 3, .dim = 2, .floats = kTable.data()}; }

TEST(MultiplyRows, MultipliesElementByElement) {
  const std::vector<int32_t> ids{2, 0, 2};
  std::vector<float> out{1, 1, 3, -1, 0, 0.5f};
  multiply_rows(table(), ids, out);
  EXPECT_THAT(out, ElementsAre(4, 40, 3, -10, 0, 20));
}

TEST(MultiplyRows, ReadsCompactTables) {
  const std::vector<int8_t> codes{1, 2, 3, 4};
  const std::vector<float> scales{0.5f, 2};
  const std::vector<int32_t> ids{0, 1};
  std::vector<float> out{1, 1, 10, 10};
  multiply_rows({.rows = 2, .dim = 2, .int8 = codes.data(), .scales = scales.data()}, ids, out);
  EXPECT_THAT(out, ElementsAre(0.5f, 1, 60, 80));
}

TEST(MultiplyRows, RefusesIdsOutsideTheTable) {
  std::vector<float> out(2);
  for (const int32_t id : {3, -1}) {
    const std::vector<int32_t> ids{id};
    EXPECT_THAT([&] { multiply_rows(table(), ids, out); },
                ThrowsMessage<ArgumentError>(HasSubstr("outside a table of 3 rows")));
  }
  const std::vector<int32_t> two{0, 0};
  EXPECT_THROW(multiply_rows(table(), two, out), ArgumentError);
}

TEST(SumSteps, AddsEachRowsStepsAndLeavesOtherColumnsAlone) {
  const std::vector<float> steps{1, 2, 3, 4, 5, 6};
  const std::vector<int32_t> offsets{0, 2, 2, 3};
  std::vector<float> out(9, -1);
  sum_steps(steps, offsets, 2, std::span(out).subspan(1), 3);
  EXPECT_THAT(out, ElementsAre(-1, 4, 6, -1, 0, 0, -1, 5, 6));
  const std::vector<int32_t> beyond{0, 4};
  EXPECT_THROW(sum_steps(steps, beyond, 2, out, 2), ArgumentError);
  EXPECT_THROW(sum_steps(steps, offsets, 2, std::span(out).first(5), 2), ArgumentError);
}

TEST(PairProducts, AreInTheOrderOfTheFormat) {
  // Fields (1, 2), (3, -1), (0, 5) of the first row; the second row has twice the last field.
  const std::vector<float> fields{1, 2, 1, 2, 3, -1, 3, -1, 0, 5, 0, 10};
  std::vector<float> out(8, -1);
  pair_products(fields, 3, 2, out, 4);
  EXPECT_THAT(out, ElementsAre(1, 10, -5, -1, 1, 20, -10, -1));
  EXPECT_THROW(pair_products(fields, 3, 2, out, 2), ArgumentError);
  EXPECT_THROW(pair_products(fields, 5, 2, out, 10), ArgumentError);
}

TEST(PairProducts, GradientsAreTheOtherFieldsWeighted) {
  // Rows (1,2), (1,2); (3,-1), (3,-1); (0,5), (0,10); gradients 1, 10, 100 and 2, 0, -1.
  const std::vector<float> fields{1, 2, 1, 2, 3, -1, 3, -1, 0, 5, 0, 10};
  const std::vector<float> d_out{1, 10, 100, 2, 0, -1};
  std::vector<float> got(12, -1);
  pair_products_gradient(fields, 3, 2, d_out, got);
  EXPECT_THAT(got, ElementsAre(3, 49, 6, -2, 1, 502, 2, -6, 310, -80, -3, 1));
  EXPECT_THROW(pair_products_gradient(fields, 3, 2, std::span(d_out).first(5), got), ArgumentError);
  EXPECT_THROW(pair_products_gradient(fields, 3, 2, d_out, std::span(got).first(6)), ArgumentError);
}

TEST(PairProducts, OneFieldHasNone) {
  const std::vector<float> fields{1, 2};
  std::vector<float> out;
  EXPECT_NO_THROW(pair_products(fields, 1, 2, out, 0));
}

}  // namespace
}  // namespace retort
