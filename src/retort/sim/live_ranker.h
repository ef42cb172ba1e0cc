// The ranker that is live in World L: counts with forgetting, fitted again after every day from
// what was logged up to then. It sees users, shows and the observed genres, never a latent.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace retort {

struct LiveRankerOptions {
  double memory = 0.9;       // what is left of yesterday's counts
  double show_prior = 20;    // pseudo-counts of examined impressions
  double user_prior = 20;    // likewise, of a user and of a user's genre
  double minutes_prior = 5;  // pseudo-counts of clicks
};

/// Scores of a snapshot, with x the examination of a slot (1 / log2(position + 1)), n = sum x,
/// c = clicks, m = minutes played of shows found by a click, all forgotten by `memory` a day:
///   p0 = (c + 1) / (n + 20),  p_i = (c_i + k p0) / (n_i + k),  p_u likewise,
///   a_ui = mean over the show's genres g of ln[(c_ug + k p_u) / ((n_ug + k) p_u)],
///   click = logit p_i + logit p_u - logit p0 + a_ui,
///   dwm = click + ln(m_i / m0) + ln(m_u / m0), m_i = (m of i + k m0) / (c_i + k), m0 = m / c.
/// dwm is the logit whose odds are weighted by minutes (RRA paper, eq. 2). Reading is thread-safe.
class LiveRanker {
 public:
  /// `genres`: observed, a bit each, [shows]; `genre_count` <= 32.
  LiveRanker(const LiveRankerOptions& options, std::span<const uint32_t> genres,
             int32_t genre_count, int64_t users);

  struct Scores {
    double click = 0, dwm = 0;                            // logits
    double minutes = 0;                                   // of a click: m^_i m^_u / m0
    double mixed() const { return 0.5 * (click + dwm); }  // what rows are sorted by
  };
  Scores score(int32_t user, int32_t item) const;

  /// A day's log: forget() once, then everything that was logged on it.
  void forget();
  void learn_impression(int32_t user, int32_t item, double examination, bool clicked);
  void learn_minutes(int32_t user, int32_t item, double minutes);

 private:
  struct Counts {
    double examined = 0, clicks = 0, minutes = 0;
  };
  struct GenreCounts {
    float examined = 0, clicks = 0;
  };
  double smoothed_minutes(const Counts& counts, double mean) const;

  LiveRankerOptions options_;
  std::vector<uint32_t> genres_;
  int32_t genre_count_;
  Counts all_;
  std::vector<Counts> item_, user_;
  std::vector<GenreCounts> user_genre_;  // [users, genre_count]
};

}  // namespace retort
