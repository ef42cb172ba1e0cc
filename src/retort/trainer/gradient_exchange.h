// Makes the gradients that a rank computed on its rows those of the whole batch: dense ones summed
// in flat buckets while the backward pass goes on, rows of embedding tables gathered.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include <torch/torch.h>

#include "retort/nn/embedding.h"
#include "retort/trainer/ranks.h"

namespace retort {

/// Of the models that learn together. A step:
///   exchange.begin();
///   loss.backward();                   // full buckets leave meanwhile; not by a rank without rows
///   values = exchange.finish(values);  // every `grad` and table's `pending` is the whole sum now
/// All ranks end with the same bits. Parameters that no rank has a gradient of keep none.
/// Source: Li et al., PyTorch Distributed, VLDB 2020, sec. 3.2.3 (buckets in the order of the
/// backward pass, launched in one order on all ranks).
class GradientExchange {
 public:
  static constexpr int64_t kBucketValues = 1 << 18;  // 1 MiB

  /// `modules` in the order of their forward passes.
  GradientExchange(Ranks& ranks, const std::vector<torch::nn::Module*>& modules,
                   int64_t bucket_values = kBucketValues);
  ~GradientExchange();
  GradientExchange(const GradientExchange&) = delete;
  GradientExchange& operator=(const GradientExchange&) = delete;

  void begin();
  /// Also sums `values` over the ranks. Throws PeerLost.
  std::vector<double> finish(std::span<const double> values);

  size_t buckets() const { return buckets_.size(); }
  /// Buckets of the last step that were full, and left, before the backward pass was over.
  size_t sent_in_backward() const { return sent_in_backward_; }

 private:
  struct Parameter {
    torch::Tensor value;
    std::shared_ptr<torch::autograd::Node> accumulator;
    uintptr_t hook = 0;
    size_t bucket = 0;
    int64_t offset = 0;  // of its gradient in the bucket
    int64_t flag = 0;    // place in the bucket of "this many ranks have a gradient"
    bool ready = false;
  };
  struct Bucket {
    torch::Tensor flat;  // gradients, then a flag a parameter
    std::vector<size_t> parameters;
    size_t ready = 0;
    Ranks::Pending pending;
  };
  void add_parameter(const torch::Tensor& value, int64_t bucket_values);
  void collect(size_t parameter);
  void launch_full_buckets();
  void launch_remaining_buckets();
  void spread(Bucket& bucket);
  std::vector<double> exchange_tables(std::span<const double> values);
  void take_rows(const torch::Tensor& packed, std::span<const double> rows);

  Ranks& ranks_;
  std::vector<Parameter> parameters_;  // in the order in which backward is expected to reach them
  std::vector<Bucket> buckets_;
  std::vector<EmbeddingTable> tables_;
  size_t next_bucket_ = 0;  // those before it are on their way
  size_t sent_in_backward_ = 0;
};

}  // namespace retort
