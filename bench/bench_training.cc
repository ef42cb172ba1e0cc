// The joint DMTL step at the published sizes: batch 2048, 8 user and 6 item fields of 100,000 rows,
// width 30. Prints one line as bench/peers/dmtl_torch.py does; batches are made before the clock
// starts. --grouped: 1 + 4 rows share a user and a moment, as training has them. --run: a whole
// training run on a dataset of such fields beside steps on the same batches, made before.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/scratch_folder.h"
#include "tests/support/tiny_dataset.h"
#include <CLI/CLI.hpp>

#include "retort/common/recipe.h"
#include "retort/common/trace.h"
#include "retort/dataset/loader.h"
#include "retort/trainer/learner.h"
#include "retort/trainer/torch_info.h"
#include "retort/trainer/train.h"

namespace retort {
namespace {

constexpr int32_t kUserFields = 8, kItemFields = 6;
constexpr int64_t kRows = 100'000;
/// Multiplications of a row, forward, with nothing shared.
constexpr double kProducts = 2.0 * (420 * 1024 + 1024 * 512 + 512 * 256) + 2.0 * (2 * 256 * 256) +
                             420 * 512 + 2.0 * (512 * 256 + 256 * 128);

struct Flags {
  int32_t threads = 1;
  std::string precision = "auto";
  int64_t batch = 2048, steps = 20, warmup = 3;
  int32_t clicks = 160'000;
  bool grouped = false, profile = false, run = false;
};

Schema many_fields() {
  Schema schema;
  for (int32_t field = 0; field < kUserFields + kItemFields; ++field) {
    FeatureSpec spec;
    spec.name = "field" + std::to_string(field);
    spec.side = field < kUserFields ? Side::kUser : Side::kItem;
    spec.column = spec.name;
    spec.vocabulary = spec.name;
    spec.rows = kRows;
    schema.features.push_back(spec);
  }
  return schema;
}

SideBatch random_side(int64_t rows, int32_t fields, const Rng& rng) {
  SideBatch side;
  side.rows = rows;
  for (int32_t field = 0; field < fields; ++field) {
    SparseColumn column;
    column.offsets.push_back(0);
    for (int64_t row = 0; row < rows; ++row) {
      const auto at = static_cast<uint64_t>(field * rows + row);
      column.ids.push_back(static_cast<int32_t>(rng.below(kRows, at)));
      column.offsets.push_back(static_cast<int32_t>(row + 1));
    }
    side.sparse.push_back(std::move(column));
  }
  return side;
}

Batch random_batch(const Flags& flags, uint64_t step) {
  const Rng rng = Rng(7, "bench").fork(step);
  const int64_t group = flags.grouped ? 5 : 1;
  Batch batch;
  batch.users = random_side((flags.batch + group - 1) / group, kUserFields, rng.fork(0));
  batch.items = random_side(flags.batch, kItemFields, rng.fork(1));
  batch.pairs.rows = flags.batch;
  for (int64_t row = 0; row < flags.batch; ++row) {
    const bool clicked =
        flags.grouped ? row % group == 0 : rng.fork(2).uniform(static_cast<uint64_t>(row)) < 0.25;
    const bool read = clicked && rng.fork(3).uniform(static_cast<uint64_t>(row)) < 0.5;
    batch.user_of_row.push_back(static_cast<int32_t>(row / group));
    batch.user.push_back(static_cast<int32_t>(row / group));
    batch.item.push_back(static_cast<int32_t>(row));
    batch.time.push_back(0);
    batch.click.push_back(clicked ? 1 : 0);
    batch.read.push_back(read ? 1 : 0);
    batch.seconds.push_back(read ? 60 : 0);
  }
  return batch;
}

void run(const Flags& flags) {
  set_torch_threads(flags.threads);
  const ScratchFolder scratch;
  random_tiny_dataset(1).write(scratch / "d");
  const TrainRecipe recipe = read_train_recipe(
      load_recipe(find_recipe("dmtl"), "paper", {"train.precision=" + flags.precision}),
      Dataset(scratch / "d"));
  Learner learner(recipe, many_fields(), 1, torch::kCPU, 1);
  std::optional<TraceRecorder> recorder;
  std::vector<double> seconds;
  for (int64_t step = 0; step < flags.warmup + flags.steps; ++step) {
    const Batch batch = random_batch(flags, static_cast<uint64_t>(step));
    if (flags.profile && step == flags.warmup) recorder.emplace();
    const auto begin = std::chrono::steady_clock::now();
    {
      const TraceScope trace("everything else");
      learner.step(batch, step);
    }
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
    if (step >= flags.warmup) seconds.push_back(taken.count());
  }
  std::sort(seconds.begin(), seconds.end());
  const double median = seconds[seconds.size() / 2];
  const double rows = static_cast<double>(flags.batch);
  std::printf(
      "retort precision=%s threads=%d rows=%s batch=%ld step_ms=%.1f dense_gflops=%.1f "
      "samples_per_s=%.0f\n",
      flags.precision.c_str(), flags.threads, flags.grouped ? "grouped" : "independent",
      flags.batch, median * 1e3, 6 * kProducts * rows / median / 1e9, rows / median);
  if (recorder) std::fputs(recorder->table().c_str(), stdout);
}

/// A day of clicks of 100,000 users on 100,000 items, whose fields are drawn at random; the last
/// tenth is for validation.
void write_dataset(int32_t clicks, const fs::path& folder) {
  TinyDataset data;
  data.users = data.items = kRows;
  data.schema = many_fields();
  const Rng rng(9, "bench.dataset");
  uint64_t draws = 0;
  const auto below = [&](int64_t n) {
    return static_cast<int32_t>(rng.below(static_cast<uint64_t>(n), draws++));
  };
  for (const FeatureSpec& spec : data.schema.features) {
    auto& ids = data.ids[(spec.side == Side::kUser ? "user." : "item.") + spec.name];
    for (int64_t row = 0; row < kRows; ++row) ids.push_back(below(kRows));
  }
  constexpr int64_t kSecond = 1'000'000;
  for (int32_t i = 0; i < clicks; ++i) {
    TinyClick click;
    click.user = below(kRows);
    click.item = below(kRows);
    click.time = i * int64_t{86'400} * kSecond / clicks;
    click.seconds = static_cast<float>(below(60));
    click.split = i < clicks / 10 * 9 ? Split::kTrain : Split::kValid;
    data.clicks.push_back(click);
  }
  data.write(folder);
}

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// Rows a second of steps on batches of the loader that were made before the clock starts.
double bare_rows_per_second(const Flags& flags, const Dataset& dataset, const Json& recipe) {
  const TrainRecipe read = read_train_recipe(recipe, dataset);
  const Loader loader(dataset, training_rows(recipe, dataset, 1));
  Learner learner(read, dataset.schema(), 1, torch::kCPU, 1, &dataset);
  std::vector<Batch> batches(static_cast<size_t>(
      std::min(loader.batches() - 1, flags.warmup + flags.steps)));  // whole ones
  for (size_t i = 0; i < batches.size(); ++i) loader.load(0, static_cast<int64_t>(i), batches[i]);
  std::chrono::steady_clock::time_point begin;
  int64_t rows = 0;
  for (size_t i = 0; i < batches.size(); ++i) {
    if (i == static_cast<size_t>(flags.warmup)) begin = std::chrono::steady_clock::now();
    learner.step(batches[i], static_cast<int64_t>(i));
    if (i >= static_cast<size_t>(flags.warmup)) rows += batches[i].rows();
  }
  return static_cast<double>(rows) / seconds_since(begin);
}

/// One epoch of train() as it is (loader and negatives on their thread, optimizer, metrics log),
/// between two measurements of the bare step; validation and checkpoints are told apart.
void run_whole(const Flags& flags) {
  set_torch_threads(flags.threads);
  const ScratchFolder scratch;
  write_dataset(flags.clicks, scratch / "d");
  const Dataset dataset(scratch / "d");
  const Json recipe = load_recipe(find_recipe("dmtl"), "paper",
                                  {"train.precision=" + flags.precision,
                                   "train.batch=" + std::to_string(flags.batch), "train.epochs=1"});
  const double before = bare_rows_per_second(flags, dataset, recipe);
  const auto begin = std::chrono::steady_clock::now();
  const TrainResult result = train(recipe, dataset, {.run = scratch / "run", .device = "cpu"});
  const double whole = seconds_since(begin);
  const double after = bare_rows_per_second(flags, dataset, recipe);
  const double bare = (before + after) / 2;
  std::printf(
      "retort-run precision=%s threads=%d batch=%ld steps=%ld bare_samples_per_s=%.0f "
      "samples_per_s=%.0f share_of_bare=%.3f waiting=%.4f seconds_with_validation=%.1f\n",
      flags.precision.c_str(), flags.threads, flags.batch, result.steps, bare,
      result.rows_per_second, result.rows_per_second / bare, result.data_wait_share, whole);
}

}  // namespace
}  // namespace retort

int main(int argc, char** argv) {
  retort::Flags flags;
  CLI::App app("the joint training step of DMTL at the published sizes");
  app.add_option("--threads", flags.threads);
  app.add_option("--precision", flags.precision)->check(CLI::IsMember({"auto", "fp32", "bf16"}));
  app.add_option("--batch", flags.batch);
  app.add_option("--steps", flags.steps)->check(CLI::PositiveNumber);
  app.add_option("--warmup", flags.warmup);
  app.add_flag("--profile", flags.profile, "where a step's time goes");
  app.add_flag("--grouped", flags.grouped, "1 + 4 rows a user");
  app.add_flag("--run", flags.run, "a whole training run beside the bare step");
  app.add_option("--clicks", flags.clicks, "of the run's dataset")
      ->check(CLI::Range(1000, 10'000'000));
  CLI11_PARSE(app, argc, argv);
  flags.run ? retort::run_whole(flags) : retort::run(flags);
  return 0;
}
