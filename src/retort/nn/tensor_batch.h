// A Batch as tensors on a device.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <torch/torch.h>

#include "retort/dataset/batch.h"
#include "retort/dataset/schema.h"

namespace retort {

/// Ids of one sparse feature of R rows in compressed rows.
struct SparseTensor {
  torch::Tensor ids;      // [nnz] int64
  torch::Tensor offsets;  // [R + 1] int64
  /// What to_tensors knows from the host's arrays, so that a lookup on a GPU need not ask for it:
  bool single = false;  // every row holds exactly one id; `offsets` is then not looked at
  int64_t max_id = -1;  // largest id; -1: unknown, the lookup finds it
  int64_t rows() const { return offsets.size(0) - 1; }
};

/// What a module has computed of a side's rows, for others that share the module: within a step
/// the second gets what the first has made. Keys: the module, and whether gradients are recorded.
using SideMemo = std::map<std::pair<const void*, bool>, std::vector<torch::Tensor>>;

struct SideTensors {
  int64_t rows = 0;
  std::vector<SparseTensor> sparse;
  torch::Tensor dense;  // [R, dense_width] float32
  std::shared_ptr<SideMemo> memo = std::make_shared<SideMemo>();
};

struct TensorBatch {
  SideTensors users;                       // [G]
  SideTensors items;                       // [R]
  SideTensors pairs;                       // [R]
  torch::Tensor user_of_row;               // [R] int64, row of users
  torch::Tensor click, read, seconds;      // [R] float32
  torch::Tensor known;                     // [R] float32, 1 where the seconds are known
  std::vector<torch::Tensor> labels;       // [R] float32 each, as Batch::labels
  torch::Tensor logged_click, logged_dwm;  // [R] float32; undefined without logged scores
  torch::Tensor snapshot;                  // [R] int64, the model that made them; -1: unknown
};

/// Throws DataError on a negative id, ArgumentError on arrays whose sizes do not fit.
SideTensors to_tensors(const SideBatch& side, int32_t dense_width, torch::Device device);
/// `widths`: dense widths of the user, item and pair side.
struct DenseWidths {
  int32_t user = 0, item = 0, pair = 0;
};
DenseWidths dense_widths(const Schema& schema);
TensorBatch to_tensors(const Batch& batch, const DenseWidths& widths, torch::Device device);

/// "auto" (CUDA where there is one, else CPU), "cpu", "cuda", "cuda:1". Throws ConfigError.
torch::Device parse_device(const std::string& name);

}  // namespace retort
