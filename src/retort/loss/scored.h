// Losses on what a file of scores says beyond the rows: users' lists, and pairs of the batch. The
// functions on lists are in ranked_lists.h; here recipes' terms become calls of them.
#pragma once

#include <string>

#include <torch/torch.h>

#include "retort/loss/losses.h"
#include "retort/loss/ranked_lists.h"

namespace retort {

/// The lists of a batch with the logits of `on`, a student's logit. Source: two towers' inner
/// product (DMTL eq. 10). Shapes: [Q, K]. Throws ConfigError naming the loss where the batch has no
/// lists.
RankedLists lists_of(const LossInputs& inputs, const std::string& on, const char* loss);

/// L = mean_i [ y_i (keep + strength K w_i) softplus(-s_i) + (1 - y_i) softplus(s_i) ], w_i =
/// exp(-r_i / tau) / sum_{k <= K} exp(-k / tau) of an item at rank r_i <= K of its user's list, 0
/// of any other: w is 1 / K on average over a list.
/// Source: methods D4, the simple variant of point-wise distillation with the rank as weight, whose
/// own weight function is not published.
/// @param logits, clicks [R]   @param rank [R], 0: not in the list   @return scalar
torch::Tensor rank_weighted_bce(const torch::Tensor& logits, const torch::Tensor& clicks,
                                const torch::Tensor& rank, int64_t length, double tau, double keep,
                                double strength);

/// sum over the known pairs of KL(sigmoid(l) || sigmoid(<u, v>)) over their number; 0 if there is
/// none. Source: methods D2.
/// @param users [G, D]   @param items [R, D]   @param group, row [P] int64
/// @param teacher [P] logits, NaN: not known   @return scalar
torch::Tensor in_batch_kl(const torch::Tensor& users, const torch::Tensor& items,
                          const torch::Tensor& group, const torch::Tensor& row,
                          const torch::Tensor& teacher, double temperature);

/// Options: on, label (click), tau, keep, strength.
Loss make_rank_weighted_bce(const Json& term);
/// Options: on, tau; mu: above 0 the factor of rank_discrepancy, from step `mu_after` on.
Loss make_ranking_distillation(const Json& term);
/// Options of all others on lists: on; list_net: tau; collaborative: scale, shift.
Loss make_pair_logistic(const Json& term);
Loss make_margin_mse(const Json& term);
Loss make_list_net(const Json& term);
Loss make_list_mle(const Json& term);
Loss make_relaxed_ranking(const Json& term);
Loss make_collaborative(const Json& term);
/// Options: on, target (soft_target.h; default scored_read), temperature.
Loss make_in_batch_kl(const Json& term);

}  // namespace retort
