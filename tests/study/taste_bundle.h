// Bundles of simulated worlds whose order is known: they rank by the truth's vectors, or by noise.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "retort/common/file.h"
#include "retort/common/json.h"
#include "retort/dataset/dataset.h"

namespace retort {

/// Features that are the ids of users and items alone, for the recipe of a dataset.
Json id_features();

/// Vectors of 16 by the world's numbers, and how keys become numbers.
struct TasteVectors {
  std::function<std::optional<int32_t>(std::string_view)> find_user, find_item;
  const float* users;
  const float* items;
};

/// Publishes scratch/NAME: the inner products of `taste`, of random vectors if null. `dataset` has
/// the features above.
void publish_taste(const Dataset& dataset, const fs::path& scratch, const std::string& name,
                   const TasteVectors* taste, std::optional<int64_t> moment,
                   std::optional<int64_t> trained_until = {});

}  // namespace retort
