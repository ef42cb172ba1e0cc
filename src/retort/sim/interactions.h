// What people do of their own accord in World F beside clicking and reading: share an article,
// follow its author, dismiss what was shown. Their laws have constants of their own, so that those
// of clicking and reading (options.h) stay as they were frozen.
#pragma once

#include <string>

#include "retort/common/json.h"
#include "retort/common/recipe.h"

namespace retort {

/// The table [world.interactions], by the place in the law:
///   P(share | click, T) = sigma(-4 + .8 ln(T / 50 s) + 1 <theta_s, phi> + .5 a_s), a_s ~ N(0, 1)
///   P(follow | share)   = sigma(-2 + 1.5 q_author)
///   P(dismiss | shown)  = sigma(-4 - .8 <theta_s, phi> + .4 t), clicked or not
/// Source: methods E1.
struct InteractionConstants {
  double share_bias = -4, share_seconds = 0.8, share_affinity = 1, share_taste = 0.5;
  double follow_bias = -2, follow_author = 1.5;
  double dismiss_bias = -4, dismiss_affinity = -0.8, dismiss_title = 0.4;
};

/// Throws ConfigError naming the key.
InteractionConstants read_interactions(const Json& recipe);
Json to_json(const InteractionConstants& constants);
/// SHA-256 of to_json.
std::string interactions_hash(const InteractionConstants& constants);

}  // namespace retort
