// Retrieval and ranking trained together on impressions: what is promised of every training run,
// and what is RRA's own.
#include <cmath>

#include "tests/support/scratch_folder.h"
#include "tests/trainer/learnable_data.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/common/rng.h"
#include "retort/common/thread_pool.h"
#include "retort/dataset/assembler.h"
#include "retort/encoder/tower_encoder.h"
#include "retort/trainer/catalogue_rows.h"
#include "retort/trainer/checkpoint.h"
#include "retort/trainer/learner.h"
#include "retort/trainer/run_folder.h"
#include "retort/trainer/train.h"
#include "retort/trainer/trained_model.h"

namespace retort {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

FeatureSpec watched(const std::string& with, int64_t rows) {
  FeatureSpec feature = history_feature("watched", with, rows);
  feature.stream = "watched";
  feature.distinct = true;
  return feature;
}

/// The learnable feed as a service that shows each clicked item below three others, whose viewers'
/// past watching is a stream of its own. The last tenth of the items is no candidate.
/// `drift` is added to the logged scores of every other snapshot.
TinyDataset shown_feed(int32_t clicks = 900, float drift = 0) {
  TinyDataset data = learnable_dataset(clicks);
  data.schema.features.pop_back();
  data.values.clear();
  data.schema.features.insert(data.schema.features.begin() + 1,
                              {watched("", data.items + 1), watched("count", 16)});
  data.schema.features.push_back({.name = "seen_before",
                                  .side = Side::kPair,
                                  .kind = FeatureKind::kDense,
                                  .source = FeatureSource::kCross,
                                  .of = "item",
                                  .stream = "watched"});
  data.sort();
  data.logged_scores = data.unclicked_seconds = true;
  data.candidates.assign(static_cast<size_t>(data.items), 1);
  for (int32_t item = data.items * 9 / 10; item < data.items; ++item)
    data.candidates[static_cast<size_t>(item)] = 0;
  const Rng rng(11, "shown");
  for (size_t i = 0; i < data.clicks.size(); ++i) {
    const TinyClick& click = data.clicks[i];
    data.streams["watched"].push_back(click);
    for (int32_t position = 0; position < 4; ++position) {
      TinyShown shown{click.user, click.item, click.time, static_cast<int64_t>(i), position};
      shown.split = click.split;
      if (position == 0) {
        shown.click = static_cast<int64_t>(i);
        shown.seconds = click.seconds;
      } else {
        shown.item =
            static_cast<int32_t>(rng.below(40, 100'000 + 8 * i + static_cast<size_t>(position)));
        shown.seconds = position == 3 ? std::nanf("") : 0.0F;
      }
      shown.snapshot = static_cast<int32_t>(i % 4);
      shown.score_click = shown.item % 2 == shown.user % 2 ? 1.0F : -2.0F;
      if (i % 2 == 1) shown.score_click += drift;
      shown.score_dwm = shown.score_click / 2;
      data.shown.push_back(shown);
    }
  }
  return data;
}

class AlignedTraining : public testing::Test {
 protected:
  AlignedTraining() {
    set_threads(1);
    shown_feed().write(scratch_ / "data");
    dataset_ = std::make_unique<Dataset>(scratch_ / "data");
  }
  static Json recipe(std::vector<std::string> sets) {
    sets.insert(sets.begin(),
                {"student.sequences=[\"watched\"]", "train.batch=120", "train.epochs=3",
                 "train.metric=recall_click@10", "train.patience=0", "fusion.metric=wrecall@10"});
    return tiny_recipe("rra", sets);
  }
  TrainResult run(const std::string& folder, const Json& recipe, int64_t stop = -1,
                  bool resume = false) {
    TrainOptions options{.run = scratch_ / folder, .resume = resume, .device = "cpu"};
    options.stop_after_step = stop;
    return train(recipe, *dataset_, options);
  }
  std::vector<double> epoch_losses(const std::string& folder, const std::string& term) {
    std::vector<double> losses;
    for (const Json& line : metrics_of(scratch_ / folder))
      if (line.at("kind") == "epoch" && line.at("split") == "train")
        losses.push_back(line.at("terms").at(term));
    return losses;
  }
  const ScratchFolder scratch_;
  std::unique_ptr<Dataset> dataset_;
};

TEST_F(AlignedTraining, AllEightLossesFall) {
  run("run", recipe({"train.epochs=6"}));
  for (const char* term : {"rank_click", "rank_dwm", "cls_click", "cls_dwm", "mask_click",
                           "mask_dwm", "kd_click", "kd_dwm"}) {
    const std::vector<double> losses = epoch_losses("run", term);
    ASSERT_EQ(losses.size(), 6U) << term;
    EXPECT_LT(losses.back(), losses.front()) << term;
  }
  const Json info = read_json(scratch_ / "run" / "run.json");
  EXPECT_EQ(info["fusion"]["grid"].size(), 9U);
  EXPECT_EQ(read_json(scratch_ / "run" / "model.json")["fusion"], info["fusion"]["value"]);
}

TEST_F(AlignedTraining, FromSeveralStopsTheResultIsThatOfAnUninterruptedRun) {
  const Json whole = recipe({"terms.cls_click.negatives=uniform", "terms.cls_click.count=5",
                             "terms.cls_dwm.negatives=batch_corrected",
                             "terms.cls_dwm.log_q=streaming", "train.precision=fp32"});
  const int64_t steps = run("whole", whole).steps;
  for (const int64_t stop : {int64_t{1}, steps / 3, steps / 2, steps - 1}) {
    const std::string folder = "stopped" + std::to_string(stop);
    EXPECT_THROW(run(folder, whole, stop), Interrupted);
    run(folder, whole, -1, true);
    const Checkpoint one = load_checkpoint(RunPaths(scratch_ / "whole").last),
                     two = load_checkpoint(RunPaths(scratch_ / folder).last);
    for (const auto& [name, tensor] : one.tensors)
      EXPECT_TRUE(torch::equal(tensor, two.tensors.at(name))) << name << ", stop " << stop;
  }
}

TEST_F(AlignedTraining, EveryNegativeSetTrains) {
  for (const char* kind : {"all", "uniform", "batch", "batch_corrected", "hard", "mixed"}) {
    const std::string set = kind;
    run(set, recipe({"train.epochs=5", "terms.cls_click.negatives=" + set,
                     "terms.cls_dwm.negatives=" + set, "terms.cls_click.count=10",
                     "terms.cls_dwm.count=10", "terms.cls_click.low=3", "terms.cls_click.high=8",
                     "terms.cls_dwm.low=3", "terms.cls_dwm.high=8"}));
    const std::vector<double> losses = epoch_losses(set, "cls_click");
    EXPECT_LT(losses.back(), losses.front()) << set;
  }
}

TEST_F(AlignedTraining, AFrozenRankerOfAnotherRunTeaches) {
  run("ranker", recipe({"teacher.sharing=none", "terms.mask_click.enabled=false",
                        "terms.mask_dwm.enabled=false", "terms.kd_click.enabled=false",
                        "terms.kd_dwm.enabled=false"}));
  const std::string mentor = (scratch_ / "ranker").string();
  run("student", recipe({"terms.kd_click.target=mentor_click", "terms.kd_dwm.target=mentor_dwm",
                         "distill.run='" + mentor + "'"}));
  const std::vector<double> losses = epoch_losses("student", "kd_click");
  EXPECT_LT(losses.back(), losses.front());
  EXPECT_THROW(run("none", recipe({"distill.run='" + (scratch_ / "nowhere").string() + "'"})),
               std::exception);
  EXPECT_THAT([&] { run("unnamed", recipe({"terms.kd_click.target=mentor_click"})); },
              ThrowsMessage<ConfigError>(HasSubstr("distill.run")));
}

TEST_F(AlignedTraining, LoggedScoresTeach) {
  run("run", recipe({"terms.kd_click.target=logged_click", "terms.kd_dwm.target=logged_dwm"}));
  const std::vector<double> losses = epoch_losses("run", "kd_click");
  EXPECT_LT(losses.back(), losses.front());
}

TEST_F(AlignedTraining, AScaleASnapshotLearnsWhatDrifts) {
  shown_feed(900, 4).write(scratch_ / "drifting");
  dataset_ = std::make_unique<Dataset>(scratch_ / "drifting");
  const std::vector<std::string> logged{"terms.kd_click.target=logged_click",
                                        "terms.kd_dwm.target=logged_dwm", "train.epochs=4",
                                        "train.precision=fp32"};
  std::vector<std::string> scaled = logged;
  scaled.push_back("terms.kd_click.per_snapshot=true");
  run("plain", recipe(logged));
  const int64_t steps = run("scaled", recipe(scaled)).steps;
  EXPECT_LT(epoch_losses("scaled", "kd_click").back(),
            epoch_losses("plain", "kd_click").back() - 0.05);

  EXPECT_THROW(run("stopped", recipe(scaled), steps / 2), Interrupted);
  run("stopped", recipe(scaled), -1, true);
  const Checkpoint one = load_checkpoint(RunPaths(scratch_ / "scaled").last),
                   two = load_checkpoint(RunPaths(scratch_ / "stopped").last);
  const std::string b = "snapshot/student_click.b";
  EXPECT_TRUE(torch::equal(one.tensors.at(b), two.tensors.at(b)));
  EXPECT_GT(one.tensors.at(b)[2].item<float>(), one.tensors.at(b)[1].item<float>());
  EXPECT_EQ(one.tensors.at(b)[0].item<float>(), 0);  // no row without a snapshot
  TrainedModel(scratch_ / "scaled", *dataset_, "cpu").save_student(scratch_ / "s.safetensors");
}

TEST_F(AlignedTraining, ScalesOfSnapshotsAreRefusedWithoutLoggedScores) {
  EXPECT_THAT(
      [&] { run("one", recipe({"terms.kd_click.per_snapshot=true"})); },
      ThrowsMessage<ConfigError>(HasSubstr("only logged and stored scores have snapshots")));
  TinyDataset data = shown_feed(300);
  data.logged_scores = false;
  data.write(scratch_ / "unscored");
  dataset_ = std::make_unique<Dataset>(scratch_ / "unscored");
  EXPECT_THAT(
      [&] {
        run("two", recipe({"terms.kd_click.target=logged_click", "terms.kd_dwm.target=logged_dwm",
                           "terms.kd_click.per_snapshot=true"}));
      },
      ThrowsMessage<ConfigError>(HasSubstr("ingest again")));
}

TEST_F(AlignedTraining, ATeacherTrainedFirstSharesNothing) {
  const std::vector<std::string> distilled{
      "distill.mode=frozen",          "terms.cls_click.enabled=false",
      "terms.cls_dwm.enabled=false",  "terms.mask_click.enabled=false",
      "terms.mask_dwm.enabled=false", "train.epochs=2"};
  EXPECT_THAT([&] { run("shared", recipe(distilled)); },
              ThrowsMessage<ConfigError>(HasSubstr("teacher.sharing")));
  std::vector<std::string> apart = distilled;
  apart.push_back("teacher.sharing=none");
  run("apart", recipe(apart));
  EXPECT_TRUE(fs::exists(RunPaths(scratch_ / "apart").teacher_best));
}

TEST_F(AlignedTraining, TheEncoderGivesTheVectorsOfTheTrainedModel) {
  run("run", recipe({}));
  TrainedModel model(scratch_ / "run", *dataset_, "cpu");
  model.save_student(scratch_ / "student.safetensors");
  const TowerEncoder encoder(
      model.spec(), std::make_shared<const SafetensorsFile>(scratch_ / "student.safetensors"));
  std::vector<UserMoment> moments;
  for (int32_t user = 0; user < dataset_->users(); ++user)
    moments.push_back({user, dataset_->end_time(), -1});
  SideBatch users;
  Assembler(*dataset_).users(moments, users);
  const auto size = static_cast<size_t>(users.rows * encoder.dim());
  std::vector<float> torch_users(size), own(size);
  for (const double w : {0.0, 0.4, 1.0}) {
    model.set_fusion(w);
    model.student().encode_users(users, torch_users);
    encoder.encode_users(users, w, own);
    for (size_t i = 0; i < size; ++i) ASSERT_NEAR(own[i], torch_users[i], 1e-4) << i;
  }
  EXPECT_THROW(model.set_fusion(1.5), ConfigError);
}

TEST_F(AlignedTraining, KeepsAChosenFusionInTheRun) {
  run("run", recipe({"fusion.choose=none", "fusion.value=0.3"}));
  EXPECT_EQ(TrainedModel(scratch_ / "run", *dataset_, "cpu").spec().fusion, 0.3);
  keep_fusion(scratch_ / "run", 0.8);
  EXPECT_EQ(TrainedModel(scratch_ / "run", *dataset_, "cpu").spec().fusion, 0.8);
  EXPECT_THROW(keep_fusion(scratch_ / "run", -1), ConfigError);
}

TEST_F(AlignedTraining, TheCatalogueHoldsTheCandidatesAlone) {
  const CatalogueRows rows(*dataset_, true, torch::kCPU);
  EXPECT_EQ(rows.items().rows, 36);
  const torch::Tensor places = rows.places({0, 35, 36, 39});
  EXPECT_TRUE(torch::equal(places, torch::tensor({0, 35, -1, -1}, torch::kInt64)));
  EXPECT_NEAR(rows.log_q().exp().sum().item<double>(), 1, 1e-5);
}

TEST_F(AlignedTraining, RewardsAverageToOneAndAreClipped) {
  const RewardOptions reward = read_train_recipe(recipe({}), *dataset_).reward;
  double sum = 0, clicks = 0, most = 0;
  for (const int64_t row : dataset_->rows_of(Split::kTrain)) {
    const double seconds = dataset_->clicks().seconds[static_cast<size_t>(row)];
    sum += std::min(seconds, reward.clip) / reward.mean;
    most = std::max(most, seconds);
    clicks += 1;
  }
  EXPECT_NEAR(sum / clicks, 1, 1e-9);
  EXPECT_LE(reward.clip, most);
}

}  // namespace
}  // namespace retort
