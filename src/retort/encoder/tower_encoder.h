// The student's towers without torch, composed of kernel/'s forward halves: what retrieve and the
// server run. Equal to the torch model to 1e-4 in fp32.
#pragma once

#include <memory>

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
  /// Throws ArgumentError on an id out of its table's range. Thread-safe.
  void encode_users(const SideBatch& users, std::span<float> out) const override;
  void encode_items(const SideBatch& items, std::span<float> out) const override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace retort
