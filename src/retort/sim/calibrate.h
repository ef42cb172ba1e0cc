// Fixes the three free constants of a world from outside anchors: the click rate of the policy,
// the median and the spread of the seconds of clicks.
#pragma once

#include "retort/sim/world.h"

namespace retort {

/// Sets click_bias (b0), read_noise (sigma_e) and read_bias (m0) from exposures of up to 8192
/// user-days drawn from the policy by a stream of their own, each weighted by the user's activity.
/// Throws ConfigError where sd(m) alone exceeds the wanted deviation of ln T.
void calibrate(World& world);

}  // namespace retort
