// Finds what made a loss infinite or NaN, in words for the message that stops the run.
#pragma once

#include <string>

#include "retort/dataset/batch.h"
#include "retort/dataset/schema.h"
#include "retort/trainer/checkpoint.h"

namespace retort {

/// "feature 'clicks_1h' is inf in row 17 of the batch" for the first dense value or number of
/// seconds that is not finite; "" if all are.
std::string nonfinite_input(const Batch& batch, const Schema& schema);

/// "row 3 of the student's 'user.user_id.weight' is not finite" for the first such tensor (the
/// name of an embedding table carries its feature); "" if there is none.
std::string nonfinite_weight(const NamedTensors& weights);

}  // namespace retort
