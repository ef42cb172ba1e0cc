// The promise of serving: the encoder without libtorch gives the vectors of the trained model.
#include <cmath>

#include "tests/support/scratch_folder.h"
#include "tests/support/tiny_dataset.h"
#include "tests/trainer/learnable_data.h"
#include <gtest/gtest.h>

#include "retort/common/thread_pool.h"
#include "retort/dataset/loader.h"
#include "retort/encoder/tower_encoder.h"
#include "retort/trainer/train.h"
#include "retort/trainer/train_recipe.h"
#include "retort/trainer/trained_model.h"

namespace retort {
namespace {

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i)
    largest = std::max(largest, std::abs(static_cast<double>(a[i]) - b[i]));
  return largest;
}

TEST(EncoderEquality, TowersWithoutTorchMatchTheTrainedModelOnEveryKindOfFeature) {
  set_threads(1);
  const ScratchFolder scratch;
  random_tiny_dataset(7, 20, 30, 500).write(scratch / "data");
  const Dataset dataset(scratch / "data");
  const Json recipe = tiny_recipe("dmtl", {"train.batch=128", "train.epochs=2"});
  train(recipe, dataset, {.run = scratch / "run", .device = "cpu"});
  const TrainedModel model(scratch / "run", dataset, "cpu");
  model.save_student(scratch / "student.safetensors");
  const TowerEncoder encoder(
      model.spec(), std::make_shared<const SafetensorsFile>(scratch / "student.safetensors"));

  LoaderOptions options = validation_rows(dataset, LoopOptions());
  options.batch = 1 << 20;
  Batch batch;
  Loader(dataset, options).load(0, 0, batch);
  const auto dim = static_cast<size_t>(encoder.dim());
  ASSERT_EQ(encoder.dim(), model.student().dim());
  std::vector<float> torch_users(batch.users.rows * dim), users(torch_users.size());
  std::vector<float> torch_items(batch.items.rows * dim), items(torch_items.size());
  model.student().encode_users(batch.users, torch_users);
  model.student().encode_items(batch.items, torch_items);
  encoder.encode_users(batch.users, users);
  encoder.encode_items(batch.items, items);
  EXPECT_LT(largest_difference(torch_users, users), 1e-4);
  EXPECT_LT(largest_difference(torch_items, items), 1e-4);
  double spread = 0;
  for (const float value : users) spread = std::max(spread, std::abs(static_cast<double>(value)));
  EXPECT_GT(spread, 0.01) << "vectors of zeros would be equal too";
}

}  // namespace
}  // namespace retort
