// Live items beside a bundle: a search among 10,000 of width 128, and how long a put takes until
// the item is found, alone and while others search.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/scratch_folder.h"
#include "tests/support/tiny_dataset.h"
#include <benchmark/benchmark.h>

#include "retort/bundle/bundle_writer.h"
#include "retort/bundle/model_weights.h"
#include "retort/bundle/safetensors.h"
#include "retort/common/log.h"
#include "retort/common/progress.h"
#include "retort/common/rng.h"
#include "retort/server/feature_store.h"
#include "retort/server/live_index.h"

namespace retort {
namespace {

constexpr int kItems = 10'000;
constexpr int64_t kPuts = 1000;

ModelSpec paper_size(const Schema& schema) {
  ModelSpec spec;
  spec.user = {"user", make_input(schema, Side::kUser, "user", 30, false), {512, 256, 128}};
  spec.item = {"item", make_input(schema, Side::kItem, "item", 30, false), {512, 256, 128}};
  return spec;
}

void write_weights(const ModelSpec& spec, const fs::path& path) {
  std::map<std::string, std::vector<float>> values;
  std::map<std::string, TensorView> views;
  const auto add = [&](const std::string& name, const std::vector<int64_t>& shape) {
    int64_t size = 1;
    for (const int64_t extent : shape) size *= extent;
    std::vector<float>& weight = values[name];
    const Rng rng(1, name);
    for (int64_t i = 0; i < size; ++i)
      weight.push_back(0.05f * static_cast<float>(rng.normal(static_cast<uint64_t>(i))));
    views[name] = {"F32", shape, std::as_bytes(std::span(weight))};
  };
  for (const TowerSpec* tower : {&spec.user, &spec.item}) {
    for (const FieldSpec& field : table_fields(*tower))
      add(field.table + ".weight", {field.rows, field.dim});
    for (const WeightShape& weight : layer_weights(*tower)) add(weight.name, weight.shape);
  }
  write_safetensors(path, views);
}

/// A bundle of 200 items, its tower, and as many live items as asked for.
struct Live {
  explicit Live(bool on_disk, int items) {
    set_log_level(LogLevel::kSilent);
    Progress::set_enabled(false);
    random_tiny_dataset(1, 20, 200, 2000).write(scratch / "dataset");
    const Dataset dataset(scratch / "dataset");
    BundleContents contents;
    contents.spec = paper_size(dataset.schema());
    contents.weights = scratch / "weights.safetensors";
    write_weights(contents.spec, contents.weights);
    const TowerEncoder towers(contents.spec,
                              std::make_shared<const SafetensorsFile>(contents.weights));
    contents.dataset = &dataset;
    contents.towers = &towers;
    contents.model = "bench";
    bundle = std::make_unique<Bundle>(publish_bundle(contents, scratch / "bundles").path);
    encoder = std::make_unique<TowerEncoder>(bundle->spec(), bundle->weights());
    live = std::make_unique<LiveItems>(on_disk ? scratch / "live" : fs::path());
    std::vector<LiveItem> bulk;
    for (int i = 0; i < items; ++i) bulk.push_back(item(i));
    live->put(bulk);
    index = std::make_unique<LiveIndex>(*bundle, *encoder, *live);
    const Rng rng(7, "query");
    for (int64_t i = 0; i < bundle->vector_dim(); ++i)
      query.push_back(static_cast<float>(rng.normal(static_cast<uint64_t>(i))));
  }
  static LiveItem item(int i) {
    static const char* const categories[] = {"news", "sport", "music", "food"};
    return {fmt::format("live{}", i),
            {{"category", categories[i % 4]},
             {"tags", {"t1", fmt::format("t{}", 1 + i % 5)}},
             {"length", i % 97},
             {"clicks_1h", i % 50},
             {"popularity_clicks", i % 100}}};
  }

