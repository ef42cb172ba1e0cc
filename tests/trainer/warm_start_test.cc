// Warm starts: ids and moments of the run before, tables grown by the days that were added.
#include "retort/trainer/warm_start.h"

#include "tests/support/growing_feed.h"
#include "tests/support/scratch_folder.h"
#include "tests/trainer/learnable_data.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/common/thread_pool.h"
#include "retort/dataset/assembler.h"
#include "retort/dataset/builder.h"
#include "retort/dataset/loader.h"
#include "retort/trainer/run_folder.h"
#include "retort/trainer/trained_model.h"

namespace retort {
namespace {

using testing::HasSubstr;

class WarmStartTest : public testing::Test {
 protected:
  WarmStartTest() {
    set_threads(1);
    write_growing_feed(scratch_.path(), 6);
    add("..", 4, "d4");
    add("", 5, "d5", "d4");
    recipe_ = recipe({});
  }
  /// Ingests up to (`prefix` "..") or of a day.
  void add(const std::string& prefix, int day, const char* to, const char* append = "") {
    IngestOptions options{.from = scratch_.path(), .out = scratch_ / to};
    options.days = parse_days(prefix + growing_day(day - 1), "days");
    options.keep_log = true;
    if (*append != 0) options.append = scratch_ / append;
    ingest(growing_recipe(scratch_.path()), options);
  }
  static Json recipe(std::vector<std::string> more) {
    std::vector<std::string> sets{"train.batch=64", "train.epochs=2", "train.patience=0",
                                  "optimizer.learning_rate=0.01", "optimizer.warmup_steps=4"};
    sets.insert(sets.end(), more.begin(), more.end());
    return tiny_recipe("dmtl", sets);
  }
  Dataset open(const char* name) const { return Dataset(scratch_ / name); }
  TrainResult run(const char* folder, const char* data, const Json& recipe, const char* from = "",
                  bool resume = false, int64_t stop = -1) {
    TrainOptions options{.run = scratch_ / folder, .resume = resume, .device = "cpu"};
    if (*from != 0) options.warm_start = scratch_ / from;
    options.stop_after_step = stop;
    return train(recipe, open(data), options);
  }
  template <class E, class Do>
  static std::string error_of(const Do& action) {
    try {
      action();
    } catch (const E& error) {
      return error.what();
    }
    return "no error";
  }
  Checkpoint last(const char* run) const { return load_checkpoint(RunPaths(scratch_ / run).last); }
  Checkpoint best(const char* run) const { return load_checkpoint(RunPaths(scratch_ / run).best); }
  const ScratchFolder scratch_;
  Json recipe_;
};

TEST_F(WarmStartTest, GrowsTablesAndKeepsMomentsAndSteps) {
  run("r4", "d4", recipe_);
  const Dataset grown = open("d5");
  const WarmStart start =
      *find_warm_start({.run = scratch_ / "x", .warm_start = scratch_ / "r4"}, recipe_, grown);
  EXPECT_EQ(start.trained_until, open("d4").manifest().at("split").at("valid_from").get<int64_t>());
  const Checkpoint weights = best("r4"), moments = last("r4");
  NamedTensors fresh;
  const int64_t more = 9;
  for (const auto& [name, tensor] : moments.tensors) {
    const bool table = name.find("user_id.weight") != std::string::npos;
    if (!table) {
      fresh[name] = torch::zeros_like(tensor);
      continue;
    }
    std::vector<int64_t> sizes = tensor.sizes().vec();
    sizes[0] += more;
    fresh[name] = torch::full(sizes, 0.5, tensor.options());
  }
  const NamedTensors state = grown_state(start, fresh);
  int tables = 0;
  for (const auto& [name, tensor] : state) {
    const torch::Tensor& before =
        weights.tensors.contains(name) ? weights.tensors.at(name) : moments.tensors.at(name);
    EXPECT_TRUE(torch::equal(tensor.narrow(0, 0, before.size(0)), before)) << name;
    if (tensor.size(0) == before.size(0)) continue;
    ++tables;
    EXPECT_TRUE((tensor.narrow(0, before.size(0), more) == 0.5).all().item<bool>()) << name;
  }
  EXPECT_EQ(tables, 6);  // teacher's and student's: weight, m, v
  EXPECT_GT(state.at("student_optimizer/step").item<int64_t>(), 0);
}

TEST_F(WarmStartTest, LearnsFromTheDaysThatTheRunDidNotSee) {
  const TrainResult whole = run("r4", "d4", recipe_);
  const TrainResult next = run("r5", "d5", recipe({"train.days=new"}), "r4");
  const Dataset data = open("d5");
  LoaderOptions rows = training_rows(recipe_, data, 1);
  rows.since = open("d4").manifest().at("split").at("valid_from").get<int64_t>();
  EXPECT_EQ(next.steps, 2 * Loader(data, rows).batches());
  EXPECT_LT(next.steps, whole.steps);
  EXPECT_EQ(last("r5").tensors.at("student_optimizer/step").item<int64_t>(),
            whole.steps + next.steps);
  EXPECT_EQ(last("r5").tensors.at("student_optimizer/schedule_from").item<int64_t>(), whole.steps);
}

TEST_F(WarmStartTest, ResumedIsTheUninterruptedRun) {
  run("r4", "d4", recipe_);
  run("whole", "d5", recipe_, "r4");
  EXPECT_THROW(run("stopped", "d5", recipe_, "r4", false, 7), Interrupted);
  run("stopped", "d5", recipe_, "", true);
  const Checkpoint a = last("whole"), b = last("stopped");
  for (const auto& [name, tensor] : a.tensors)
    EXPECT_TRUE(torch::equal(tensor, b.tensors.at(name))) << name;
}

TEST_F(WarmStartTest, ARunIsOpenedOnALaterDayWithTheUnknownForWhatIsNew) {
  run("r4", "d4", recipe_);
  const Dataset before = open("d4"), grown = open("d5");
  ASSERT_GT(grown.items(), before.items());
  const TrainedModel own(scratch_ / "r4", before, "cpu"), later(scratch_ / "r4", grown, "cpu");
  const auto vectors = [](const TrainedModel& model, const Dataset& data) {
    std::vector<ItemMoment> all;
    for (int32_t item = 0; item < data.items(); ++item) all.push_back({item, data.end_time()});
    SideBatch side;
    Assembler(data).items(all, side);
    std::vector<float> out(all.size() * static_cast<size_t>(model.student().dim()));
    model.student().encode_items(side, out);
    return out;
  };
  const std::vector<float> one = vectors(own, before), two = vectors(later, grown);
  EXPECT_TRUE(std::equal(one.begin(), one.end(), two.begin()));
}

TEST_F(WarmStartTest, ThatCannotBeIsRefusedWithTheReason) {
  run("r4", "d4", recipe_);
  EXPECT_THAT(error_of<ConfigError>([&] { run("a", "d5", recipe({"train.days=new"})); }),
              HasSubstr("--warm-start"));
  EXPECT_THAT(error_of<ConfigError>([&] { run("b", "d5", recipe({"student.embedding=9"}), "r4"); }),
              HasSubstr("student.embedding"));
  add("..", 5, "other");
  EXPECT_THAT(error_of<DataError>([&] { run("c", "other", recipe_, "r4"); }),
              HasSubstr("did not grow from"));
  EXPECT_THROW(run("half", "d5", recipe_, "r4", false, 2), Interrupted);
  EXPECT_THAT(error_of<ConfigError>([&] { run("d", "d5", recipe_, "half"); }),
              HasSubstr("interrupted, not finished"));
  NamedTensors fresh = last("r4").tensors;
  torch::Tensor& table = fresh.at("student/user.user_id.weight");
  table = table.narrow(0, 0, table.size(0) - 1);
  EXPECT_THAT(error_of<DataError>([&] { grow_rows("run", last("r4").tensors, fresh); }),
              HasSubstr("a vocabulary has shrunk"));
}

}  // namespace
}  // namespace retort
