#include "retort/trainer/trained_model.h"

#include "tests/support/scratch_folder.h"
#include "tests/trainer/learnable_data.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/bundle/safetensors.h"
#include "retort/common/error.h"
#include "retort/common/thread_pool.h"
#include "retort/dataset/loader.h"
#include "retort/metric/auc.h"
#include "retort/trainer/run_folder.h"
#include "retort/trainer/train.h"
#include "retort/trainer/train_recipe.h"

namespace retort {
namespace {

class TrainedModelTest : public testing::Test {
 protected:
  TrainedModelTest() {
    set_threads(1);
    random_tiny_dataset(5, 20, 30, 500).write(scratch_ / "data");
    dataset_ = std::make_unique<Dataset>(scratch_ / "data");
    const Json recipe =
        tiny_recipe("dmtl", {"train.batch=128", "train.epochs=3", "optimizer.learning_rate=0.01"});
    result_ = train(recipe, *dataset_, {.run = scratch_ / "run", .device = "cpu"});
  }
  // The frozen validation rows as one batch.
  Batch validation() const {
    LoaderOptions options = validation_rows(*dataset_, LoopOptions());
    options.batch = 1 << 20;
    const Loader rows(*dataset_, options);
    Batch batch;
    rows.load(0, 0, batch);
    return batch;
  }
  static double auc_of_reads(const std::vector<float>& scores, const Batch& batch) {
    return auc(scores, std::vector<uint8_t>(batch.read.begin(), batch.read.end()));
  }
  const ScratchFolder scratch_;
  std::unique_ptr<Dataset> dataset_;
  TrainResult result_;
};

TEST_F(TrainedModelTest, TheTowersGiveTheBestEpochsMetric) {
  const TrainedModel model(scratch_ / "run", *dataset_, "cpu");
  EXPECT_EQ(model.name(), "dmtl");
  const Batch batch = validation();
  const auto dim = static_cast<size_t>(model.student().dim());
  std::vector<float> users(batch.users.rows * dim), items(batch.items.rows * dim);
  model.student().encode_users(batch.users, users);
  model.student().encode_items(batch.items, items);
  std::vector<float> scores;
  for (int64_t row = 0; row < batch.rows(); ++row) {
    float score = 0;
    for (size_t d = 0; d < dim; ++d)
      score += users[batch.user_of_row[row] * dim + d] * items[row * dim + d];
    scores.push_back(score);
  }
  EXPECT_NEAR(auc_of_reads(scores, batch), result_.best_metric, 1e-4);
}

TEST_F(TrainedModelTest, TheTeacherIsThatOfItsOwnBestEpoch) {
  const TrainedModel model(scratch_ / "run", *dataset_, "cpu");
  const Batch batch = validation();
  std::vector<float> scores(batch.rows());
  ASSERT_NE(model.teacher(), nullptr);
  model.teacher()->score(batch, "read", scores);
  const Json info = read_json(scratch_ / "run/run.json");
  EXPECT_NEAR(auc_of_reads(scores, batch), info["result"]["teacher_auc_read"].get<double>(), 1e-4);
  EXPECT_THROW(model.teacher()->score(batch, "dwell", scores), ArgumentError);
}

TEST_F(TrainedModelTest, RowsAreEncodedAlikeInPiecesAndAtOnce) {
  const TrainedModel model(scratch_ / "run", *dataset_, "cpu");
  const Assembler assembler(*dataset_);
  std::vector<ItemMoment> few, many;
  for (int32_t i = 0; i < 20'000; ++i) many.push_back({i % 30, dataset_->end_time()});
  few.assign(many.begin(), many.begin() + 30);
  SideBatch one, all;
  assembler.items(few, one);
  assembler.items(many, all);
  const int64_t dim = model.student().dim();
  std::vector<float> a(one.rows * dim), b(all.rows * dim);
  model.student().encode_items(one, a);
  model.student().encode_items(all, b);
  for (int64_t row = 0; row < all.rows; ++row)
    for (int64_t d = 0; d < dim; ++d)
      ASSERT_NEAR(b[row * dim + d], a[(row % 30) * dim + d], 1e-4) << "row " << row;
}

TEST_F(TrainedModelTest, SavedWeightsAreNamedAsTheSpecSays) {
  const TrainedModel model(scratch_ / "run", *dataset_, "cpu");
  model.save_student(scratch_ / "student.safetensors");
  const SafetensorsFile file(scratch_ / "student.safetensors");
  size_t expected = 0;
  for (const TowerSpec* tower : {&model.spec().user, &model.spec().item}) {
    for (const FieldSpec& field : tower->input.fields) {
      EXPECT_TRUE(file.has(field.table + ".weight")) << field.table;
      ++expected;
    }
    for (size_t layer = 0; layer < tower->layers.size(); ++layer) {
      EXPECT_TRUE(file.has(fmt::format("{}.layer{}.weight", tower->name, layer)));
      EXPECT_TRUE(file.has(fmt::format("{}.layer{}.bias", tower->name, layer)));
      expected += 2;
    }
  }
  EXPECT_EQ(file.tensors().size(), expected);
}

TEST_F(TrainedModelTest, AnotherDatasetIsRefused) {
  random_tiny_dataset(6).write(scratch_ / "other");
  EXPECT_THROW(TrainedModel(scratch_ / "run", Dataset(scratch_ / "other"), "cpu"), DataError);
  EXPECT_EQ(dataset_of_run(scratch_ / "run"), fs::absolute(scratch_ / "data"));
}

TEST_F(TrainedModelTest, NoRunIsAClearError) {
  EXPECT_THROW(TrainedModel(scratch_ / "nothing", *dataset_, "cpu"), DataError);
}

}  // namespace
}  // namespace retort
