// World L: a simulated platform of series and movies whose every latent is known (methods E4).
// Users have a taste in clicking and another in what satisfies them; shows have genres, a quality
// and a title that promises more or less than the show holds. Built from the options alone; the
// log is drawn from it by simulate_long_video().
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "retort/common/rng.h"
#include "retort/sim/long_video_law.h"
#include "retort/sim/long_video_options.h"

namespace retort {

/// What the rows of a home page show; series are numbered before movies.
enum class ShowType : uint8_t { kTv = 0, kMovie = 1 };
inline constexpr ShowType kShowTypes[] = {ShowType::kTv, ShowType::kMovie};

/// U users, I shows, d dimensions, G genres (bits of a mask). The shows of a type are numbered by
/// their day of birth, so those that exist on a day are the first alive() of the type. All methods
/// are const and thread-safe.
struct LongVideoWorld {
  LongVideoOptions options;
  double click_bias = 0;           // b0
  double satisfaction_scale = 0;   // s
  double satisfaction_centre = 0;  // mean of <theta_s, phi> over pairs
  int64_t start = 0;               // microseconds since 1970 of the first day

  // shows
  std::vector<float> phi;                // [I, d], unit length
  std::vector<float> quality, title;     // [I] q, t
  std::vector<float> log_popularity;     // [I] ln rank^-exponent in its type, not normalised
  std::vector<float> unit;               // [I] minutes of an episode or of the movie
  std::vector<int32_t> episodes, birth;  // [I] birth: day, 0 = before the log
  std::vector<uint32_t> genres_seen;     // [I] observed
  std::vector<int64_t> released;         // [I] microseconds since 1970
  // users
  std::vector<float> click_taste, satisfaction_taste;  // [U, d] unit length
  std::vector<float> policy_noise;                     // [U, d] .5 eps-hat of the policy's estimate
  std::vector<float> user_bias, open_rate;             // [U] a_u, omega_u
  std::vector<int32_t> age, gender;                    // [U] observed: 0 .. 5, 0 .. 1
  std::vector<uint32_t> genre_prefs;                   // [U] observed
  std::vector<int32_t> tag_prefs;                      // [U, 3] observed

  int64_t users() const { return options.users; }
  int64_t items() const { return options.items(); }
  int32_t dim() const { return options.dimensions; }
  int32_t log_days() const { return options.days; }
  int32_t all_days() const { return options.days + options.attribution_days; }
  ShowType type_of(int32_t item) const;
  int32_t first_of(ShowType type) const;  // number of the type's first show
  int32_t count_of(ShowType type) const;
  int32_t alive(ShowType type, int32_t day) const;
  Show show(int32_t item) const;

  /// eta without b0, and with it: the logit of a click at a slot that is always examined.
  double click_logit_centred(int32_t user, int32_t item) const;
  double click_logit(int32_t user, int32_t item) const;
  /// S in (0, 1), the satisfaction of the pair.
  double satisfaction(int32_t user, int32_t item) const;

  /// What happens, keyed so that any policy in this world meets the same luck: the user's opens by
  /// (user, day), clicks and watching by (user, item, day).
  bool opens(int32_t user, int32_t day) const;
  int64_t open_time(int32_t user, int32_t day) const;  // microseconds since 1970, in the day
  double click_draw(int32_t user, int32_t item, int32_t day) const;
  Draws watch_draws(int32_t user, int32_t item, int32_t day) const;
  Draws reaction_draws(int32_t user, int32_t item) const;

  std::string user_key(int64_t user) const;  // "u000123"
  std::string item_key(int64_t item) const;  // "t00042" of series, "m00042" of movies
};

/// Draws all latents and calibrates s and b0. Throws ConfigError where the constants cannot meet
/// the click rate.
LongVideoWorld build_long_video_world(const LongVideoOptions& options);

}  // namespace retort
