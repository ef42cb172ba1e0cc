// The promise of `publish --with-teacher`: the ranking model without libtorch gives the logits of
// the trained one, of every kind that recipes offer.
#include <cmath>

#include "tests/support/scratch_folder.h"
#include "tests/support/tiny_dataset.h"
#include "tests/trainer/learnable_data.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/bundle/bundle.h"
#include "retort/common/error.h"
#include "retort/common/thread_pool.h"
#include "retort/dataset/loader.h"
#include "retort/encoder/ranker.h"
#include "retort/encoder/retriever.h"
#include "retort/model/models.h"
#include "retort/model/task_forest.h"
#include "retort/trainer/publish.h"
#include "retort/trainer/torch_towers.h"
#include "retort/trainer/train.h"
#include "retort/trainer/train_recipe.h"
#include "retort/trainer/trained_model.h"

namespace retort {
namespace {

class RankerEquality : public testing::Test {
 protected:
  RankerEquality() {
    set_threads(1);
    random_tiny_dataset(7, 20, 30, 500).write(scratch_ / "data");
    dataset_.emplace(scratch_ / "data");
    LoaderOptions options = validation_rows(*dataset_, LoopOptions());
    options.batch = 1 << 20;
    Loader(*dataset_, options).load(0, 0, batch_);
    schema_ = dataset_->schema();
    for (FeatureSpec& feature : schema_.features)  // tables that towers' names leave free
      if (!feature.vocabulary.empty()) feature.vocabulary += "_ids";
  }

  void save(torch::nn::Module& model, CandidateModel* student) {
    auto weights = named_weights(model);
    if (student != nullptr) weights.merge(named_weights(*student));
    std::map<std::string, TensorView> views;
    for (auto& [name, tensor] : weights) {
      tensor = tensor.contiguous();
      views[name] = {"F32",
                     tensor.sizes().vec(),
                     {static_cast<const std::byte*>(tensor.data_ptr()), tensor.nbytes()}};
    }
    write_safetensors(scratch_ / "teacher", views);
  }

  /// Scores every row with both, through the spec's JSON.
  void expect_equal(const Json& teacher, CandidateModel* student = nullptr) {
    const auto model = make_ranking_model(schema_, teacher, Rng(3, "init"), student);
    const torch::NoGradGuard frozen;
    for (auto& parameter : model->parameters())  // logits of a spread that tells errors apart
      if (parameter.dim() == 1) parameter.normal_(0, 0.5);
    save(*model, student);
    const RankerSpec spec = ranker_spec_from_json(Json::parse(to_json(model->spec()).dump()));
    EXPECT_EQ(to_json(spec), to_json(model->spec()));
    const Ranker ranker(spec, std::make_shared<SafetensorsFile>(scratch_ / "teacher"));
    const TaskLogits expected =
        model->score(to_tensors(batch_, dense_widths(schema_), torch::kCPU));
    const RankerLogits got = ranker.score(batch_);
    ASSERT_EQ(got.size(), expected.size());
    for (const auto& [name, tensor] : expected) {
      ASSERT_TRUE(got.contains(name)) << name;
      const std::vector<float>& values = got.at(name);
      ASSERT_EQ(std::ssize(values), batch_.rows());
      float least = values[0], most = values[0];
      for (size_t row = 0; row < values.size(); ++row) {
        const float wanted = tensor.contiguous().data_ptr<float>()[row];
        ASSERT_NEAR(values[row], wanted, 1e-4 * std::max(1.0F, std::abs(wanted))) << name;
        least = std::min(least, values[row]);
        most = std::max(most, values[row]);
      }
      EXPECT_GT(most - least, 0.01) << name << ": logits that are all one would be equal too";
    }
  }

