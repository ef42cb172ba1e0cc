// Losses on lists: what a student makes of items in the order that a teacher put them. Rows of
// different lengths are padded; `valid` says which places count.
#pragma once

#include <optional>

#include <torch/torch.h>

namespace retort {

/// Q lists of at most L items, the teacher's best first.
struct RankedLists {
  torch::Tensor student;  // [Q, L] logits, differentiable
  torch::Tensor teacher;  // [Q, L] logits, descending; may be undefined where only the order counts
  torch::Tensor valid;    // [Q, L] bool; a list's valid places come first
};

/// sum_r w_r softplus(-s_r), w_r = exp(-r / tau) / sum_k exp(-k / tau), r = 1 the best; mean over
/// the lists. `factor` [Q, L], not differentiated, multiplies w_r, which is not normalised again.
/// Source: Ranking Distillation, Tang & Wang, KDD 2018, eq. 6-8. @return scalar
torch::Tensor ranking_distillation(const RankedLists& lists, double tau,
                                   const torch::Tensor& factor = {});

/// The dynamic factor max(tanh(mu (rank of the student - rank of the teacher)), 0); the student's
/// rank among `catalogue` items is estimated from a sample of its logits.
/// Source: Ranking Distillation, sec. 4.2.3.
/// @param sampled [Q, N] the student's logits of items drawn uniformly   @return [Q, L], detached
torch::Tensor rank_discrepancy(const RankedLists& lists, const torch::Tensor& sampled,
                               int64_t catalogue, double mu);

/// Mean over pairs i < j of a list of softplus(-(s_i - s_j)).
/// Source: BPR, Rendle et al., UAI 2009, on the teacher's order; methods D4. @return scalar
torch::Tensor pair_logistic(const RankedLists& lists);

/// Mean over pairs i < j of a list of ((s_i - s_j) - (t_i - t_j))^2.
/// Source: Margin-MSE, Hofstaetter et al. 2020; methods D4. @return scalar
torch::Tensor margin_mse(const RankedLists& lists);

/// tau^2 KL(softmax(t / tau) || softmax(s / tau)); mean over the lists.
/// Source: ListNet, Cao et al., ICML 2007, with temperature; methods D4. @return scalar
torch::Tensor list_net(const RankedLists& lists, double tau);

/// -sum_k [ s_k - log sum_{l >= k} exp s_l ]; mean over the lists.
/// Source: ListMLE, Xia et al., ICML 2008. @return scalar
torch::Tensor list_mle(const RankedLists& lists);

/// -sum_k [ s_k - log( sum_{l >= k} exp s_l + sum_j exp u_j ) ]: the list's items stand above all
/// uninteresting ones; mean over the lists.
/// Source: Relaxed Ranking Distillation, DE-RRD, Kang et al., CIKM 2020, eq. 7.
/// @param uninteresting [Q, N] the student's logits of items drawn from the rest   @return scalar
torch::Tensor relaxed_ranking(const RankedLists& lists, const torch::Tensor& uninteresting);

/// Mean over places of the cross-entropy of sigmoid(s) with the target sigmoid((t + shift) /
/// scale). Source: Collaborative Distillation, Lee et al., ICDM 2019, eq. 8. @return scalar
torch::Tensor collaborative(const RankedLists& lists, double scale, double shift);

}  // namespace retort
