// The torch models behind the torch-free interfaces of judging: spans in, spans out, no
// gradients. One caller at a time.
#pragma once

#include <memory>

#include "retort/metric/towers.h"
#include "retort/model/models.h"

namespace retort {

/// A student as Towers. Rows are encoded in pieces, so that memory stays bounded.
class TorchTowers : public Towers {
 public:
  TorchTowers(std::shared_ptr<CandidateModel> model, const Schema& schema, torch::Device device);
  int32_t dim() const override;
  void encode_users(const SideBatch& users, std::span<float> out) const override;
  void encode_items(const SideBatch& items, std::span<float> out) const override;

 private:
  std::shared_ptr<CandidateModel> model_;
  DenseWidths widths_;
  torch::Device device_;
};

/// A teacher as PairScorer: the logits of its tasks.
class TorchPairScorer : public PairScorer {
 public:
  TorchPairScorer(std::shared_ptr<RankingModel> model, const Schema& schema, torch::Device device);
  /// Throws ArgumentError on an unknown task; click, read, read_given_click and dwm every model
  /// answers, if need be by the nearest that it has.
  void score(const Batch& batch, std::string_view task, std::span<float> out) const override;

 private:
  std::shared_ptr<RankingModel> model_;
  DenseWidths widths_;
  torch::Device device_;
};

/// Copies a float tensor of any device into `out`; throws ArgumentError if the sizes differ.
void copy_floats(const torch::Tensor& from, std::span<float> out);

}  // namespace retort
