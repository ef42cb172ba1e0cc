#include <array>

#include "retort/common/error.h"
#include "retort/common/text.h"
#include "retort/loss/aligned.h"
#include "retort/loss/bce.h"
#include "retort/loss/distillation.h"
#include "retort/loss/log_normal.h"
#include "retort/loss/losses.h"
#include "retort/loss/scored.h"
#include "retort/loss/softmax.h"
#include "retort/loss/squared.h"

namespace retort {
namespace {

// Order does not matter.
constexpr auto kLosses = std::to_array<LossEntry>({
    {"bce", "binary cross-entropy of a logit (on) against click, read or another label",
     "DMTL eq. 7, 8; sec. 3.1.2 for DSSM-Click and DSSM-Classification", &make_bce},
    {"squared", "squared error of the student's score against seconds: raw, scaled or log1p",
     "DMTL sec. 3.1.2, DSSM-Regression; log1p is not in the paper", &make_squared},
    {"kl_bernoulli",
     "KL from the teacher's probability of a task, or of several fused (target), to the student's",
     "DMTL eq. 11, with the logarithms that its text names", &make_kl_bernoulli},
    {"softmax",
     "cross-entropy of the shown item among the catalogue: clicks, watching minutes, another label",
     "RRA eq. 3, 4; negatives of table 4",
     &make_softmax,
     {.catalogue = true, .reward = true, .whole_batch = true}},
    {"weighted_bce",
     "binary cross-entropy of clicks weighted by watching minutes",
     "RRA eq. 2",
     &make_weighted_bce,
     {.reward = true, .whole_batch = true}},
    {"soft_bce",
     "cross-entropy against the teacher's or the logged ranker's probability (target)",
     "RRA eq. 5, 6",
     &make_soft_bce,
     {.whole_batch = true}},
    {"chi2_literal", "eq. 11 as printed, without logarithms: 1 + chi-square",
     "DMTL eq. 11, literal", &make_chi2_literal},
    {"log_normal",
     "likelihood of a click's seconds, whose logarithm is normal (on teacher_seconds)",
     "methods D3b", &make_log_normal},
    {"rank_weighted_bce",
     "binary cross-entropy (on [R]) with clicks weighted by the item's rank in its user's list",
     "methods D4, point-wise with the rank as weight",
     &make_rank_weighted_bce,
     {.lists = true, .whole_batch = true}},
    {"ranking_distillation",
     "point-wise: the list's items [Q, K] are positives weighted by rank, and by how far the "
     "student "
     "is behind (mu)",
     "Ranking Distillation, Tang & Wang, KDD 2018, eq. 6-8",
     &make_ranking_distillation,
     {.lists = true, .whole_batch = true}},
    {"pair_logistic",
     "pair-wise: logistic loss of all pairs of a list [Q, K] in its order",
     "BPR, Rendle et al., UAI 2009, on the teacher's order",
     &make_pair_logistic,
     {.lists = true, .whole_batch = true}},
    {"margin_mse",
     "pair-wise: squared error of a list's [Q, K] score differences",
     "Margin-MSE, Hofstaetter et al., 2020",
     &make_margin_mse,
     {.lists = true, .whole_batch = true}},
    {"list_net",
     "list-wise: KL of the softmaxes of teacher's and student's scores of a list [Q, K]",
     "ListNet, Cao et al., ICML 2007",
     &make_list_net,
     {.lists = true, .whole_batch = true}},
    {"list_mle",
     "list-wise: likelihood of the list's [Q, K] order",
     "ListMLE, Xia et al., ICML 2008",
     &make_list_mle,
     {.lists = true, .whole_batch = true}},
    {"relaxed_ranking",
     "list-wise (RRD): the list's [Q, K] order, and all of it above items drawn from the rest [Q, "
     "N]",
     "DE-RRD, Kang et al., CIKM 2020, eq. 7",
     &make_relaxed_ranking,
     {.lists = true, .whole_batch = true}},
    {"collaborative",
     "point-wise (CD): soft targets of a list's [Q, K] scores, shifted and scaled",
     "Collaborative Distillation, Lee et al., ICDM 2019, eq. 8",
     &make_collaborative,
     {.lists = true, .whole_batch = true}},
    {"in_batch_kl",
     "KL over the known pairs [P] of a batch's users and items, of scores in [scores]",
     "methods D2; beside softmax with negatives = \"batch_corrected\"",
     &make_in_batch_kl,
     {.pairs = true, .whole_batch = true}},
});

}  // namespace

std::span<const LossEntry> losses() { return kLosses; }

const LossEntry& loss_entry(const std::string& name) {
  std::vector<std::string> known;
  for (const LossEntry& entry : kLosses) {
    if (entry.name == name) return entry;
    known.emplace_back(entry.name);
  }
  const std::string near = nearest_name(name, known);
  fail<ConfigError>("loss '{}' is unknown{}; known: {}", name,
                    near.empty() ? "" : ", did you mean '" + near + "'?", fmt::join(known, ", "));
}

Loss make_loss(const std::string& name, const Json& options) {
  return loss_entry(name).make(options);
}

bool needs_seconds_deviation(const Json& term) {
  return term.is_object() && term.value("loss", "") == "squared" &&
         term.value("transform", "raw") == "scaled" &&
         (!term.contains("scale") || term["scale"] == 0);
}

}  // namespace retort
