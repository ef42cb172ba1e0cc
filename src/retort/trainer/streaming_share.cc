#include "retort/trainer/streaming_share.h"

#include "retort/common/error.h"

namespace retort {

StreamingShare::StreamingShare(int64_t items, double rate, torch::Device device) : rate_(rate) {
  const auto options = torch::TensorOptions(torch::kFloat64).device(device);
  last_ = torch::zeros({items}, options);
  interval_ = torch::full({items}, static_cast<double>(items), options);
}

void StreamingShare::update(const torch::Tensor& places, int64_t step) {
  const torch::Tensor items = std::get<0>(torch::_unique(places));
  const torch::Tensor before = last_.index_select(0, items);
  const torch::Tensor passed = static_cast<double>(step) - before;
  const torch::Tensor mean = interval_.index_select(0, items);
  // The first appearance begins the estimate, later ones move it.
  const torch::Tensor moved = torch::where(before > 0, (1 - rate_) * mean + rate_ * passed, passed);
  interval_.index_copy_(0, items, moved);
  last_.index_fill_(0, items, static_cast<double>(step));
}

torch::Tensor StreamingShare::log_q() const { return -interval_.log().to(torch::kFloat32); }

std::map<std::string, torch::Tensor> StreamingShare::state() const {
  return {{"last", last_}, {"interval", interval_}};
}

void StreamingShare::load_state(const std::map<std::string, torch::Tensor>& state) {
  for (auto& [name, tensor] : this->state()) {
    const auto at = state.find(name);
    if (at == state.end() || at->second.sizes() != tensor.sizes())
      fail<DataError>("checkpoint: the streaming share's '{}' is missing or of another size", name);
    tensor.copy_(at->second);
  }
}

}  // namespace retort
