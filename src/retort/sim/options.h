// The table [world] of a data recipe: sizes and seeds of a simulated feed, and the constants of
// its laws. The constants come from outside anchors (click rate, dwell quantiles, Zipf) and are
// frozen: their hash stands in every world's manifest and a test holds the default's value.
#pragma once

#include <cstdint>
#include <string>

#include "retort/common/json.h"
#include "retort/sim/interactions.h"

namespace retort {

/// Constants of the laws of World F (methods E1), by the symbol used there. All doubles, so that
/// one table (options.cc) reads, checks and prints them; see docs/simulator.md.
struct WorldConstants {
  // items: phi = norm(item_category mu_c + item_noise eps)
  double item_category = 0.8, item_noise = 0.6;
  double quality_author = 0.6;  // q = .6 q_author + .8 eps, unit variance
  double title_quality = -0.3;  // t = -.3 q + sqrt(.91)(.6 t_author + .8 eps)
  double title_author = 0.6;
  double length_deviation = 0.3;     // len
  double popularity_exponent = 1.0;  // pi ~ rank^-1
  // users
  double user_noise = 0.3;             // theta_c = norm(sum Dir(1) mu + .3 eps)
  double taste_correlation = 0.6;      // rho of theta_s
  double title_taste_deviation = 0.3;  // kappa: log-normal, mean 1
  double user_bias_deviation = 0.5;    // a_u
  double patience_deviation = 0.3;     // r_u
  double activity_shape = 2.0;         // act_u: Gamma, mean 1
  // click
  double click_affinity = 5.0;
  double click_title = 0.6;
  double click_rate = 0.035;  // of the legacy policy, positions included: fixes b0
  // dwell
  double read_affinity = 2.0;
  double read_quality = 0.4;
  double clickbait_penalty = 0.3;
  double median_seconds = 50.0;         // of clicks: fixes m0
  double log_seconds_deviation = 1.35;  // of ln T of clicks: fixes sigma_e
  double read_noise = 0.0;              // sigma_e itself; 0 = from log_seconds_deviation
  double cap_seconds = 1800.0;          // c
  // drift, hotness, births; all off when `drift` is false
  double drift_step = 0.1;         // delta
  double hotness_memory = 0.8;     // AR(1) coefficient
  double hotness_deviation = 0.3;  // stationary deviation
  double births_per_day = 0.02;    // share of the items
  double birth_decay_days = 5.0;   // popularity weight e^{-age / 5 d} of items born in the log
  // legacy policy: e = .1 / I + .3 pi + .6 softmax(4 <theta~, phi> + .6 t + ln pi)
  double policy_uniform = 0.1, policy_popular = 0.3;
  double policy_affinity = 4.0, policy_title = 0.6;
  double policy_noise = 0.5;
  double impressions_per_day = 25.0;  // of a user of activity 1
  // observables
  double segment_truth = 0.8;  // share of users whose segment is their true main category
  double title_noise = 0.5;    // of the observed title style
};

struct WorldOptions {
  int64_t users = 8000, items = 4000;
  int32_t days = 14;
  int32_t dimensions = 16, categories = 32, authors = 300, regions = 20, slots = 10;
  std::string start = "2024-03-04";
  uint64_t seed = 3;      // of the world: users, items, drift
  uint64_t log_seed = 4;  // of what happens in it: requests, exposures, clicks, seconds
  /// "feed"; "null": nobody's reading time depends on who reads what; "near_null": the taste of
  /// reading is the taste of clicking and items differ in nothing else; "reverse": almost no
  /// noise in reading times and ten times the clicks (methods E5).
  std::string variant = "feed";
  bool drift = true;  // false: stationary, no births
  WorldConstants constants;
  InteractionConstants interactions;

  /// Throws ConfigError naming key, value and range.
  void validate() const;
};

/// Reads [world] of a recipe, applies the variant to the constants and validates.
WorldOptions world_options(const Json& recipe);

/// Everything that decides the laws of clicking and reading: constants, variant, drift, dimensions
/// and slots; not how many users, items and days there are, nor seeds and dates.
Json constants_json(const WorldOptions& options);
/// SHA-256 of constants_json.
std::string constants_hash(const WorldOptions& options);

/// All options, and back (truth on disk). The variant has been applied already.
Json to_json(const WorldOptions& options);
WorldOptions world_options_from_json(const Json& json);

}  // namespace retort
