#include "retort/encoder/tower_encoder.h"

#include <array>
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
  check(!spec.item.mixture && (!spec.user.mixture || spec.user.mixture->tasks.size() == 2),
        "a mixture of two tasks is the user's alone");
  state_ = std::make_unique<State>(std::move(spec), std::move(weights));
}

TowerEncoder::~TowerEncoder() = default;

int32_t TowerEncoder::dim() const { return state_->spec.dim(); }

void TowerEncoder::encode_users(const SideBatch& users, std::span<float> out) const {
  if (state_->spec.user.mixture)
    encode_users(users, state_->spec.fusion, out);
  else
    state_->user.encode(users, {}, out);
}

void TowerEncoder::encode_users(const SideBatch& users, double fusion, std::span<float> out) const {
  check_fusion(state_->spec, fusion, "fusion");
  const std::array shares{static_cast<float>(fusion), static_cast<float>(1 - fusion)};
  state_->user.encode(users, shares, out);
}

void TowerEncoder::encode_items(const SideBatch& items, std::span<float> out) const {
  state_->item.encode(items, {}, out);
}

}  // namespace retort
