#include "retort/trainer/shared_state.h"

#include "retort/trainer/run_folder.h"

namespace retort {

void share(Ranks& ranks, LoopState& state) {
  if (ranks.alone()) return;
  const std::string text = ranks.broadcast(to_json(state).dump());
  if (!ranks.first()) state = loop_state_from_json(Json::parse(text), "the state of rank 0");
}

void share(Ranks& ranks, const NamedTensors& tensors) {
  for (const auto& [name, tensor] : tensors) ranks.broadcast(tensor);
}

void check_same_job(Ranks& ranks, const Json& recipe, const Dataset& dataset, uint64_t seed) {
  if (ranks.alone()) return;
  ranks.check_same(recipe.dump(), "recipe");
  ranks.check_same(std::to_string(seed), "seed");
  ranks.check_same(dataset_digest(dataset), "dataset");
}

LoaderOptions part_of(LoaderOptions rows, const Ranks& ranks) {
  rows.part = ranks.rank();
  rows.parts = ranks.size();
  return rows;
}

std::string device_of_rank(const std::string& device, const Launch& launch) {
  const bool any = device == "cuda" || (device == "auto" && torch::cuda::is_available());
  return launch.size > 1 && any ? fmt::format("cuda:{}", launch.local_rank) : device;
}

}  // namespace retort
