#include "retort/trainer/torch_info.h"

#include <dlfcn.h>
#include <malloc.h>
#include <torch/torch.h>

#include "retort/loss/losses.h"
#include "retort/model/models.h"

namespace retort {

TorchInfo torch_info() {
  return {.version = TORCH_VERSION,
          .threads = torch::get_num_threads(),
          .cuda = torch::cuda::is_available()};
}

// OpenBLAS keeps threads of its own beside libtorch's. They wait by yielding in a loop, so that on
// a busy machine a step of small products takes ten times as long; one thread a product is also
// quicker on two free cores.
//
// Tensors of a step are given back to the heap, not to the system: fresh pages cost a tenth of it.
void set_torch_threads(int threads) {
  constexpr int kLargest = 1 << 30;
  ::mallopt(M_MMAP_THRESHOLD, kLargest);
  ::mallopt(M_TRIM_THRESHOLD, kLargest);
  if (threads > 0) torch::set_num_threads(threads);
  using SetThreads = void (*)(int);
  if (void* found = ::dlsym(RTLD_DEFAULT, "openblas_set_num_threads"))
    reinterpret_cast<SetThreads>(found)(1);
}

std::vector<TorchEntry> model_entries() {
  std::vector<TorchEntry> rows;
  for (const auto& entry : candidate_models())
    rows.push_back({entry.name, entry.summary, entry.source});
  for (const auto& entry : ranking_models())
    rows.push_back({entry.name, entry.summary, entry.source});
  return rows;
}

std::vector<TorchEntry> loss_entries() {
  std::vector<TorchEntry> rows;
  for (const auto& entry : losses()) rows.push_back({entry.name, entry.summary, entry.source});
  return rows;
}

}  // namespace retort
