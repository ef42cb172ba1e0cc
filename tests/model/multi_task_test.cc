// Oracle of the retrieval model: PyTorch, tests/encoder/golden/make_multi_task.py.
#include "retort/model/multi_task.h"

#include <set>

#include "small_world.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/bundle/safetensors.h"
#include "retort/common/error.h"
#include "retort/common/file.h"
#include "retort/loss/bce.h"
#include "retort/model/aligned.h"
#include "retort/nn/mixed_precision.h"
#include "retort/nn/optimizer.h"

namespace retort {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

const fs::path kGolden = RETORT_TESTS "/encoder/golden";

std::map<std::string, torch::Tensor> tensors_of(const fs::path& file) {
  const SafetensorsFile weights(file);
  std::map<std::string, torch::Tensor> tensors;
  for (const auto& [name, view] : weights.tensors())
    tensors[name] =
        torch::from_blob(const_cast<std::byte*>(view.bytes.data()), view.shape, torch::kFloat32)
            .clone();
  return tensors;
}

TEST(MultiTask, EqualsAnIndependentImplementation) {
  const Json golden = Json::parse(read_file(kGolden / "multi_task.json"));
  MultiTask model(model_spec_from_json(golden["spec"]));
  load_weights(model, tensors_of(kGolden / "multi_task.safetensors"));
  // The dataset never gives more steps than the model knows: such users are the encoder's to test.
  const auto too_long = [&](const Json& user) {
    for (const SequenceSpec& sequence : model.spec().user.sequences)
      for (const int column : sequence.sparse_index)
        if (static_cast<int32_t>(user[static_cast<size_t>(column)].size()) > sequence.length)
          return true;
    return false;
  };
  std::vector<std::vector<std::vector<int32_t>>> columns(golden["users"][0].size());
  std::vector<float> dense;
  std::vector<size_t> kept;
  for (size_t user = 0; user < golden["users"].size(); ++user) {
    if (too_long(golden["users"][user])) continue;
    kept.push_back(user);
    for (size_t i = 0; i < columns.size(); ++i)
      columns[i].push_back(golden["users"][user][i].get<std::vector<int32_t>>());
    for (const float value : golden["dense"][user].is_array()
                                 ? golden["dense"][user].get<std::vector<float>>()
                                 : std::vector<float>{golden["dense"][user].get<float>()})
      dense.push_back(value);
  }
  ASSERT_GE(kept.size(), 4U);
  const auto rows = static_cast<int64_t>(kept.size());
  const SideBatch users = side_batch(columns, dense, rows);
  const auto width = static_cast<int32_t>(dense.size() / kept.size());
  const torch::NoGradGuard no_grad;
  const std::vector<torch::Tensor> tasks =
      model.encode_user_tasks(to_tensors(users, width, torch::kCPU));
  const char* names[] = {"click", "dwm"};
  for (size_t task = 0; task < 2; ++task)
    for (size_t row = 0; row < kept.size(); ++row) {
      const auto want = golden[names[task]][kept[row]].get<std::vector<float>>();
      EXPECT_TRUE(
          torch::allclose(tasks[task][static_cast<int64_t>(row)], torch::tensor(want), 1e-4, 1e-4))
          << names[task] << " of user " << kept[row];
    }
}

/// small_schema with the history's side information.
Schema schema_with_counts() {
  Schema schema = small_schema();
  FeatureSpec counts = sparse_feature("history.count", Side::kUser, FeatureKind::kSequence, 5);
  counts.vocabulary.clear();
  counts.with = "count";
  for (FeatureSpec* feature : {&schema.features[1], &counts}) feature->last = 4;
  schema.features.insert(schema.features.begin() + 2, counts);
  schema.features.erase(schema.features.begin() + 5);  // tags: an item is its id
  schema.features.erase(schema.features.begin() + 5);  // and has no dense values
  return schema;
}
const DenseWidths kWidths{.user = 1, .item = 0, .pair = 1};

const Json kTaskStudent = Json::parse(R"({"kind": "multi_task", "embedding": 4,
  "attribute_embedding": 3, "sequences": ["history"], "layers": 1, "heads": 2, "hidden": 6,
  "product_dim": 3, "experts": 2, "expert_layers": [8, 6], "head_layers": [5, 4],
  "embedding_deviation": 0.3})");