  const ScratchFolder scratch_;
  std::optional<Dataset> dataset_;
  Schema schema_;
  Batch batch_;
};

const Json kSmall = {{"embedding", 5},
                     {"embedding_deviation", 1.0},
                     {"expert_layers", {24, 12}},
                     {"tower_layers", {8}},
                     {"experts", 3},
                     {"shared_experts", 2},
                     {"task_experts", 3}};

Json small(const Json& more) {
  Json table = kSmall;
  table.update(more);
  return table;
}

TEST_F(RankerEquality, OfEveryKindWithThePapersTasks) {
  for (const char* kind : {"mmoe", "cgc", "shared_bottom", "single"}) {
    SCOPED_TRACE(kind);
    expect_equal(small({{"kind", kind}}));
  }
}

TEST_F(RankerEquality, OfAnyNumberOfLevels) {
  for (const int levels : {1, 2, 4}) {
    SCOPED_TRACE(levels);
    expect_equal(small({{"kind", "ple"}, {"levels", levels}}));
  }
}

TEST_F(RankerEquality, OfAForestOfTasksWithSecondsAndTowersWithoutHiddenLayers) {
  const Json tasks = Json::parse(
      R"({"click": {}, "read": {"parent": "click"}, "like": {"parent": "read", "label": "read"},
          "dismiss": {"label": "read"}})");
  for (const char* kind : {"mmoe", "cgc", "ple", "shared_bottom"}) {
    SCOPED_TRACE(kind);
    expect_equal(small(
        {{"kind", kind}, {"tasks", tasks}, {"seconds_cap", 600}, {"tower_layers", Json::array()}}));
  }
}

TEST_F(RankerEquality, OfTablesThatFeaturesShareAndBagsThatAreSummed) {
  expect_equal(small({{"kind", "mmoe"}, {"share_tables", true}, {"pooling", "sum"}}));
}

TEST_F(RankerEquality, WithoutASideOrItsDenseValues) {
  Json exclude = Json::array();
  for (const FeatureSpec& feature : dataset_->schema().features)
    if (feature.side == Side::kPair || (feature.side == Side::kUser && !feature.sparse()))
      exclude.push_back(feature.name);
  expect_equal(small({{"kind", "mmoe"}, {"exclude", exclude}}));
  for (const FeatureSpec& feature : dataset_->schema().features)
    if (feature.side == Side::kUser && feature.sparse()) exclude.push_back(feature.name);
  expect_equal(small({{"kind", "cgc"}, {"exclude", exclude}}));
}

TEST_F(RankerEquality, OfTheAlignedModelWhateverItSharesWithTheStudent) {
  Json exclude = Json::array();  // their tables would stand where the item's layers do
  for (const FeatureSpec& feature : schema_.features)
    if (feature.side == Side::kItem && feature.sparse() && feature.vocabulary.empty())
      exclude.push_back(feature.name);
  const Json student_table = {{"exclude", exclude},
                              {"kind", "multi_task"},
                              {"embedding", 6},
                              {"attribute_embedding", 4},
                              {"sequences", {"history"}},
                              {"layers", 1},
                              {"heads", 2},
                              {"product_dim", 3},
                              {"experts", 2},
                              {"expert_layers", {12}},
                              {"head_layers", {6}},
                              {"item_layers", {9, 6}},
                              {"embedding_deviation", 1.0}};
  const auto student = make_candidate_model(schema_, student_table, Rng(5, "init"));
  for (const char* sharing : {"bottom", "embeddings", "none"}) {
    SCOPED_TRACE(sharing);
    expect_equal({{"kind", "aligned"},
                  {"sharing", sharing},
                  {"product_dim", 3},
                  {"experts", 2},
                  {"expert_layers", {12, 7}},
                  {"head_layers", {5}}},
                 student.get());
  }
}

TEST_F(RankerEquality, OfABundleThatARunWasPublishedTo) {
  const Json recipe = tiny_recipe("dmtl", {"train.batch=128", "train.epochs=1"});
  train(recipe, *dataset_, {.run = scratch_ / "run", .device = "cpu"});
  PublishOptions options;
  options.with_teacher = true;
  options.device = "cpu";
  const PublishResult published = publish_run(scratch_ / "run", scratch_ / "bundles", options);
  const Bundle bundle(published.path);
  const Retriever retriever(bundle);
  ASSERT_NE(retriever.ranker(), nullptr);
  const TrainedModel model(scratch_ / "run", *dataset_, "cpu");
  const RankerLogits got = retriever.ranker()->score(batch_);
  std::vector<float> expected(static_cast<size_t>(batch_.rows()));
  for (const char* task : {"click", "read", "read_given_click"}) {
    model.teacher()->score(batch_, task, expected);
    for (size_t row = 0; row < expected.size(); ++row)
      ASSERT_NEAR(got.at(task)[row], expected[row], 1e-4) << task;
  }
}

TEST_F(RankerEquality, ARunWithoutATeacherIsNotPublishedWithOne) {
  const Json recipe = tiny_recipe("dssm_click", {"train.batch=128", "train.epochs=1"});
  train(recipe, *dataset_, {.run = scratch_ / "run", .device = "cpu"});
  PublishOptions options;
  options.with_teacher = true;
  options.device = "cpu";
  EXPECT_THAT([&] { publish_run(scratch_ / "run", scratch_ / "bundles", options); },
              testing::ThrowsMessage<ConfigError>(testing::HasSubstr("has no teacher to publish")));
  EXPECT_TRUE(bundle_versions(scratch_ / "bundles").empty());
}

}  // namespace
}  // namespace retort
