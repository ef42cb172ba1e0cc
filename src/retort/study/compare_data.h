// What a comparison needs before anything is trained: worlds and datasets of its data recipes.
#pragma once

#include <string>
#include <vector>

#include "retort/common/file.h"
#include "retort/common/json.h"
#include "retort/study/compare_recipe.h"

namespace retort {

/// A data recipe of the plan, resolved: with the plan's preset for data, else with that of all
/// where it has it; `sets` as --set.
Json data_recipe(const ComparePlan& plan, const std::string& data,
                 const std::vector<std::string>& sets = {});
/// out/world, simulated unless an earlier call did; empty if the recipe's log is not simulated.
/// Throws ConfigError if what is there was made with other values of [world].
fs::path make_world(const Json& data_recipe, const fs::path& out);
/// out/dataset, ingested from the log in `from` unless an earlier call did. Throws likewise.
fs::path make_dataset(const Json& data_recipe, const fs::path& from, const fs::path& out);

}  // namespace retort