Json teacher_table(const std::string& sharing) {
  return {{"kind", "aligned"},  {"sharing", sharing},
          {"embedding", 3},     {"product_dim", 3},
          {"experts", 2},       {"expert_layers", {8, 6}},
          {"head_layers", {5}}, {"embedding_deviation", 0.3}};
}

TensorBatch watched_batch() {
  Batch batch;
  batch.users = side_batch({{{1}, {2}, {3}}, {{2, 3}, {}, {4, 5, 1}}, {{1, 2}, {}, {3, 1, 4}}},
                           {0.5F, -1, 2}, 3);
  batch.items = side_batch({{{1}, {2}, {3}, {4}, {5}}}, {}, 5);
  batch.pairs = side_batch({}, {1, 0, -1, 2, 0.5F}, 5);
  batch.user_of_row = {0, 0, 1, 2, 2};
  batch.item = {1, 2, 3, 4, 5};
  batch.click = {1, 0, 1, 0, 1};
  batch.read = batch.click;
  batch.seconds = {60, 0, 600, 0, 30};
  return to_tensors(batch, kWidths, torch::kCPU);
}

std::set<std::string> parameter_names(torch::nn::Module& module) {
  std::set<std::string> names;
  for (const auto& [name, tensor] : named_weights(module)) names.insert(name);
  return names;
}

TEST(MultiTask, HasOneTableOfItemsForHistoryAndTarget) {
  const auto model = make_candidate_model(schema_with_counts(), kTaskStudent, Rng(1, "test"));
  const ModelSpec& spec = model->spec();
  ASSERT_EQ(spec.user.sequences.size(), 1U);
  EXPECT_EQ(spec.user.sequences[0].fields[0].table, spec.item.input.fields[0].table);
  EXPECT_EQ(spec.user.sequences[0].fields[1].feature, "history.count");
  EXPECT_EQ(spec.user.sequences[0].length, 4);
  EXPECT_EQ(spec.user.input.fields.size(), 1U);
  EXPECT_EQ(spec.user.input.fields[0].dim, 3);
  const std::set<std::string> names = parameter_names(*model);
  for (const char* name :
       {"item_id.weight", "user.history.count.weight", "user.expert1.layer1.bias",
        "user.history.transformer.block0.norm2.weight", "user.head_dwm.layer1.bias",
        "user.gate_click.weight", "user.product2.weight"})
    EXPECT_TRUE(names.contains(name)) << name;
}

TEST(MultiTask, ScoresMixTheTasksByTheFusionWeight) {
  const auto model = make_candidate_model(schema_with_counts(), kTaskStudent, Rng(1, "test"));
  const TensorBatch batch = watched_batch();
  const torch::NoGradGuard no_grad;
  const auto tasks = model->encode_user_tasks(batch.users);
  model->set_fusion(0.3);
  EXPECT_TRUE(torch::allclose(model->encode_users(batch.users), 0.3 * tasks[0] + 0.7 * tasks[1],
                              1e-5, 1e-6));
  EXPECT_THROW(model->set_fusion(1.2), ConfigError);
  const auto single = make_candidate_model(small_schema(), Json{{"kind", "two_tower"}}, Rng());
  EXPECT_THROW(single->set_fusion(0.5), ConfigError);
}

TEST(MultiTask, IsRebuiltFromItsSpecAndWeights) {
  const auto model = make_candidate_model(schema_with_counts(), kTaskStudent, Rng(1, "test"));
  const auto again = make_candidate_model(model_spec_from_json(to_json(model->spec())));
  load_weights(*again, named_weights(*model));
  const TensorBatch batch = watched_batch();
  const torch::NoGradGuard no_grad;
  EXPECT_TRUE(torch::equal(model->score(batch), again->score(batch)));
}

TEST(MultiTask, NamesWhatDoesNotFit) {
  const auto with = [](const char* key, const Json& value) {
    Json table = kTaskStudent;
    table[key] = value;
    return [table] { make_candidate_model(schema_with_counts(), table, Rng()); };
  };
  EXPECT_THAT(with("sequences", {"histori"}),
              ThrowsMessage<ConfigError>(AllOf(HasSubstr("histori"), HasSubstr("history"))));
  EXPECT_THAT(with("head_layers", {5, 7}), ThrowsMessage<ConfigError>(HasSubstr("item vectors 4")));
  EXPECT_THAT(with("share_tables", false),
              ThrowsMessage<ConfigError>(HasSubstr("student.share_tables")));
  EXPECT_THAT(with("heads", 3), ThrowsMessage<ConfigError>(HasSubstr("heads")));
}