  ScratchFolder scratch;
  std::unique_ptr<Bundle> bundle;
  std::unique_ptr<TowerEncoder> encoder;
  std::unique_ptr<LiveItems> live;
  std::unique_ptr<LiveIndex> index;
  std::vector<float> query;
};

void search(benchmark::State& state, const std::string& where) {
  const Live live(false, kItems);
  for (auto _ : state) benchmark::DoNotOptimize(live.index->search(live.query, 100, where, {}));
}
BENCHMARK_CAPTURE(search, all, "")->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(search, where, "category = 'sport' and tags = 't2'")
    ->Unit(benchmark::kMicrosecond);

/// Puts one item after another among 10,000, each with a search of 100 after it, in which it takes
/// part; `searchers` threads search all the while.
void put_and_search(benchmark::State& state, bool on_disk, int searchers) {
  Live live(on_disk, kItems);
  std::atomic<bool> done = false;
  std::vector<std::thread> threads;
  for (int t = 0; t < searchers; ++t)
    threads.emplace_back([&] {
      while (!done) live.index->search(live.query, 100, "", {});
    });
  std::vector<double> times;
  int next = kItems;
  for (auto _ : state) {
    const LiveItem item = Live::item(next++);
    const auto begin = std::chrono::steady_clock::now();
    live.live->put(item);
    benchmark::DoNotOptimize(live.index->search(live.query, 100, "", {}));
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    const auto hits = live.index->search(live.query, kItems + kPuts, "", {});
    if (std::none_of(hits.begin(), hits.end(),
                     [&](const ItemOverlay::Hit& hit) { return hit.id == item.id; }))
      state.SkipWithError("an item that was put is not found");
    times.push_back(took.count());
    state.SetIterationTime(took.count());
  }
  done = true;
  for (std::thread& thread : threads) thread.join();
  std::sort(times.begin(), times.end());
  state.counters["p50_ms"] = 1e3 * times[times.size() / 2];
  state.counters["p99_ms"] = 1e3 * times[times.size() * 99 / 100];
  state.counters["max_ms"] = 1e3 * times.back();
}
BENCHMARK_CAPTURE(put_and_search, memory, false, 0)
    ->Unit(benchmark::kMillisecond)
    ->UseManualTime()
    ->Iterations(kPuts);
BENCHMARK_CAPTURE(put_and_search, disk, true, 0)
    ->Unit(benchmark::kMillisecond)
    ->UseManualTime()
    ->Iterations(kPuts);
BENCHMARK_CAPTURE(put_and_search, disk_while_four_search, true, 4)
    ->Unit(benchmark::kMillisecond)
    ->UseManualTime()
    ->Iterations(kPuts);

/// An index made anew, as for the next bundle of a swap.
void make_index(benchmark::State& state) {
  const Live live(true, kItems);
  for (auto _ : state) benchmark::DoNotOptimize(LiveIndex(*live.bundle, *live.encoder, *live.live));
}
BENCHMARK(make_index)->Unit(benchmark::kMillisecond);

/// A store of users in a scratch folder, or the Redis server that RETORT_REDIS names.
std::unique_ptr<FeatureStore> open_users(benchmark::State& state, bool redis,
                                         const ScratchFolder& scratch) {
  const char* url = std::getenv("RETORT_REDIS");
  if (!redis) return open_feature_store("lmdb:" + (scratch / "users").string());
  if (url != nullptr) return open_feature_store(url);
  state.SkipWithError("RETORT_REDIS names no server, such as redis://127.0.0.1:6379");
  return nullptr;
}

void append_event(benchmark::State& state, bool redis) {
  const ScratchFolder scratch;
  const auto users = open_users(state, redis, scratch);
  int64_t n = 0;
  for (auto _ : state) {
    if (!users->append_event(fmt::format("u{}", n % 100), {fmt::format("i{}", n), n}))
      state.SkipWithError("the store is not available");
    ++n;
  }
}
BENCHMARK_CAPTURE(append_event, lmdb, false)->Unit(benchmark::kMicrosecond)->UseRealTime();
BENCHMARK_CAPTURE(append_event, redis, true)->Unit(benchmark::kMicrosecond)->UseRealTime();

/// Users with 200 events each, `range` of them at once.
void find_users(benchmark::State& state, bool redis) {
  const ScratchFolder scratch;
  const auto users = open_users(state, redis, scratch);
  std::vector<std::string> keys;
  for (int64_t user = 0; users != nullptr && user < state.range(0); ++user) {
    keys.push_back(fmt::format("full{}", user));
    for (int64_t n = 0; n < FeatureStore::kEvents; ++n)
      users->append_event(keys.back(), {fmt::format("item{}", n), n, true, 30});
  }
  for (auto _ : state) benchmark::DoNotOptimize(users->find(keys));
}
BENCHMARK_CAPTURE(find_users, lmdb, false)
    ->Unit(benchmark::kMicrosecond)
    ->UseRealTime()
    ->Arg(1)
    ->Arg(16);
BENCHMARK_CAPTURE(find_users, redis, true)
    ->Unit(benchmark::kMicrosecond)
    ->UseRealTime()
    ->Arg(1)
    ->Arg(16);

}  // namespace
}  // namespace retort

BENCHMARK_MAIN();
