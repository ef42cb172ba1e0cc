// The whole catalogue as tensors, for losses that compare each row's item with all others.
#pragma once

#include <cstdint>
#include <vector>

#include <torch/torch.h>

#include "retort/dataset/dataset.h"
#include "retort/nn/tensor_batch.h"

namespace retort {

/// The dataset's candidates in order.
class CatalogueRows {
 public:
  /// log_q: log_share (metric/catalogue.h) of the training rows, impressions or clicks.
  CatalogueRows(const Dataset& dataset, bool impressions, torch::Device device);
  /// An item feature depends on the moment: a step would need the catalogue at each of its rows, so
  /// that it compares the items of its own rows only.
  bool moving() const { return moving_; }
  int64_t size() const { return log_q_.size(0); }        // N
  const SideTensors& items() const { return items_; }    // [N]; of moving items none
  const torch::Tensor& log_q() const { return log_q_; }  // [N] fp32
  /// Place of each item among the candidates, -1 if it is none. @return [R] int64
  torch::Tensor places(const std::vector<int32_t>& items) const;

 private:
  bool moving_;
  SideTensors items_;
  torch::Tensor log_q_;
  std::vector<int64_t> place_;  // [items of the dataset]
  torch::Device device_;
};

}  // namespace retort
