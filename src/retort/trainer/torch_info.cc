#include "retort/trainer/torch_info.h"

#include <torch/torch.h>

#include "retort/loss/losses.h"
#include "retort/model/models.h"

namespace retort {

TorchInfo torch_info() {
  return {.version = TORCH_VERSION,
          .threads = torch::get_num_threads(),
          .cuda = torch::cuda::is_available()};
}

void set_torch_threads(int threads) {
  if (threads > 0) torch::set_num_threads(threads);
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
