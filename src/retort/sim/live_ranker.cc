#include "retort/sim/live_ranker.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace retort {
namespace {

double logit(double p) {
  const double inside = std::clamp(p, 1e-4, 1 - 1e-4);
  return std::log(inside / (1 - inside));
}

/// Calls visit(genre) for every bit.
template <class Visit>
void each_genre(uint32_t genres, const Visit& visit) {
  for (; genres != 0; genres &= genres - 1) visit(static_cast<size_t>(std::countr_zero(genres)));
}

}  // namespace

LiveRanker::LiveRanker(const LiveRankerOptions& options, std::span<const uint32_t> genres,
                       int32_t genre_count, int64_t users)
    : options_(options),
      genres_(genres.begin(), genres.end()),
      genre_count_(genre_count),
      item_(genres.size()),
      user_(static_cast<size_t>(users)),
      user_genre_(static_cast<size_t>(users) * static_cast<size_t>(genre_count)) {}

double LiveRanker::smoothed_minutes(const Counts& counts, double mean) const {
  const double k = options_.minutes_prior;
  return (counts.minutes + k * mean) / (counts.clicks + k);
}

LiveRanker::Scores LiveRanker::score(int32_t user, int32_t item) const {
  const Counts& u = user_[static_cast<size_t>(user)];
  const Counts& i = item_[static_cast<size_t>(item)];
  const double p0 = (all_.clicks + 1) / (all_.examined + 20);
  const double show_prior = options_.show_prior, user_prior = options_.user_prior;
  const double p_item = (i.clicks + show_prior * p0) / (i.examined + show_prior);
  const double p_user = (u.clicks + user_prior * p0) / (u.examined + user_prior);
  const uint32_t genres = genres_[static_cast<size_t>(item)];
  const GenreCounts* own =
      user_genre_.data() + static_cast<int64_t>(user) * static_cast<int64_t>(genre_count_);
  double affinity = 0;
  each_genre(genres, [&](size_t g) {
    affinity +=
        std::log((own[g].clicks + user_prior * p_user) / ((own[g].examined + user_prior) * p_user));
  });
  affinity /= std::max(1, std::popcount(genres));
  Scores scores;
  scores.click = logit(p_item) + logit(p_user) - logit(p0) + affinity;
  const double mean = all_.clicks > 0 && all_.minutes > 0 ? all_.minutes / all_.clicks : 1;
  const double of_item = smoothed_minutes(i, mean), of_user = smoothed_minutes(u, mean);
  scores.dwm = scores.click + std::log(of_item / mean) + std::log(of_user / mean);
  scores.minutes = of_item * of_user / mean;
  return scores;
}

void LiveRanker::forget() {
  const auto shrink = [this](Counts& counts) {
    counts.examined *= options_.memory;
    counts.clicks *= options_.memory;
    counts.minutes *= options_.memory;
  };
  shrink(all_);
  for (Counts& counts : item_) shrink(counts);
  for (Counts& counts : user_) shrink(counts);
  const auto memory = static_cast<float>(options_.memory);
  for (GenreCounts& counts : user_genre_) {
    counts.examined *= memory;
    counts.clicks *= memory;
  }
}

void LiveRanker::learn_impression(int32_t user, int32_t item, double examination, bool clicked) {
  const double click = clicked ? 1 : 0;
  for (Counts* counts :
       {&all_, &item_[static_cast<size_t>(item)], &user_[static_cast<size_t>(user)]}) {
    counts->examined += examination;
    counts->clicks += click;
  }
  GenreCounts* own =
      user_genre_.data() + static_cast<int64_t>(user) * static_cast<int64_t>(genre_count_);
  each_genre(genres_[static_cast<size_t>(item)], [&](size_t g) {
    own[g].examined += static_cast<float>(examination);
    own[g].clicks += static_cast<float>(click);
  });
}

void LiveRanker::learn_minutes(int32_t user, int32_t item, double minutes) {
  all_.minutes += minutes;
  item_[static_cast<size_t>(item)].minutes += minutes;
  user_[static_cast<size_t>(user)].minutes += minutes;
}

}  // namespace retort
