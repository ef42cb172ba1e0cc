#include "retort/bundle/model_spec.h"

#include <cmath>

#include "tests/bundle/tiny_bundle.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/bundle/model_weights.h"
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
  EXPECT_THAT(error("/kind", "four_tower"), HasSubstr("'kind'"));
  EXPECT_THAT(error("/user", 3), HasSubstr("'user'"));
  EXPECT_THAT(error("/user/layers", Json::array()), HasSubstr("must be equal"));
  EXPECT_THAT(error("/user/layers", 5), HasSubstr("'user.layers' is 5"));
  EXPECT_THAT(error("/user/mixture", Json::object()), HasSubstr("leave 'user.layers' empty"));
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

/// A user side of two sequences, fields and dense values; items are a table and nothing else.
ModelSpec multi_task_spec() {
  ModelSpec spec;
  spec.kind = "multi_task";
  const FieldSpec show{"show", "show", 50, 6};
  spec.user.name = "user";
  spec.user.input = {Side::kUser, {{"gender", "user.gender", 4, 6}}, {2}, 3};
  SequenceSpec watched{"user.watched", {show, {"age", "user.age", 9, 6}}, {0, 1}, 7, 2, 3, 11};
  SequenceSpec likes{"user.likes", {show}, {3}, 5, 0, 2, 4};
  spec.user.sequences = {watched, likes};
  spec.user.mixture = MixtureSpec{4, 3, {10, 8}, {7, 6}, {"click", "dwm"}};
  spec.item = {"item", {Side::kItem, {show}, {0}, 0}};
  spec.beta = 0.5;
  spec.fusion = 0.3;
  return spec;
}

TEST(MultiTaskSpec, ComesBackFromJsonAsItWas) {
  const ModelSpec spec = multi_task_spec();
  const ModelSpec read = model_spec_from_json(Json::parse(to_json(spec).dump()));
  EXPECT_EQ(to_json(read), to_json(spec));
  EXPECT_EQ(read.user.sequences[0].fields[1].table, "user.age");
  EXPECT_THAT(read.user.sequences[0].sparse_index, ElementsAre(0, 1));
  EXPECT_EQ(read.user.sequences[0].heads, 3);
  EXPECT_EQ(read.user.sequences[1].layers, 0);
  EXPECT_THAT(read.user.mixture->head_layers, ElementsAre(7, 6));
  EXPECT_EQ(read.fusion, 0.3);
}

TEST(MultiTaskSpec, WidthsCountSequencesAndItemsWithoutLayersAreTheirInput) {
  const ModelSpec spec = multi_task_spec();
  EXPECT_EQ(spec.user.input.width(), 9);
  EXPECT_EQ(spec.user.input_width(), 9 + 6 + 6);
  EXPECT_EQ(spec.dim(), 6);
  EXPECT_EQ(spec.item.input_width(), 6);
  EXPECT_EQ(spec.item.dim(), 6);
}

TEST(MultiTaskSpec, AbsentKeysAreDefaults) {
  Json json = to_json(multi_task_spec());
  json.erase("fusion");
  json["user"]["mixture"] = {{"head_layers", {6}}};
  json["user"]["sequences"][0] = {{"name", "user.watched"},
                                  {"fields", json["user"]["sequences"][1]["fields"]}};
  const ModelSpec read = model_spec_from_json(json);
  EXPECT_EQ(read.fusion, 1);
  EXPECT_EQ(read.user.mixture->product_dim, MixtureSpec().product_dim);
  EXPECT_EQ(read.user.mixture->tasks, MixtureSpec().tasks);
  EXPECT_EQ(read.user.sequences[0].hidden, SequenceSpec().hidden);
  const Json plain = to_json(tiny_spec(random_tiny_dataset(1).schema));
  EXPECT_FALSE(plain.contains("fusion"));
  EXPECT_FALSE(plain["user"].contains("sequences"));
}

