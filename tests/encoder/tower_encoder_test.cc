// Oracle: the naive towers of tests/bundle, in double.
#include "retort/encoder/tower_encoder.h"

#include <algorithm>
#include <cmath>

#include "tests/bundle/tiny_bundle.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/bundle/table_storage.h"
#include "retort/common/error.h"
#include "retort/dataset/assembler.h"

namespace retort {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

class Encoder : public testing::Test {
 protected:
  Encoder() {
    std::vector<UserMoment> users;
    std::vector<ItemMoment> items;
    // More rows than one piece of work; every moment of the log, with and without context.
    for (int64_t click = 0; click < tiny_.dataset.clicks().size(); ++click) {
      const auto at = static_cast<size_t>(click);
      const int64_t time = tiny_.dataset.clicks().time[at];
      users.push_back({tiny_.dataset.clicks().user[at], time, click % 3 == 0 ? -1 : click});
      items.push_back({tiny_.dataset.clicks().item[at], time});
    }
    const Assembler assembler(tiny_.dataset);
    assembler.users(users, users_);
    assembler.items(items, items_);
  }
  std::shared_ptr<const SafetensorsFile> weights() const {
    return std::make_shared<SafetensorsFile>(tiny_.scratch / "weights.safetensors");
  }
  const TinyPublication tiny_{random_tiny_dataset(6, 12, 20, 700)};
  SideBatch users_, items_;
};

TEST_F(Encoder, ReadsTablesOfEveryStorage) {
  struct Case {
    TableStorage storage;
    double error;  // relative to the largest value of the outputs
  };
  for (const auto& [storage, error] :
       {Case{TableStorage::kFp32, 0}, {TableStorage::kBf16, 0.02}, {TableStorage::kInt8, 0.04}}) {
    store_tables(tiny_.spec, tiny_.scratch / "weights.safetensors", tiny_.scratch / "stored",
                 storage);
    const TowerEncoder stored(tiny_.spec,
                              std::make_shared<SafetensorsFile>(tiny_.scratch / "stored"));
    const TowerEncoder plain(tiny_.spec, weights());
    std::vector<float> got(700 * 5), expected(700 * 5);
    stored.encode_users(users_, got);
    plain.encode_users(users_, expected);
    float largest = 0, furthest = 0;
    for (size_t i = 0; i < got.size(); ++i) {
      largest = std::max(largest, std::abs(expected[i]));
      furthest = std::max(furthest, std::abs(expected[i] - got[i]));
    }
    EXPECT_LE(furthest, error * largest);
    EXPECT_EQ(furthest > 0, error > 0);
  }
}

TEST_F(Encoder, EqualsTheNaiveTowers) {
  const TowerEncoder encoder(tiny_.spec, weights());
  EXPECT_EQ(encoder.dim(), 5);
  for (const bool user_side : {true, false}) {
    std::vector<float> got(700 * 5), expected(700 * 5);
    if (user_side) {
      encoder.encode_users(users_, got);
      tiny_.towers.encode_users(users_, expected);
    } else {
      encoder.encode_items(items_, got);
      tiny_.towers.encode_items(items_, expected);
    }
    for (size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], expected[i], 1e-5) << i;
  }
}

TEST_F(Encoder, OneRowEqualsItsRowInABatch) {
  const TowerEncoder encoder(tiny_.spec, weights());
  std::vector<float> all(700 * 5), one(5);
  encoder.encode_users(users_, all);
  const UserMoment row{tiny_.dataset.clicks().user[400], tiny_.dataset.clicks().time[400], 400};
  SideBatch batch;
  Assembler(tiny_.dataset).users(std::span(&row, 1), batch);
  encoder.encode_users(batch, one);
  for (size_t d = 0; d < 5; ++d) EXPECT_FLOAT_EQ(one[d], all[400 * 5 + d]);
}

TEST_F(Encoder, RefusesIdsOutOfRangeAndBatchesThatDoNotFit) {
  const TowerEncoder encoder(tiny_.spec, weights());
  std::vector<float> out(700 * 5);
  EXPECT_THROW(encoder.encode_users(users_, std::span(out).first(5)), ArgumentError);
  EXPECT_THAT([&] { encoder.encode_items(users_, out); },
              ThrowsMessage<ArgumentError>(HasSubstr("item tower")));
  SideBatch bad = users_;
  bad.sparse[1].ids[600] = 4;
  EXPECT_THAT([&] { encoder.encode_users(bad, out); },
              ThrowsMessage<ArgumentError>(HasSubstr("id 4 is outside a table of 4 rows")));
  bad.sparse[1].ids[600] = -1;
  EXPECT_THROW(encoder.encode_users(bad, out), ArgumentError);
  bad = users_;
  bad.dense.pop_back();
  EXPECT_THROW(encoder.encode_users(bad, out), ArgumentError);
}

TEST_F(Encoder, RefusesWeightsThatAreMissingOrOfAnotherShape) {
  ModelSpec spec = tiny_.spec;
  spec.user.input.fields[0].table = "user.nobody";
  EXPECT_THAT([&] { TowerEncoder encoder(spec, weights()); },
              ThrowsMessage<DataError>(HasSubstr("'user.nobody.weight' is missing")));
  spec = tiny_.spec;
  spec.item.layers = {9, 5, 5};
  EXPECT_THAT([&] { TowerEncoder encoder(spec, weights()); },
              ThrowsMessage<DataError>(HasSubstr("'item.layer2.weight' is missing")));
  spec = tiny_.spec;
  spec.item.input.fields[0].rows += 1;
  EXPECT_THAT([&] { TowerEncoder encoder(spec, weights()); },
              ThrowsMessage<DataError>(HasSubstr("has shape [21, 3], expected [22, 3]")));
}

}  // namespace
}  // namespace retort
