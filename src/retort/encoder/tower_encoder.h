// The student's towers without torch, composed of kernel/'s forward halves: what retrieve and the
// server run. Equal to the torch model to 1e-4 in fp32.
#pragma once

#include <memory>
#include <vector>

#include "retort/bundle/model_spec.h"
#include "retort/bundle/safetensors.h"
#include "retort/metric/towers.h"

namespace retort {

class TowerEncoder : public Towers {
 public:
  /// Throws DataError if a weight is missing or of the wrong shape. Keeps `weights` mapped.
  TowerEncoder(ModelSpec spec, std::shared_ptr<const SafetensorsFile> weights);
  ~TowerEncoder() override;
  int32_t dim() const override;  // without the popularity dimension
  /// Of a model with several tasks: the sum of shares_t u_t, with the shares of its spec. Throws
  /// ArgumentError on an id out of its table's range. Thread-safe.
  void encode_users(const SideBatch& users, std::span<float> out) const override;
  /// The same with a fusion of the caller's. Throws ConfigError if the model has not two tasks or
  /// fusion is not in [0, 1]. Source: RRA eq. 8.
  void encode_users(const SideBatch& users, double fusion, std::span<float> out) const;
  /// The same with shares of the caller's, one a task. Throws ConfigError as set_shares.
  void encode_users(const SideBatch& users, const std::vector<double>& shares,
                    std::span<float> out) const;
  void encode_items(const SideBatch& items, std::span<float> out) const override;

 private:
  void encode_mixed(const SideBatch& users, const ModelSpec& spec, std::span<float> out) const;
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace retort
