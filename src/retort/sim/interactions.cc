#include "retort/sim/interactions.h"

#include <array>
#include <utility>

#include "retort/common/file.h"
#include "retort/sim/world_key.h"

namespace retort {
namespace {

using C = InteractionConstants;
constexpr std::array<std::pair<const char*, double C::*>, 9> kConstants{{
    {"share_bias", &C::share_bias},
    {"share_seconds", &C::share_seconds},
    {"share_affinity", &C::share_affinity},
    {"share_taste", &C::share_taste},
    {"follow_bias", &C::follow_bias},
    {"follow_author", &C::follow_author},
    {"dismiss_bias", &C::dismiss_bias},
    {"dismiss_affinity", &C::dismiss_affinity},
    {"dismiss_title", &C::dismiss_title},
}};

}  // namespace

InteractionConstants read_interactions(const Json& recipe) {
  InteractionConstants constants;
  Fields fields(recipe, "world.interactions");
  for (const auto& [key, field] : kConstants) {
    fields.read(key, constants.*field);
    check_world_key((std::string("interactions.") + key).c_str(), constants.*field, -20.0, 20.0);
  }
  fields.finish();
  return constants;
}

Json to_json(const InteractionConstants& constants) {
  Json json;
  for (const auto& [key, field] : kConstants) json[key] = constants.*field;
  return json;
}

std::string interactions_hash(const InteractionConstants& constants) {
  return sha256(to_json(constants).dump());
}

}  // namespace retort
