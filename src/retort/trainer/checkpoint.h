// A checkpoint: one safetensors file of named tensors and, in its metadata, the state of the
// loop as JSON and a digest of everything. Replaced atomically, so that a kill at any moment
// leaves the old file or the new one.
#pragma once

#include <map>
#include <string>

#include <torch/torch.h>

#include "retort/common/file.h"
#include "retort/common/json.h"

namespace retort {

using NamedTensors = std::map<std::string, torch::Tensor>;

struct Checkpoint {
  NamedTensors tensors;  // on the CPU once loaded; float32, float64 or int64
  Json state;
};

/// Writes atomically; tensors may be on any device. Throws IoError.
void save_checkpoint(const fs::path& path, const Checkpoint& checkpoint);
/// Copies of the tensors, on the CPU. Throws DataError naming the file if it is cut, altered or
/// no checkpoint.
Checkpoint load_checkpoint(const fs::path& path);

/// `tensors` under new names: `prefix` before each.
NamedTensors add_prefix(const NamedTensors& tensors, const std::string& prefix);
/// Those whose name begins with `prefix`, without it.
NamedTensors take_prefix(const NamedTensors& tensors, const std::string& prefix);

}  // namespace retort
