#include "retort/nn/huge_tensor.h"

#include <sys/mman.h>

#include "retort/common/error.h"
#include "retort/common/huge_pages.h"

namespace retort {

torch::Tensor huge_zeros(at::IntArrayRef sizes, torch::ScalarType type) {
  constexpr size_t kLeast = size_t{4} << 20;
  size_t bytes = c10::elementSize(type);
  for (const int64_t size : sizes) bytes *= static_cast<size_t>(size);
  if (bytes < kLeast) return torch::zeros(sizes, type);
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    fail<Error>(
        "no memory for a table of {:.1f} GiB; make its vocabulary smaller (min_count, hash), "
        "its embedding narrower, or embedding_storage = 'bf16'",
        static_cast<double>(bytes) / (1 << 30));
  use_huge_pages(memory, bytes, false);
  return torch::from_blob(
      memory, sizes, [bytes](void* at) { ::munmap(at, bytes); }, torch::TensorOptions(type));
}

}  // namespace retort
