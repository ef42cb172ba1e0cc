// Fixes the two free constants of World L from outside anchors, and measures what its law of
// watching gives.
#pragma once

#include "retort/common/json.h"
#include "retort/sim/long_video_world.h"

namespace retort {

/// Sets satisfaction_centre and satisfaction_scale (s (<theta_s, phi> - centre) has mean 0 and
/// deviation `satisfaction_affinity` over 65,536 random pairs), then click_bias (b0) by bisection
/// on the impressions of a pilot: the first days of up to 2048 users, with rows and ranker as in
/// the log. The pilot is repeated with the b0 found until the ranker's order and the bias agree
/// (four rounds). Throws ConfigError where no b0 can give the click rate.
void calibrate(LongVideoWorld& world);

/// What methods E4 asks to be checked, over `pairs` random pairs of users and shows of the type,
/// one roll-out of 30 days each:
/// dwm_mean, dwm_deviation, dwm_p99, familiar_share (of DWM outside the first playback),
/// corr_week_month, corr_first_week, corr_title_week, satisfaction_mean.
Json measure_watching(const LongVideoWorld& world, ShowType type, int64_t pairs);

}  // namespace retort