class AlignedModels : public testing::TestWithParam<const char*> {
 protected:
  AlignedModels()
      : student(make_candidate_model(schema, kTaskStudent, Rng(1, "init.student"))),
        teacher(make_ranking_model(schema, teacher_table(GetParam()), Rng(1, "init.teacher"),
                                   student.get())) {}
  const Schema schema = schema_with_counts();
  std::shared_ptr<CandidateModel> student;
  std::shared_ptr<RankingModel> teacher;
};

TEST_P(AlignedModels, ShareWhatTheRecipeSays) {
  const std::string sharing = GetParam();
  const std::set<std::string> names = parameter_names(*teacher);
  EXPECT_EQ(names.contains("teacher.item_id.weight"), sharing == "none");
  EXPECT_EQ(names.contains("teacher.user.history.transformer.positions"), sharing != "bottom");
  EXPECT_TRUE(names.contains("teacher.head_dwm.layer1.weight"));
  EXPECT_EQ(teacher->shares_student(), sharing != "none");
  const TaskLogits logits = teacher->score(watched_batch());
  EXPECT_EQ(logits.at("click").sizes(), torch::IntArrayRef({5}));
  (logits.at("click").sum() + logits.at("dwm").sum()).backward();
  bool table_touched = false, sequence_touched = false;
  for (auto& [name, table] : embedding_tables(*student)) table_touched |= !table->pending.empty();
  for (const auto& item : student->named_parameters())
    sequence_touched |= item.value().grad().defined();
  EXPECT_EQ(table_touched, sharing != "none");
  EXPECT_EQ(sequence_touched, sharing == "bottom");
}

TEST_P(AlignedModels, OverfitOneBatchTogether) {
  const TensorBatch first = watched_batch();
  OptimizerOptions options;
  options.learning_rate = 0.02;
  Optimizer of_student(options, *student, 0), of_teacher(options, *teacher, 0);
  double loss = 0;
  for (int step = 0; step < 120; ++step) {
    TensorBatch batch = first;
    batch.users.memo = std::make_shared<SideMemo>();
    const torch::Tensor total = bce_with_logits(teacher->score(batch).at("click"), batch.click) +
                                bce_with_logits(student->score(batch), batch.click);
    total.backward();
    of_student.step();
    of_teacher.step();
    loss = total.item<double>();
  }
  EXPECT_LT(loss, 0.05);
}

TEST_P(AlignedModels, InBf16StayNearFp32) {
  const torch::NoGradGuard no_grad;
  const torch::Tensor exact = teacher->score(watched_batch()).at("dwm");
  const MixedPrecision guard(true);
  EXPECT_TRUE(torch::allclose(teacher->score(watched_batch()).at("dwm"), exact, 0.05, 0.05));
}

INSTANTIATE_TEST_SUITE_P(Sharing, AlignedModels, testing::Values("none", "embeddings", "bottom"));

TEST(Aligned, ComputesASharedBottomOnceABatch) {
  const Schema schema = schema_with_counts();
  const auto student = make_candidate_model(schema, kTaskStudent, Rng(1, "test"));
  const auto teacher =
      make_ranking_model(schema, teacher_table("bottom"), Rng(1, "test"), student.get());
  const TensorBatch batch = watched_batch();
  student->score(batch);
  teacher->score(batch);
  EXPECT_EQ(batch.users.memo->size(), 1U);
  const torch::NoGradGuard no_grad;
  teacher->score(batch);
  EXPECT_EQ(batch.users.memo->size(), 2U);  // without gradients is another result
}

TEST(Aligned, WantsAStudentOfSeveralTasks) {
  const auto student = make_candidate_model(small_schema(), Json{{"kind", "two_tower"}}, Rng());
  EXPECT_THAT(
      [&] { make_ranking_model(small_schema(), teacher_table("bottom"), Rng(), student.get()); },
      ThrowsMessage<ConfigError>(HasSubstr("multi_task")));
}

}  // namespace
}  // namespace retort
