// The table [world] of a data recipe with kind = "long_video": sizes and seeds of a simulated
// platform of series and movies, and the constants of its laws. They come from the specification's
// outside anchors alone and are frozen: their hash stands in every world's manifest and a test
// holds the default's value.
#pragma once

#include <cstdint>
#include <string>

#include "retort/common/json.h"

namespace retort {

/// Constants of the laws of World L (methods E4; what E4 leaves open, of E1). All doubles, so that
/// one table (long_video_options.cc) reads, checks and prints them; see docs/simulator.md.
struct LongVideoConstants {
  // shows
  double item_genre = 0.8, item_noise = 0.6;  // phi = norm(.8 norm(sum mu_g) + .6 eps)
  double title_quality = -0.3;                // t = -.3 q + sqrt(.91) eps
  double popularity_exponent = 1.0;           // pi ~ rank^-1
  double episodes_least = 4;                  // of a series: 4 + Geom(1 / 14)
  double episodes_rate = 1.0 / 14;
  double runtime_mean = 105, runtime_deviation = 18;  // minutes of a movie
  double births_per_day = 0.0025;                     // share of the shows
  // users
  double user_noise = 0.3;           // theta_c = norm(sum Dir(1) mu + .3 eps)
  double taste_correlation = 0.6;    // rho of theta_s
  double user_bias_deviation = 0.5;  // a_u
  double open_alpha = 4, open_beta = 3;
  // click
  double click_affinity = 4.0;
  double click_title = 0.6;
  double click_rate = 0.04;  // of an impression, positions included: fixes b0
  // satisfaction: S = sigma(.1 + s (<theta_s, phi> - mean) + .6 q - .4 max(0, t - q))
  double satisfaction_base = 0.1;
  double satisfaction_affinity = 0.8;  // deviation of that term over pairs: fixes s
  double satisfaction_quality = 0.6;
  double satisfaction_bait = 0.4;
  // watching
  double start_base = 0.35, start_satisfaction = 0.6;  // P(whole episodes) = .35 + .6 S
  double next_episode = 0.6;                           // P(one more) = .6 S, at most 5 times
  double partial_low = 0.1, partial_high = 0.7;        // else this share of an episode
  double movie_spread = 3;                             // F ~ Beta(3 S, 3 (1 - S))
  double movie_finished = 0.95;                        // share from which a movie is finished
  double resume = 0.75, abandon = 0.35, rewatch = 0.03;
  // explicit reactions after a first playback
  double like = 0.15, dislike = 0.08, save = 0.1;
  // the rows' policy: e = .1 / I + .3 pi + .6 softmax(4 <theta~, phi> + .6 t + ln pi)
  double policy_uniform = 0.1, policy_popular = 0.3;
  double policy_affinity = 4.0, policy_title = 0.6;
  double policy_noise = 0.5;
  // the live ranker: what is left of yesterday's counts, and its pseudo-counts
  double ranker_memory = 0.9;
  double ranker_show_prior = 20, ranker_user_prior = 20, ranker_minutes_prior = 5;
  // share of clicks among the impressions that are kept
  double click_share_tv = 0.225, click_share_movies = 0.258;
  // observables
  double genre_truth = 0.9;       // a true genre of a show is listed
  double genre_error = 0.1;       // a false one is
  double preference_truth = 0.8;  // a listed genre of a user is one of his three topics
  double tag_noise = 1.0;         // of the scores whose top three are a user's tags
  double demographic_truth = 0.6;
};

struct LongVideoOptions {
  int64_t users = 8000, tv = 1500, movies = 2500;
  int32_t days = 28;             // with impressions; the last is for the test
  int32_t attribution_days = 8;  // after them: only what was started is watched on
  int32_t dimensions = 16, genres = 32, tags = 40, slots = 8;
  std::string start = "2024-03-04";
  uint64_t seed = 3;      // of the world: users and shows
  uint64_t log_seed = 4;  // of what happens in it
  LongVideoConstants constants;

  int64_t items() const { return tv + movies; }
  /// Throws ConfigError naming key, value and range.
  void validate() const;
};

/// Whether the recipe's [world] asks for this world: kind = "long_video".
bool is_long_video(const Json& recipe);
/// Reads [world] of a recipe and validates.
LongVideoOptions long_video_options(const Json& recipe);

/// Everything that decides the laws: constants, dimensions, genres, tags and slots; not how many
/// users, shows and days there are, nor seeds and dates.
Json constants_json(const LongVideoOptions& options);
/// SHA-256 of constants_json.
std::string constants_hash(const LongVideoOptions& options);

/// All options, and back (truth on disk).
Json to_json(const LongVideoOptions& options);
LongVideoOptions long_video_options_from_json(const Json& json);

}  // namespace retort
