// What rank 0 read or decided, brought to the other ranks.
#pragma once

#include "retort/trainer/checkpoint.h"
#include "retort/trainer/loop_state.h"
#include "retort/trainer/ranks.h"
#include "retort/trainer/train_recipe.h"

namespace retort {

/// Overwrites the state, or the live tensors of a learner, by those of rank 0.
void share(Ranks& ranks, LoopState& state);
void share(Ranks& ranks, const NamedTensors& tensors);

/// Throws ConfigError unless all ranks train the same recipe and seed on the same dataset.
void check_same_job(Ranks& ranks, const Json& recipe, const Dataset& dataset, uint64_t seed);

/// The rank's part of each training batch.
LoaderOptions part_of(LoaderOptions rows, const Ranks& ranks);

/// `device`, or where that is CUDA without a number and there are several ranks the GPU of the
/// rank's number on its machine.
std::string device_of_rank(const std::string& device, const Launch& launch);

}  // namespace retort
