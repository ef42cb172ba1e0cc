#include "retort/bundle/model_spec.h"

#include "tests/bundle/tiny_bundle.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"

namespace retort {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(ModelSpec, ComesBackFromJsonAsItWas) {
  ModelSpec spec = tiny_spec(random_tiny_dataset(1).schema);
  spec.beta = 0.25;
  const Json json = Json::parse(to_json(spec).dump());
  EXPECT_EQ(to_json(model_spec_from_json(json)), to_json(spec));
  EXPECT_EQ(model_spec_from_json(json).dim(), 5);
  EXPECT_EQ(model_spec_from_json(json).item.input.fields[2].pooling, "sum");
}

TEST(ModelSpec, MakeInputTakesTheFeaturesOfASideInSchemaOrder) {
  const Schema schema = random_tiny_dataset(1, 12, 20).schema;
  const InputSpec own = make_input(schema, Side::kItem, "item", 4, false);
  std::vector<std::string> names, tables, shared;
  for (const FieldSpec& field : own.fields) {
    names.push_back(field.feature);
    tables.push_back(field.table);
  }
  EXPECT_THAT(names, ElementsAre("item_id", "category", "tags", "clicks_ever"));
  EXPECT_THAT(tables,
              ElementsAre("item.item_id", "item.category", "item.tags", "item.clicks_ever"));
  EXPECT_THAT(own.sparse_index, ElementsAre(0, 1, 2, 3));
  EXPECT_EQ(own.fields[0].rows, 21);
  EXPECT_EQ(own.dense_width, 7);
  EXPECT_EQ(own.width(), 4 * 4 + 7);
  for (const FieldSpec& field : make_input(schema, Side::kUser, "user", 4, true).fields)
    shared.push_back(field.table);
  EXPECT_THAT(shared,
              ElementsAre("user_id", "segment", "device", "user.hour", "user.weekday", "item_id",
                          "user.history.seconds", "user.history.age", "category"));
}

TEST(ModelSpec, WrongJsonIsRefusedNamingTheKey) {
  const Json good = to_json(tiny_spec(random_tiny_dataset(1).schema));
  const auto error = [&](const char* pointer, const Json& value) -> std::string {
    Json bad = good;
    bad[Json::json_pointer(pointer)] = value;
    try {
      model_spec_from_json(bad);
    } catch (const DataError& error) {
      return error.what();
    }
    return "accepted";
  };
  EXPECT_THAT(error("/kind", "three_tower"), HasSubstr("'kind'"));
  EXPECT_THAT(error("/user", 3), HasSubstr("'user'"));
  EXPECT_THAT(error("/user/layers", Json::array()), HasSubstr("'user.layers' is empty"));
  EXPECT_THAT(error("/user/layers/1", 7), HasSubstr("must be equal"));
  EXPECT_THAT(error("/item/layers/0", -3), HasSubstr("'item.layers[0]' is -3"));
  EXPECT_THAT(error("/item/layers/0", 1e300), HasSubstr("'item.layers[0]'"));
  EXPECT_THAT(error("/item/layers/0", 18446744073709551615u), HasSubstr("'item.layers[0]'"));
  EXPECT_THAT(error("/item/input/side", "user"), HasSubstr("'item.input.side'"));
  EXPECT_THAT(error("/item/input/fields/0/rows", 0), HasSubstr("'item.input.fields[0].rows' is 0"));
  EXPECT_THAT(error("/item/input/fields/0/pooling", "max"),
              HasSubstr("fields[0].pooling' is 'max'"));
  EXPECT_THAT(error("/item/input/fields/0/table", nullptr), HasSubstr("fields[0].table'"));
  EXPECT_THAT(error("/item/input/dense_width", "7"), HasSubstr("'item.input.dense_width'"));
  EXPECT_THAT(error("/beta", "none"), HasSubstr("'beta'"));
  Json missing = good;
  missing["user"].erase("input");
  EXPECT_THAT([&] { model_spec_from_json(missing); },
              testing::ThrowsMessage<DataError>(HasSubstr("'user.input' is missing")));
}

}  // namespace
}  // namespace retort
