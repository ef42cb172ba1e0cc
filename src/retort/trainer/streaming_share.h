// How often each item comes, estimated while training from the steps between its appearances: the
// logQ of a stream whose counts nobody knows beforehand.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include <torch/torch.h>

namespace retort {

/// B_i, the mean number of steps between two batches that hold item i, moves by `rate` to each new
/// interval; q_i = 1 / B_i is the share of batches that hold it.
/// Source: Yi et al., "Sampling-bias-corrected neural modeling for large corpus item
/// recommendations", RecSys 2019, algorithm 2, with an array instead of a hash.
/// Shapes: [N] items.
class StreamingShare {
 public:
  /// An item that has not come yet has the interval `items`.
  StreamingShare(int64_t items, double rate, torch::Device device);
  /// The batch of `step` (from 1) holds `places` [R] int64 in [0, N), repeats count once.
  void update(const torch::Tensor& places, int64_t step);
  torch::Tensor log_q() const;  // [N] fp32

  /// For checkpoints, live.
  std::map<std::string, torch::Tensor> state() const;
  /// Throws DataError if a tensor is missing or of another size.
  void load_state(const std::map<std::string, torch::Tensor>& state);

 private:
  double rate_;
  torch::Tensor last_;      // A [N] float64: the step of the last appearance, 0 = none yet
  torch::Tensor interval_;  // B [N] float64
};

}  // namespace retort
