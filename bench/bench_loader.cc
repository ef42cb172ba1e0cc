// Rows a second of Loader::load, with every kind of feature, as training reads them.
#include "tests/support/scratch_folder.h"
#include "tests/support/tiny_dataset.h"
#include <benchmark/benchmark.h>

#include "retort/dataset/loader.h"

namespace retort {
namespace {

const Dataset& feed() {  // 5,000 users, 3,000 items, 200,000 clicks
  static const ScratchFolder folder;
  static const Dataset dataset = [] {
    random_tiny_dataset(1, 5000, 3000, 200'000).write(folder / "d");
    return Dataset(folder / "d");
  }();
  return dataset;
}

void load(benchmark::State& state, const std::string& sampler, bool reject_clicked) {
  LoaderOptions options;
  options.sampler = sampler;
  options.reject_clicked = reject_clicked;
  if (sampler == "trailing") options.sampling.window = 86'400'000'000;
  const Loader loader(feed(), options);
  Batch batch;
  int64_t index = 0, rows = 0;
  for (auto _ : state) {
    loader.load(index / loader.batches(), index % loader.batches(), batch);
    rows += batch.rows();
    ++index;
  }
  state.counters["rows/s"] =
      benchmark::Counter(static_cast<double>(rows), benchmark::Counter::kIsRate);
}
BENCHMARK_CAPTURE(load, frequency, "frequency", false)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(load, frequency_rejecting, "frequency", true)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(load, trailing, "trailing", false)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace retort

BENCHMARK_MAIN();
