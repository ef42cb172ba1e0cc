#include "retort/bundle/table_storage.h"

#include "tests/bundle/tiny_bundle.h"
#include "tests/support/scratch_folder.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"

namespace retort {
namespace {

class Storage : public testing::Test {
 protected:
  std::vector<float> row(const fs::path& file, int64_t id) const {
    const SafetensorsFile weights(file);
    const FieldSpec& field = tiny_.spec.user.input.fields[0];
    std::vector<float> values(static_cast<size_t>(field.dim));
    stored_table(weights, field).add_row(id, values.data());
    return values;
  }
  const TinyPublication tiny_;
  const fs::path plain_ = tiny_.scratch / "weights.safetensors";
};

TEST_F(Storage, KeepsEveryValueWithinItsRounding) {
  for (const auto& [name, bound] :
       {std::pair("fp32", 0.0), std::pair("bf16", 1 / 256.0), std::pair("int8", 1 / 254.0)}) {
    const fs::path file = tiny_.scratch / name;
    store_tables(tiny_.spec, plain_, file, parse_table_storage(name));
    for (int64_t id = 0; id < tiny_.spec.user.input.fields[0].rows; ++id) {
      const std::vector<float> before = row(plain_, id), after = row(file, id);
      float largest = 0;
      for (const float value : before) largest = std::max(largest, std::abs(value));
      for (size_t d = 0; d < before.size(); ++d)
        EXPECT_NEAR(after[d], before[d], bound * largest + (bound > 0 ? 1e-6 : 0)) << name;
    }
  }
}

TEST_F(Storage, TakesTheBytesItPromises) {
  const auto size = [&](const char* name) {
    store_tables(tiny_.spec, plain_, tiny_.scratch / name, parse_table_storage(name));
    const SafetensorsFile file(tiny_.scratch / name);
    const FieldSpec& field = tiny_.spec.user.input.fields[0];
    return static_cast<int64_t>(file.tensors().at(field.table + ".weight").bytes.size()) /
           field.rows / field.dim;
  };
  EXPECT_EQ(size("fp32"), 4);
  EXPECT_EQ(size("bf16"), 2);
  EXPECT_EQ(size("int8"), 1);
}

TEST_F(Storage, ConvertsWhatIsAlreadyNarrow) {
  store_tables(tiny_.spec, plain_, tiny_.scratch / "a", TableStorage::kInt8);
  store_tables(tiny_.spec, tiny_.scratch / "a", tiny_.scratch / "b", TableStorage::kFp32);
  EXPECT_EQ(row(tiny_.scratch / "a", 1), row(tiny_.scratch / "b", 1));
  EXPECT_FALSE(
      SafetensorsFile(tiny_.scratch / "b").has(tiny_.spec.user.input.fields[0].table + ".scale"));
}

TEST_F(Storage, RefusesUnknownNamesAndTablesThatDoNotFit) {
  EXPECT_THROW(parse_table_storage("fp64"), ConfigError);
  const SafetensorsFile weights(plain_);
  FieldSpec field = tiny_.spec.user.input.fields[0];
  ++field.rows;
  EXPECT_THROW(stored_table(weights, field), DataError);
  field.table = "user.nothing";
  EXPECT_THROW(stored_table(weights, field), DataError);
}

}  // namespace
}  // namespace retort
