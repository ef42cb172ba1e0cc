#include "retort/kernel/runs.h"

#include <algorithm>
#include <exception>

#include <omp.h>

namespace retort {

void in_runs(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)>& work) {
  if (count <= 0) return;
  const int64_t most = omp_in_parallel() != 0 ? 1 : omp_get_max_threads();
  const int64_t runs = std::min<int64_t>(most, count / std::max<int64_t>(1, grain));
  if (runs <= 1) return work(0, count);
  std::exception_ptr failure;
#pragma omp parallel for num_threads(static_cast <int>(runs)) schedule(static)
  for (int64_t run = 0; run < runs; ++run) {
    try {
      work(count * run / runs, count * (run + 1) / runs);
    } catch (...) {
#pragma omp critical
      if (failure == nullptr) failure = std::current_exception();
    }
  }
  if (failure != nullptr) std::rethrow_exception(failure);
}

}  // namespace retort
