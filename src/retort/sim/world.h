// World F: a simulated news feed whose every latent is known (methods E1). Users have a taste in
// clicking and another in reading; items have a topic, a quality and a title that promises more or
// less than the item holds. Built from the options alone; the log is drawn from it by simulate().
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "retort/common/rng.h"
#include "retort/sim/options.h"

namespace retort {

/// What a user did with an article that was shown.
struct Interactions {
  bool shared = false, followed = false, dismissed = false;
};

/// U users, I items, D days, d dimensions. Items are numbered by their day of birth, so those
/// alive on a day are the first alive[day]. All methods are const and thread-safe.
struct World {
  WorldOptions options;
  double click_bias = 0;  // b0
  double read_bias = 0;   // m0
  double read_noise = 1;  // sigma_e
  int64_t start = 0;      // microseconds since 1970 of the first day

  // items
  std::vector<float> phi;                           // [I, d], unit length
  std::vector<float> quality, title, length;        // [I] q, t, len
  std::vector<float> log_popularity;                // [I] ln rank^-exponent, not normalised
  std::vector<int32_t> category, author, birth;     // [I] birth: day, 0 = before the log
  std::vector<int32_t> title_style, length_bucket;  // [I] observed
  std::vector<int64_t> published;                   // [I] microseconds since 1970
  std::vector<uint8_t> click_bait;                  // [I] t - q in the top tenth
  std::vector<int32_t> alive;                       // [D]
  // users
  std::vector<float> click_taste;          // [D, U, d] theta^c(d), unit length
  std::vector<float> read_taste;           // [U, d] theta^s; near_null: click_taste is used
  std::vector<float> policy_noise;         // [U, d] .5 eps-hat of the policy's estimate
  std::vector<float> activity;             // [U] act_u
  std::vector<float> title_taste;          // [U] kappa_u
  std::vector<float> user_bias, patience;  // [U] a_u, r_u
  std::vector<int32_t> segment, region;    // [U] observed
  std::vector<float> hotness;              // [D, C] h_c(d)

  int64_t users() const { return options.users; }
  int64_t items() const { return options.items; }
  int32_t days() const { return options.days; }
  int32_t dim() const { return options.dimensions; }
  const float* click_taste_of(int32_t user, int32_t day) const;
  const float* read_taste_of(int32_t user, int32_t day) const;

  /// Logit of a click at a slot that is always examined (eta).
  double click_logit(int32_t user, int32_t item, int32_t day) const;
  /// Mean of ln T given a click (m), and m without m0.
  double read_mean(int32_t user, int32_t item, int32_t day) const;
  double read_mean_centred(int32_t user, int32_t item, int32_t day) const;
  /// Logits of a share of what was read for so many seconds, of following the author of what was
  /// shared, and of dismissing what was shown (interactions.h). Their own latents are functions of
  /// the seed.
  double share_logit(int32_t user, int32_t item, int32_t day, double seconds) const;
  double follow_logit(int32_t item) const;
  double dismiss_logit(int32_t user, int32_t item, int32_t day) const;

  /// The draws of what happens, keyed by (stream, user, item, day, slot): whatever policy shows
  /// the pair there, the answer is the same. Uniform in [0, 1), and standard normal.
  double click_draw(int32_t user, int32_t item, int32_t day, int32_t slot) const;
  double read_draw(int32_t user, int32_t item, int32_t day, int32_t slot) const;
  /// min(T, c) in seconds of that draw.
  double seconds(int32_t user, int32_t item, int32_t day, int32_t slot) const;
  /// What follows an impression: `seconds` of it if it was clicked, else NaN.
  Interactions interactions(int32_t user, int32_t item, int32_t day, int32_t slot,
                            double seconds) const;

  std::string user_key(int64_t user) const;  // "u000123"
  std::string item_key(int64_t item) const;  // "i00042"
};

/// Draws all latents and calibrates b0, m0 and sigma_e. Memory: 4 D U d bytes and little more.
/// Throws ConfigError where the constants cannot meet the targets.
World build_world(const WorldOptions& options);

}  // namespace retort
