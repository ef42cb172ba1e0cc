// What libtorch offers here and the tables that are made of it, as plain data: for rooms that see
// no torch header.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace retort {

struct TorchInfo {
  std::string version;
  int threads = 0;
  bool cuda = false;
};
TorchInfo torch_info();

/// Threads of libtorch's own operations (0 leaves what libtorch chose); the BLAS below it gets one.
void set_torch_threads(int threads);

struct TorchEntry {
  std::string_view name, summary, source;
};
/// Rows of the tables of candidate and ranking models, and of losses.
std::vector<TorchEntry> model_entries();
std::vector<TorchEntry> loss_entries();

}  // namespace retort
