// Compiled with -O3 -march=native. The namespace is renamed so that the linker cannot mix this code
// with that of the rooms, which is compiled for any processor.
#include <immintrin.h>
#define hnswlib hnswlib_native
#define cpuid hnswlib_native_cpuid
#define xgetbv hnswlib_native_xgetbv
#define AVXCapable hnswlib_native_avx_capable
#define AVX512Capable hnswlib_native_avx512_capable
#pragma GCC diagnostic ignored "-Wall"
#pragma GCC diagnostic ignored "-Wextra"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wreorder"
#include <atomic>
#include <thread>

#include "bench/search_peers.h"
#include <hnswlib/hnswlib.h>

namespace retort {

struct NativeHnsw::State {
  State(size_t dim, size_t items, size_t m, size_t ef_construction)
      : space(dim), graph(&space, items, m, ef_construction) {}
  hnswlib::InnerProductSpace space;
  hnswlib::HierarchicalNSW<float> graph;
};

NativeHnsw::NativeHnsw(std::span<const float> vectors, int32_t dim, int32_t m,
                       int32_t ef_construction, int threads) {
  const size_t width = static_cast<size_t>(dim), items = vectors.size() / width;
  state_ = std::make_unique<State>(width, items, static_cast<size_t>(m),
                                   static_cast<size_t>(ef_construction));
  std::atomic<size_t> next = 1;
  const auto work = [&] {
    for (size_t item = next++; item < items; item = next++)
      state_->graph.addPoint(vectors.data() + item * width, item);
  };
  state_->graph.addPoint(vectors.data(), 0);
  std::vector<std::thread> helpers;
  for (int i = 1; i < threads; ++i) helpers.emplace_back(work);
  work();
  for (std::thread& helper : helpers) helper.join();
}

NativeHnsw::~NativeHnsw() = default;

void NativeHnsw::set_ef(int32_t ef) { state_->graph.setEf(static_cast<size_t>(ef)); }

std::vector<int32_t> NativeHnsw::search(std::span<const float> query, int32_t k) const {
  auto found = state_->graph.searchKnn(query.data(), static_cast<size_t>(k));
  std::vector<int32_t> items(found.size());
  for (size_t at = found.size(); at > 0; --at, found.pop())
    items[at - 1] = static_cast<int32_t>(found.top().second);
  return items;
}

}  // namespace retort
