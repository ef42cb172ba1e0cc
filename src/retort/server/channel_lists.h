// The lists of the channels beside the model's own: what is popular, and what is like the history.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "retort/encoder/features.h"
#include "retort/encoder/retriever.h"
#include "retort/server/served_model.h"
#include "retort/server/trailing_popularity.h"

namespace retort {

/// Both give at most `k` items, best first, of those that Retriever::search may give with these
/// options, live ones among them. `seen`: items of the bundle that exclude_seen leaves out.

/// By clicks within the window (the score); behind them the bundle's, by its own popularity, with a
/// score of 0.
std::vector<Retrieval::Item> popular_items(const ServedModel& model, TrailingPopularity& popularity,
                                           int64_t window, std::span<const int32_t> seen,
                                           const RetrieveOptions& options, int32_t k);

/// For each item of the history the nearest ones by inner product through the index, then all by
/// cosine to the nearest of the history (the score), without what the popularity correction adds.
/// Items of `history` that neither bundle nor overlay has are passed over; none of it is given.
/// Source: item-to-item candidates, Sarwar et al., WWW 2001; Covington et al., RecSys 2016.
std::vector<Retrieval::Item> similar_items(const ServedModel& model,
                                           std::span<const std::string> history,
                                           std::span<const int32_t> seen,
                                           const RetrieveOptions& options, int32_t k);

/// So much of the history is looked at: more cost a search each.
inline constexpr size_t kSimilarTo = 5;

/// The user's last kSimilarTo clicked items, newest first: those of `clicked` (ids, newest first),
/// then of a sequence of item keys among the features. Where there is neither, items that were
/// seen, evenly spaced.
std::vector<std::string> recent_items(const Bundle& bundle, std::span<const std::string> clicked,
                                      const RawUser& user);

}  // namespace retort
