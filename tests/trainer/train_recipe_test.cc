#include "retort/trainer/train_recipe.h"

#include <cmath>
#include <memory>

#include "tests/support/scratch_folder.h"
#include "tests/trainer/learnable_data.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/recipe.h"
#include "retort/trainer/learner.h"

namespace retort {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class TrainRecipeTest : public testing::Test {
 protected:
  TrainRecipeTest() {
    TinyDataset data = learnable_dataset(200);
    for (TinyClick& click : data.clicks)
      for (const char* label : {"share", "follow", "dismiss"}) click.labels[label] = 0;
    data.write(scratch_ / "data");
    dataset_ = std::make_unique<Dataset>(scratch_ / "data");
  }
  std::string error_of(const std::string& name, const std::vector<std::string>& sets) const {
    try {
      const TrainRecipe recipe = read_train_recipe(tiny_recipe(name, sets), *dataset_);
      Learner(recipe, dataset_->schema(), 1, torch::kCPU, 1);
      training_rows(tiny_recipe(name, sets), *dataset_, 1);
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "no error";
  }
  const ScratchFolder scratch_;
  std::unique_ptr<Dataset> dataset_;
};

TEST_F(TrainRecipeTest, EveryModelRecipeLoadsWithEveryPreset) {
  int recipes = 0;
  for (const auto& entry : fs::directory_iterator(fs::path(RETORT_SOURCE) / "recipes")) {
    if (entry.path().extension() != ".toml" || entry.path().stem() == "base") continue;
    ++recipes;
    for (const char* preset : {"", "tiny", "small", "paper"}) {
      SCOPED_TRACE(entry.path().string() + " " + preset);
      // The feed of this test has no sequences, and its items are more than their ids.
      const bool two_tasks =
          load_recipe(entry.path(), preset, {}).at("student").at("kind") == "multi_task";
      const std::vector<std::string> sets =
          two_tasks
              ? std::vector<std::string>{"student.sequences=[]", "student.exclude=['quality']"}
              : std::vector<std::string>{};
      const TrainRecipe recipe =
          read_train_recipe(load_recipe(entry.path(), preset, sets), *dataset_);
      EXPECT_EQ(recipe.name, entry.path().stem().string());
      if (recipe.scores.given) continue;  // without a file of scores there is no learner
      EXPECT_NO_THROW(Learner(recipe, dataset_->schema(), 1, torch::kCPU, 1));
    }
  }
  EXPECT_GE(recipes, 10);
}

TEST_F(TrainRecipeTest, PaperHasThePublishedSizes) {
  const fs::path file = fs::path(RETORT_SOURCE) / "recipes/dmtl.toml";
  const TrainRecipe recipe = read_train_recipe(load_recipe(file, "paper", {}), *dataset_);
  EXPECT_EQ(recipe.student.at("embedding"), 30);
  EXPECT_EQ(recipe.student.at("user_layers"), Json({512, 256, 128}));
  EXPECT_EQ(recipe.student.at("item_layers"), Json({512, 256, 128}));
  EXPECT_EQ(recipe.teacher.at("embedding"), 30);
  EXPECT_EQ(recipe.teacher.at("experts"), 2);
  EXPECT_EQ(recipe.teacher.at("expert_layers"), Json({1024, 512, 256}));
  EXPECT_EQ(recipe.teacher.at("tower_layers"), Json({256, 256}));
}

TEST_F(TrainRecipeTest, AnUnknownKeyNamesTheNearest) {
  EXPECT_THAT(error_of("dmtl", {"train.bach=3"}),
              AllOf(HasSubstr("train.bach"), HasSubstr("'batch'")));
  EXPECT_THAT(error_of("dmtl", {"optimiser.kind=adam"}), HasSubstr("'optimizer'"));
  EXPECT_THAT(error_of("dmtl", {"optimizer.lerning_rate=1"}), HasSubstr("learning_rate"));
  EXPECT_THAT(error_of("dmtl", {"negatives.exponnent=1"}), HasSubstr("'exponent'"));
  EXPECT_THAT(error_of("dmtl", {"beta.chose=none"}), HasSubstr("'choose'"));
}

TEST_F(TrainRecipeTest, ValuesOutOfRangeAreNamed) {
  EXPECT_THAT(error_of("dmtl", {"train.metric=auc"}),
              AllOf(HasSubstr("auc_read"), HasSubstr("recall@K")));
  EXPECT_THAT(error_of("dmtl", {"train.metric=recall@x"}), HasSubstr("train.metric"));
  EXPECT_THAT(error_of("dmtl", {"train.epochs=0"}), HasSubstr("train.epochs"));
  EXPECT_THAT(error_of("dmtl", {"distill.mode=offline"}), HasSubstr("frozen"));
  EXPECT_THAT(error_of("dmtl", {"target.transform=log1p"}), HasSubstr("squared"));
  EXPECT_THAT(error_of("dmtl", {"train.metric=recall@5"}), testing::StrEq("no error"));
}

TEST_F(TrainRecipeTest, TermsAndModelsMustFit) {
  EXPECT_THAT(error_of("dmtl", {"teacher.kind=none"}), HasSubstr("teacher.kind"));
  EXPECT_THAT(error_of("dssm_click", {"teacher.kind=mmoe"}), HasSubstr("no term trains it"));
  EXPECT_THAT(error_of("dssm_click", {"distill.mode=frozen"}), HasSubstr("needs a teacher"));
  EXPECT_THAT(error_of("dssm_click", {"terms=[]"}), HasSubstr("[[terms]]"));
}

TEST_F(TrainRecipeTest, ScaledRegressionDividesByTheDeviationOfTrainingClicks) {
  double sum = 0, squares = 0, count = 0;
  for (const int64_t row : dataset_->rows_of(Split::kTrain)) {
    sum += dataset_->clicks().seconds[row];
    squares += std::pow(dataset_->clicks().seconds[row], 2);
    ++count;
  }
  const double deviation = std::sqrt(squares / count - std::pow(sum / count, 2));
  const TrainRecipe recipe = read_train_recipe(tiny_recipe("dssm_regression_scaled"), *dataset_);
  EXPECT_NEAR(recipe.terms.at(0).options.at("scale").get<double>(), deviation, 1e-9 * deviation);
}

TEST_F(TrainRecipeTest, NegativesOverrideTheProtocolForTrainingOnly) {
  const Json recipe = tiny_recipe("dmtl", {"negatives.per_click=9", "negatives.sampler=uniform"});
  const LoaderOptions train = training_rows(recipe, *dataset_, 5);
  EXPECT_EQ(train.negatives, 9);
  EXPECT_EQ(train.sampler, "uniform");
  EXPECT_EQ(train.seed, 5u);
  EXPECT_TRUE(train.training);
  const LoaderOptions valid = validation_rows(*dataset_, LoopOptions());
  EXPECT_EQ(valid.negatives, dataset_->protocol().negatives_per_click);
  EXPECT_EQ(valid.sampler, dataset_->protocol().sampler);
  EXPECT_EQ(valid.seed, dataset_->protocol().seed);
  EXPECT_FALSE(valid.training);
  EXPECT_EQ(valid.split, Split::kValid);
}

}  // namespace
}  // namespace retort