TEST(MultiTaskSpec, WrongJsonIsRefusedNamingTheKey) {
  const Json good = to_json(multi_task_spec());
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
  EXPECT_THAT(error("/kind", "two_tower"), HasSubstr("has no key 'user.mixture'"));
  EXPECT_THAT(error("/item/mixture", Json::object()), HasSubstr("only users have one"));
  EXPECT_THAT(error("/user/mixture/tasks", {"click"}), HasSubstr("names 1 tasks, expected 2"));
  EXPECT_THAT(error("/user/mixture/tasks/1", "click"), HasSubstr("'user.mixture.tasks[1]'"));
  EXPECT_THAT(error("/user/mixture/experts", 0), HasSubstr("'user.mixture.experts' is 0"));
  EXPECT_THAT(error("/user/mixture/expert_layers", Json::array()),
              HasSubstr("'user.mixture.expert_layers' is empty"));
  EXPECT_THAT(error("/user/mixture/head_layers/1", 5),
              HasSubstr("'user.mixture.head_layers' and 'item.layers'"));
  EXPECT_THAT(error("/user/sequences", 1), HasSubstr("'user.sequences' is 1"));
  EXPECT_THAT(error("/user/sequences/0/heads", 4), HasSubstr("'user.sequences[0].heads' is 4"));
  EXPECT_THAT(error("/user/sequences/0/length", 0), HasSubstr("'user.sequences[0].length' is 0"));
  EXPECT_THAT(error("/user/sequences/1/fields", Json::array()),
              HasSubstr("'user.sequences[1].fields' is empty"));
  EXPECT_THAT(error("/user/sequences/0/fields/1/dim", 5),
              HasSubstr("fields 'show' and 'age' of one sequence have 6 and 5 values"));
  EXPECT_THAT(error("/fusion", 1.5), HasSubstr("'fusion' is 1.5"));
  EXPECT_THAT(error("/fusion", "half"), HasSubstr("'fusion'"));
}

TEST(MultiTaskSpec, FusionNeedsTwoTasksAndAShare) {
  const ModelSpec plain = tiny_spec(random_tiny_dataset(1).schema);
  EXPECT_NO_THROW(check_fusion(multi_task_spec(), 0, "--fusion"));
  EXPECT_NO_THROW(check_fusion(multi_task_spec(), 1, "--fusion"));
  EXPECT_THAT([&] { check_fusion(plain, 0.5, "--fusion"); },
              testing::ThrowsMessage<ConfigError>(HasSubstr("--fusion = 0.5: the model has one")));
  for (const double wrong : {-0.1, 1.1, std::nan("")})
    EXPECT_THROW(check_fusion(multi_task_spec(), wrong, "--fusion"), ConfigError);
}

ModelSpec three_task_spec() {
  ModelSpec spec = multi_task_spec();
  spec.user.mixture->tasks = {"click", "dwm", "finished"};
  spec.shares = {0.5, 0, 0.5};
  return spec;
}

TEST(MultiTaskSpec, OfThreeTasksKeepsAShareForEach) {
  const Json json = to_json(three_task_spec());
  EXPECT_FALSE(json.contains("fusion"));
  EXPECT_THAT(task_shares(model_spec_from_json(json)), ElementsAre(0.5, 0, 0.5));
  ModelSpec spec = three_task_spec();
  spec.shares.clear();
  EXPECT_THAT(task_shares(model_spec_from_json(to_json(spec))),
              testing::Each(testing::DoubleEq(1.0 / 3)));
  EXPECT_THAT(task_shares(multi_task_spec()), ElementsAre(0.3, 0.7));
  EXPECT_THAT(task_shares(tiny_spec(random_tiny_dataset(1).schema)), ElementsAre(1));
  Json wrong = json;
  wrong["shares"] = {1, 2};
  EXPECT_THAT([&] { model_spec_from_json(wrong); },
              testing::ThrowsMessage<DataError>(HasSubstr("click, dwm, finished")));
  wrong["shares"] = {1, 2, "x"};
  EXPECT_THROW(model_spec_from_json(wrong), DataError);
}

