#include "retort/encoder/tower_encoder.h"

#include <utility>

#include "retort/common/error.h"
#include "retort/encoder/tower.h"

namespace retort {

struct TowerEncoder::State {
  State(ModelSpec model, std::shared_ptr<const SafetensorsFile> file)
      : spec(std::move(model)),
        weights(std::move(file)),
        user(spec.user, *weights),
        item(spec.item, *weights) {}
  ModelSpec spec;
  std::shared_ptr<const SafetensorsFile> weights;
  Tower user, item;
};

TowerEncoder::TowerEncoder(ModelSpec spec, std::shared_ptr<const SafetensorsFile> weights) {
  check(spec.user.dim() == spec.item.dim() && spec.dim() > 0,
        "towers of width {} and {} have no inner product", spec.user.dim(), spec.item.dim());
  check(!spec.item.mixture && (!spec.user.mixture || spec.user.mixture->tasks.size() >= 2),
        "a mixture of two tasks or more is the user's alone");
  check(!spec.item.gate, "a gate is the user's alone");
  state_ = std::make_unique<State>(std::move(spec), std::move(weights));
}

TowerEncoder::~TowerEncoder() = default;

int32_t TowerEncoder::dim() const { return state_->spec.dim(); }

void TowerEncoder::encode_users(const SideBatch& users, std::span<float> out) const {
  if (state_->spec.user.mixture)
    encode_mixed(users, state_->spec, out);
  else
    state_->user.encode(users, {}, out);
}

void TowerEncoder::encode_users(const SideBatch& users, double fusion, std::span<float> out) const {
  check_fusion(state_->spec, fusion, "fusion");
  ModelSpec spec = state_->spec;
  spec.fusion = fusion;
  encode_mixed(users, spec, out);
}

void TowerEncoder::encode_users(const SideBatch& users, const std::vector<double>& shares,
                                std::span<float> out) const {
  ModelSpec spec = state_->spec;
  set_shares(spec, shares, "shares");
  encode_mixed(users, spec, out);
}

void TowerEncoder::encode_mixed(const SideBatch& users, const ModelSpec& spec,
                                std::span<float> out) const {
  const std::vector<double> wide = task_shares(spec);
  const std::vector<float> shares(wide.begin(), wide.end());
  state_->user.encode(users, shares, out);
}

void TowerEncoder::encode_items(const SideBatch& items, std::span<float> out) const {
  state_->item.encode(items, {}, out);
}

}  // namespace retort
