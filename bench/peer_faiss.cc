#include "bench/search_peers.h"
#include <faiss/IndexFlat.h>
#include <omp.h>

extern "C" [[gnu::weak]] void openblas_set_num_threads(int threads);

namespace retort {

struct FaissFlat::State {
  faiss::IndexFlatIP index;
};

FaissFlat::FaissFlat(std::span<const float> vectors, int32_t dim)
    : state_(new State{faiss::IndexFlatIP(dim)}) {
  state_->index.add(static_cast<int64_t>(vectors.size()) / dim, vectors.data());
}

FaissFlat::~FaissFlat() = default;

std::vector<int64_t> FaissFlat::search(std::span<const float> queries, int32_t k,
                                       int threads) const {
  omp_set_num_threads(threads);
  if (openblas_set_num_threads != nullptr) openblas_set_num_threads(threads);
  const int64_t count = static_cast<int64_t>(queries.size()) / state_->index.d;
  std::vector<float> scores(static_cast<size_t>(count * k));
  std::vector<int64_t> ids(scores.size());
  state_->index.search(count, queries.data(), k, scores.data(), ids.data());
  return ids;
}

}  // namespace retort