TEST(MultiTaskSpec, SharesAreChecked) {
  ModelSpec two = multi_task_spec(), three = three_task_spec();
  set_shares(two, {0.6}, "--fusion");
  EXPECT_EQ(two.fusion, 0.6);
  set_shares(two, {1, 3}, "--fusion");
  EXPECT_EQ(two.fusion, 0.25);
  set_shares(three, {3, 2, 1}, "--fusion");
  EXPECT_THAT(task_shares(three), ElementsAre(3, 2, 1));
  const std::vector<std::vector<double>> wrong{
      {0.5}, {1, 2}, {1, -1, 1}, {0, 0, 0}, {1, 1, std::nan("")}, {}};
  for (const std::vector<double>& shares : wrong)
    EXPECT_THROW(set_shares(three, shares, "--fusion"), ConfigError);
  ModelSpec plain = tiny_spec(random_tiny_dataset(1).schema);
  EXPECT_THROW(set_shares(plain, {0.5}, "--fusion"), ConfigError);
  EXPECT_THROW(set_shares(plain, {0.5, 0.5}, "--fusion"), ConfigError);
}

/// Two user towers and one of items, or the other way round.
ModelSpec three_tower_spec(bool two_users) {
  ModelSpec spec;
  spec.kind = "three_tower";
  spec.user = {"user", {Side::kUser, {{"user_id", "user.user_id", 9, 6}}, {0}, 1}, {8, 4}};
  spec.item = {"item", {Side::kItem, {{"item_id", "item.item_id", 7, 6}}, {0}, 0}, {5, 4}};
  spec.user.gate = GateSpec{"learned", {"click", "read"}, {3}};
  (two_users ? spec.user : spec.item).towers = {"click", "read"};
  return spec;
}

TEST(ThreeTowerSpec, ComesBackFromJsonAsItWasInBothReadings) {
  for (const bool two_users : {true, false}) {
    const ModelSpec spec = three_tower_spec(two_users);
    const ModelSpec read = model_spec_from_json(Json::parse(to_json(spec).dump()));
    EXPECT_EQ(to_json(read), to_json(spec));
    EXPECT_EQ(read.dim(), two_users ? 4 : 8);
    EXPECT_EQ(read.item.dim(), read.dim());
    EXPECT_THAT(task_names(read), ElementsAre("click", "read"));
    EXPECT_THAT((two_users ? read.user : read.item).towers, ElementsAre("click", "read"));
  }
  EXPECT_THAT(task_names(tiny_spec(random_tiny_dataset(1).schema)), testing::IsEmpty());
}

TEST(ThreeTowerSpec, WrongJsonIsRefusedNamingTheKey) {
  const Json good = to_json(three_tower_spec(true));
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
  EXPECT_THAT(error("/kind", "two_tower"), HasSubstr("has no key 'user.gate'"));
  EXPECT_THAT(error("/kind", "four_tower"), HasSubstr("'three_tower'"));
  EXPECT_THAT(error("/item/gate", good["user"]["gate"]), HasSubstr("'item.gate'"));
  EXPECT_THAT(error("/item/towers", {"click", "read"}), HasSubstr("'item.towers' (click, read)"));
  EXPECT_THAT(error("/user/towers", {"click", "share"}), HasSubstr("'user.towers' (click, share)"));
  EXPECT_THAT(error("/user/towers", {"click", "click"}), HasSubstr("'user.towers[1]'"));
  EXPECT_THAT(error("/user/layers", Json::array()), HasSubstr("'user.layers'"));
  EXPECT_THAT(error("/user/gate/kind", "soft"), HasSubstr("'user.gate.kind' is 'soft'"));
  EXPECT_THAT(error("/user/gate/tasks", {"click"}), HasSubstr("'user.gate.tasks' names 1"));
  EXPECT_THAT(error("/user/gate/layers/0", 0), HasSubstr("'user.gate.layers[0]'"));
  Json gone = good;
  gone["user"].erase("gate");
  EXPECT_THAT([&] { model_spec_from_json(gone); },
              testing::ThrowsMessage<DataError>(HasSubstr("has a key 'user.gate'")));
}

