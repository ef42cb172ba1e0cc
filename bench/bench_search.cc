// Search over 100,000 vectors of width 128: exact and HNSW, with and without a filter.
#include <vector>

#include <benchmark/benchmark.h>

#include "retort/common/rng.h"
#include "retort/common/thread_pool.h"
#include "retort/index/exact_index.h"
#include "retort/index/hnsw_index.h"
#include "retort/kernel/dense.h"

namespace retort {
namespace {

constexpr int64_t kItems = 100'000, kQueries = 200;
constexpr int32_t kDim = 128, kTop = 100;

/// Vectors around 200 centres, as towers give them: pure noise has no neighbours to find.
std::vector<float> clustered(int64_t rows, const char* stream) {
  const Rng centres(1, "centres"), noise(1, stream);
  std::vector<float> values(static_cast<size_t>(rows * kDim));
  for (size_t i = 0; i < values.size(); ++i) {
    const uint64_t row = i / kDim;
    const uint64_t centre = noise.below(200, (uint64_t{1} << 40) + row);
    values[i] = static_cast<float>(centres.normal(centre * kDim + i % kDim) + noise.normal(i));
  }
  return values;
}

const std::vector<float>& items() {
  static const std::vector<float> values = clustered(kItems, "items");
  return values;
}
const std::vector<float>& queries() {
  static const std::vector<float> values = clustered(kQueries, "queries");
  return values;
}

ItemFilter every(int64_t step) {
  if (step == 1) return {};
  ItemFilter filter = ItemFilter::none(kItems);
  for (int64_t item = 0; item < kItems; item += step) filter.allow(static_cast<int32_t>(item));
  return filter;
}

void search(benchmark::State& state, const ItemIndex& index) {
  set_threads(1);
  const ItemFilter filter = every(state.range(0));
  int64_t q = 0;
  for (auto _ : state) {
    const auto query =
        std::span(queries()).subspan(static_cast<size_t>(q++ % kQueries * kDim), kDim);
    benchmark::DoNotOptimize(index.search(query, kTop, filter));
  }
  state.SetLabel(kernel_isa());
}

/// Argument: every n-th item is allowed.
void exact_one(benchmark::State& state) { search(state, ExactIndex(items(), kDim)); }
BENCHMARK(exact_one)->Arg(1)->Arg(10)->Arg(1000)->Unit(benchmark::kMillisecond);

void exact_batch(benchmark::State& state) {
  set_threads(static_cast<int>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(exact_top_k(items(), queries(), kDim, kTop));
  state.SetItemsProcessed(state.iterations() * kQueries);
}
BENCHMARK(exact_batch)->Arg(1)->Arg(2)->Unit(benchmark::kMillisecond)->UseRealTime();

void hnsw_one(benchmark::State& state) {
  static HnswIndex index;
  if (index.size() == 0) {
    set_threads(0);
    index.build(items(), kDim);
  }
  state.counters["recall"] = recall_against_exact(index, items(), queries(), kDim, kTop);
  search(state, index);
}
BENCHMARK(hnsw_one)->Arg(1)->Arg(2)->Arg(10)->Arg(1000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace retort

BENCHMARK_MAIN();
