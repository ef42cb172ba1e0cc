#include "retort/model/options.h"

#include "small_world.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/model/models.h"

namespace retort {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

template <class Action>
std::string config_error(Action action) {
  try {
    action();
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

std::vector<std::string> tables_of(const InputSpec& input) {
  std::vector<std::string> names;
  for (const FieldSpec& field : input.fields) names.push_back(field.table);
  return names;
}

TEST(StudentOptions, AnswersWrongKeysAndValuesWithTheirName) {
  const auto error = [](const char* json) {
    return config_error([&] { StudentOptions::read(Json::parse(json)); });
  };
  EXPECT_EQ(StudentOptions::read(Json()).features.embedding, 30);
  EXPECT_THAT(error(R"({"embeding": 3})"),
              AllOf(HasSubstr("student.embeding"), HasSubstr("did you mean 'embedding'")));
  EXPECT_THAT(error(R"({"embedding": 0})"), HasSubstr("student.embedding"));
  EXPECT_THAT(error(R"({"pooling": "max"})"), HasSubstr("student.pooling"));
  EXPECT_THAT(error(R"({"user_layers": []})"), HasSubstr("student.user_layers"));
  EXPECT_THAT(error(R"({"item_layers": [8, 0]})"), HasSubstr("student.item_layers"));
  EXPECT_THAT(error(R"({"user_layers": [8, 4], "item_layers": [8]})"), HasSubstr("same size"));
}

TEST(TeacherOptions, AnswersWrongKeysAndValuesWithTheirName) {
  const auto error = [](const char* json) {
    return config_error([&] { TeacherOptions::read(Json::parse(json)); });
  };
  EXPECT_THAT(error(R"({"expert": 3})"), HasSubstr("did you mean 'experts'"));
  EXPECT_THAT(error(R"({"experts": 0})"), HasSubstr("teacher.experts"));
  EXPECT_TRUE(TeacherOptions::read(Json::parse(R"({"tower_layers": []})")).tower_layers.empty());
}

TEST(MakeInput, ExcludesFeaturesAndSharesTables) {
  FeatureOptions options;
  options.exclude = {"user_id", "clicks_1h"};
  options.pooling = "sum";
  const Schema schema = small_schema();
  const InputSpec user = make_input(schema, Side::kUser, "user", "", options);
  EXPECT_THAT(tables_of(user), ElementsAre("user.history"));
  EXPECT_THAT(user.sparse_index, ElementsAre(1));
  EXPECT_EQ(user.fields[0].pooling, "sum");
  EXPECT_EQ(user.dense_width, 1);
  EXPECT_EQ(make_input(schema, Side::kItem, "item", "", options).dense_width, 0);
  options.share_tables = true;
  EXPECT_THAT(tables_of(make_input(schema, Side::kUser, "teacher", "teacher.", options)),
              ElementsAre("teacher.item_id"));
}

TEST(MakeInput, NamesAnExcludedFeatureThatIsNotThere) {
  FeatureOptions options;
  options.exclude = {"user_ids"};
  EXPECT_THAT(config_error([&] { make_input(small_schema(), Side::kUser, "user", "", options); }),
              AllOf(HasSubstr("user_ids"), HasSubstr("did you mean 'user_id'")));
}

TEST(MakeInput, RefusesToSplitTheDenseValuesOfASide) {
  Schema schema = small_schema();
  schema.features.push_back(dense_feature("age", Side::kItem, 1));
  FeatureOptions options;
  options.exclude = {"age"};
  EXPECT_THAT(config_error([&] { make_input(schema, Side::kItem, "item", "", options); }),
              AllOf(HasSubstr("all or not at all"), HasSubstr("clicks_1h")));
}

TEST(Registry, KnowsItsModelsAndNamesTheNearest) {
  const Rng init(1, "init");
  const Json layers{{"item_layers", {128, 64}}};
  std::shared_ptr<CandidateModel> student;  // of several tasks, which lends parts
  for (const CandidateModelEntry& entry : candidate_models()) {
    Json table = entry.name == "multi_task" ? layers : Json::object();
    table["kind"] = entry.name;
    const auto made = make_candidate_model(small_schema(), table, init);
    EXPECT_NE(made, nullptr);
    if (entry.name == "multi_task") student = made;
  }
  for (const RankingModelEntry& entry : ranking_models())
    EXPECT_NE(make_ranking_model(small_schema(), {{"kind", entry.name}}, init, student.get()),
              nullptr);
  EXPECT_EQ(make_ranking_model(small_schema(), {{"kind", "none"}}, init, student.get()), nullptr);
  EXPECT_EQ(make_ranking_model(small_schema(), Json(), init, student.get()), nullptr);
  EXPECT_THAT(
      config_error([&] {
        make_ranking_model(small_schema(), {{"kind", "mmoee"}}, init, student.get());
      }),
      AllOf(HasSubstr("teacher.kind"), HasSubstr("did you mean 'mmoe'"), HasSubstr("single")));
}

}  // namespace
}  // namespace retort