TEST(ThreeTowerSpec, NobodyButTheGateMixesItsTasks) {
  ModelSpec spec = three_tower_spec(true);
  EXPECT_THAT([&] { check_fusion(spec, 0.5, "--fusion"); },
              testing::ThrowsMessage<ConfigError>(HasSubstr("own gate")));
  EXPECT_THROW(set_shares(spec, {0.5, 0.5}, "--fusion"), ConfigError);
}

std::vector<std::string> names_of(const TowerSpec& tower) {
  std::vector<std::string> names;
  for (const WeightShape& weight : layer_weights(tower)) {
    std::string text = weight.name;
    for (const int64_t extent : weight.shape) text += " " + std::to_string(extent);
    names.push_back(text);
  }
  return names;
}

TEST(ModelWeights, AreNamedAndShapedAsTheFormatSays) {
  const ModelSpec spec = multi_task_spec();
  EXPECT_THAT(layer_weights(spec.item), testing::IsEmpty());
  ModelSpec small = spec;
  small.user.sequences[0].layers = 1;
  small.user.mixture->experts = 1;
  // Fields: gender 6, dense 3, watched 6, likes 6: 21 values and 6 products.
  EXPECT_THAT(
      names_of(small.user),
      ElementsAre("user.watched.positions 7 6", "user.watched.block0.self_attn.in_proj_weight 18 6",
                  "user.watched.block0.self_attn.in_proj_bias 18",
                  "user.watched.block0.self_attn.out_proj.weight 6 6",
                  "user.watched.block0.self_attn.out_proj.bias 6",
                  "user.watched.block0.linear1.weight 11 6", "user.watched.block0.linear1.bias 11",
                  "user.watched.block0.linear2.weight 6 11", "user.watched.block0.linear2.bias 6",
                  "user.watched.block0.norm1.weight 6", "user.watched.block0.norm1.bias 6",
                  "user.watched.block0.norm2.weight 6", "user.watched.block0.norm2.bias 6",
                  "user.product0.weight 4 6", "user.product1.weight 4 3",
                  "user.product2.weight 4 6", "user.product3.weight 4 6",
                  "user.expert0.layer0.weight 10 27", "user.expert0.layer0.bias 10",
                  "user.expert0.layer1.weight 8 10", "user.expert0.layer1.bias 8",
                  "user.gate_click.weight 1 27", "user.head_click.layer0.weight 7 8",
                  "user.head_click.layer0.bias 7", "user.head_click.layer1.weight 6 7",
                  "user.head_click.layer1.bias 6", "user.gate_dwm.weight 1 27",
                  "user.head_dwm.layer0.weight 7 8", "user.head_dwm.layer0.bias 7",
                  "user.head_dwm.layer1.weight 6 7", "user.head_dwm.layer1.bias 6"));
  small.user.mixture->product_dim = 0;
  EXPECT_THAT(names_of(small.user), testing::Contains("user.gate_dwm.weight 1 21"));
}

TEST(ModelWeights, OfTowersAndTheirGateAreNamedByTask) {
  const ModelSpec users = three_tower_spec(true), items = three_tower_spec(false);
  EXPECT_THAT(names_of(users.user),
              ElementsAre("user.tower_click.layer0.weight 8 7", "user.tower_click.layer0.bias 8",
                          "user.tower_click.layer1.weight 4 8", "user.tower_click.layer1.bias 4",
                          "user.tower_read.layer0.weight 8 7", "user.tower_read.layer0.bias 8",
                          "user.tower_read.layer1.weight 4 8", "user.tower_read.layer1.bias 4",
                          "user.gate.layer0.weight 3 7", "user.gate.layer0.bias 3",
                          "user.gate.layer1.weight 2 3", "user.gate.layer1.bias 2"));
  EXPECT_THAT(names_of(users.item), testing::Contains("item.layer1.weight 4 5"));
  EXPECT_THAT(names_of(items.user), testing::Contains("user.layer0.weight 8 7"));
  EXPECT_THAT(names_of(items.item), testing::Contains("item.tower_read.layer1.weight 4 5"));
  ModelSpec equal = users;
  equal.user.gate->kind = "equal";
  EXPECT_EQ(names_of(equal.user).size(), 8U);
}

}  // namespace
}  // namespace retort
