// Transforms that need the training rows: mean and deviation, and the boundaries of buckets.
#pragma once

#include <vector>

#include "retort/dataset/builder_recipe.h"

namespace retort {

/// Fits every entry that asks for it on the clicks of the training split of `dataset`, in which
/// these features are still untransformed: all of them, or a million evenly spaced ones. Each
/// click's value is what a training row would see, from events strictly before it.
void fit_transforms(const Dataset& dataset, std::vector<FeatureEntry>& entries);

/// Mean and deviation (1 where constant) of the finite values; 0 and 1 without any.
void fit_standard(const std::vector<double>& values, Transform& transform);
/// Boundaries of about equally many values each, at most buckets - 1 and rising; sorts `values`.
void fit_buckets(std::vector<double>& values, int32_t buckets, Transform& transform);

}  // namespace retort
