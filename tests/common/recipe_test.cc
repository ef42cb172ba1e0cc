#include "retort/common/recipe.h"

#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/common/file.h"

namespace retort {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

template <class Action>
std::string config_error(const Action& action) {
  try {
    action();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

class Recipes : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "retort-recipe-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path put(const std::string& name, const std::string& text) {
    write_file(folder_ / name, text);
    return folder_ / name;
  }
  fs::path folder_;
};

TEST_F(Recipes, LayersAreBaseThenFileThenPresetThenSets) {
  put("base.toml", "a = 1\nb = 1\nc = 1\nd = 1\n[t]\nx = 1\ny = 1\n");
  const fs::path file = put("top.toml",
                            "extends = 'base.toml'\nb = 2\nc = 2\nd = 2\n[t]\ny = 2\n"
                            "[presets.tiny]\nc = 3\nd = 3\n[presets.tiny.t]\nz = 3\n");
  const Json recipe = load_recipe(file, "tiny", {"d=4", "t.w=[1, 2]", "new.key=word"});
  EXPECT_EQ(recipe["a"], 1);
  EXPECT_EQ(recipe["b"], 2);
  EXPECT_EQ(recipe["c"], 3);
  EXPECT_EQ(recipe["d"], 4);
  EXPECT_EQ(recipe["t"], (Json{{"x", 1}, {"y", 2}, {"z", 3}, {"w", {1, 2}}}));
  EXPECT_EQ(recipe["new"]["key"], "word");
  EXPECT_FALSE(recipe.contains("presets"));
  EXPECT_FALSE(recipe.contains("extends"));
  EXPECT_EQ(load_recipe(file, "", {})["c"], 2);
}

TEST_F(Recipes, ErrorsSayFileLineAndRemedy) {
  const fs::path bad = put("bad.toml", "a = 1\nb = = 2\n");
  EXPECT_THAT(config_error([&] { load_recipe(bad, "", {}); }), HasSubstr("bad.toml:2"));
  const fs::path file = put("good.toml", "a = 1\n[presets.tiny]\na = 2\n");
  EXPECT_THAT(config_error([&] { load_recipe(file, "big", {}); }),
              AllOf(HasSubstr("'big'"), HasSubstr("tiny")));
  EXPECT_THAT(config_error([&] { load_recipe(file, "", {"a"}); }), HasSubstr("key=value"));
  EXPECT_THAT(config_error([&] { load_recipe(file, "", {"a.b=1"}); }), HasSubstr("not a table"));
  const fs::path circle = put("circle.toml", "extends = 'circle.toml'\n");
  EXPECT_THAT(config_error([&] { load_recipe(circle, "", {}); }), HasSubstr("circle"));
}

TEST_F(Recipes, AreFoundByNameOrPath) {
  put("dmtl.toml", "a = 1\n");
  ASSERT_EQ(::setenv("RETORT_RECIPES", folder_.c_str(), 1), 0);
  EXPECT_EQ(find_recipe("dmtl"), folder_ / "dmtl.toml");
  EXPECT_EQ(find_recipe((folder_ / "dmtl.toml").string()), folder_ / "dmtl.toml");
  EXPECT_THAT(config_error([] { find_recipe("dmtll"); }), HasSubstr("dmtl"));
  ::unsetenv("RETORT_RECIPES");
}

TEST(RecipeFields, ReadTypesAndKeepDefaults) {
  const Json recipe{{"train",
                     {{"batch", 7},
                      {"rate", 2},
                      {"name", "x"},
                      {"on", true},
                      {"window", "3h"},
                      {"layers", {1, 2}}}}};
  Fields fields(recipe, "train");
  int32_t batch = 0, missing = 5;
  double rate = 0;
  std::string name;
  bool on = false;
  int64_t window = 0;
  std::vector<int32_t> layers;
  fields.read("batch", batch);
  fields.read("missing", missing);
  fields.read("rate", rate);
  fields.read("name", name);
  fields.read("on", on);
  fields.read_duration("window", window);
  fields.read("layers", layers);
  EXPECT_NO_THROW(fields.finish());
  EXPECT_EQ(batch, 7);
  EXPECT_EQ(missing, 5);
  EXPECT_EQ(rate, 2.0);
  EXPECT_EQ(name, "x");
  EXPECT_TRUE(on);
  EXPECT_EQ(window, 3 * 3'600'000'000LL);
  EXPECT_EQ(layers, (std::vector<int32_t>{1, 2}));
}

TEST(RecipeFields, AnUnknownKeyNamesTheNearestKnownOne) {
  const Json recipe{{"train", {{"bacth", 7}}}};
  Fields fields(recipe, "train");
  int32_t batch = 0, epochs = 0;
  fields.read("batch", batch);
  fields.read("epochs", epochs);
  EXPECT_THAT(config_error([&] { fields.finish(); }),
              AllOf(HasSubstr("'train.bacth'"), HasSubstr("did you mean 'batch'")));
  const Json far{{"zzzzzzzz", 1}};
  Fields others(far, "");
  others.read("batch", batch);
  EXPECT_THAT(config_error([&] { others.finish(); }), HasSubstr("known here: batch"));
}

TEST(RecipeFields, AWrongTypeNamesKeyValueAndExpectation) {
  const Json recipe{{"t", {{"n", "x"}, {"u", -1}, {"f", 1.5}, {"s", 1}, {"b", 1}, {"d", "soon"}}}};
  Fields fields(recipe, "t");
  int32_t n = 0;
  uint64_t u = 0;
  std::string s;
  bool b = false;
  int64_t d = 0;
  EXPECT_THAT(config_error([&] { fields.read("n", n); }),
              AllOf(HasSubstr("'t.n'"), HasSubstr("an integer"), HasSubstr("\"x\"")));
  EXPECT_THAT(config_error([&] { fields.read("f", n); }), HasSubstr("an integer"));
  EXPECT_THAT(config_error([&] { fields.read("u", u); }), HasSubstr("0 or more"));
  EXPECT_THAT(config_error([&] { fields.read("s", s); }), HasSubstr("a string"));
  EXPECT_THAT(config_error([&] { fields.read("b", b); }), HasSubstr("a boolean"));
  EXPECT_THAT(config_error([&] { fields.read_duration("d", d); }), HasSubstr("'t.d'"));
  std::string choice = "a";
  EXPECT_THAT(config_error([&] {
                fields.read_choice("d", choice, {"a", "b"});
              }),
              AllOf(HasSubstr("'soon'"), HasSubstr("a, b")));
  EXPECT_THAT(config_error([&] { Fields(recipe, "t.n"); }), HasSubstr("a table is expected"));
}

TEST(RecipeFields, AMissingTableIsEmpty) {
  const Json recipe{{"a", {{"b", 1}}}};
  Fields fields(recipe, "a.c.d");
  int32_t value = 3;
  fields.read("x", value);
  EXPECT_EQ(value, 3);
  EXPECT_NO_THROW(fields.finish());
}

}  // namespace
}  // namespace retort
