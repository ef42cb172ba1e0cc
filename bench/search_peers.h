// The other libraries that bench_search compares with: hnswlib with its own distances, compiled for
// this very machine, and Faiss as the system ships it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace retort {

/// hnswlib::HierarchicalNSW over hnswlib::InnerProductSpace, compiled -O3 -march=native.
class NativeHnsw {
 public:
  /// Builds on `threads` threads.
  NativeHnsw(std::span<const float> vectors, int32_t dim, int32_t m, int32_t ef_construction,
             int threads);
  ~NativeHnsw();
  void set_ef(int32_t ef);
  std::vector<int32_t> search(std::span<const float> query, int32_t k) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// faiss::IndexFlatIP.
class FaissFlat {
 public:
  FaissFlat(std::span<const float> vectors, int32_t dim);
  ~FaissFlat();
  /// Ids of the k best of each query, on `threads` threads.
  std::vector<int64_t> search(std::span<const float> queries, int32_t k, int threads) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace retort
