// The joint DMTL step at the published sizes: batch 2048, 8 user and 6 item fields of 100,000 rows,
// width 30. Prints one line as bench/peers/dmtl_torch.py does; batches are made before the clock
// starts. --grouped: 1 + 4 rows share a user and a moment, as training has them.
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
#include "retort/trainer/learner.h"
#include "retort/trainer/torch_info.h"

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
  bool grouped = false, profile = false;
};

Schema many_fields() {
  Schema schema;
  for (int32_t field = 0; field < kUserFields + kItemFields; ++field) {
    FeatureSpec spec;
    spec.name = "field" + std::to_string(field);
    spec.side = field < kUserFields ? Side::kUser : Side::kItem;
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
  CLI11_PARSE(app, argc, argv);
  retort::run(flags);
  return 0;
}
