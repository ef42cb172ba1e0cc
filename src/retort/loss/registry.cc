#include <array>

#include "retort/common/error.h"
#include "retort/common/text.h"
#include "retort/loss/aligned.h"
#include "retort/loss/bce.h"
#include "retort/loss/distillation.h"
#include "retort/loss/losses.h"
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
