#include "retort/loss/ranked_lists.h"

#include "retort/common/error.h"

namespace retort {
namespace {

constexpr double kNone = -1e30;  // a logit that counts for nothing

/// softplus(-x): what a logit x costs where 1 is wanted.
torch::Tensor cost(const torch::Tensor& x) { return -torch::log_sigmoid(x); }

/// [Q, L] 1 where a place counts, else 0.
torch::Tensor counts(const RankedLists& lists) {
  check(lists.student.dim() == 2 && lists.valid.sizes() == lists.student.sizes() &&
            lists.valid.scalar_type() == torch::kBool,
        "ranked lists: logits [Q, L] and as many marks are expected");
  return lists.valid.to(lists.student.scalar_type());
}

torch::Tensor teacher_of(const RankedLists& lists, const char* loss) {
  if (!lists.teacher.defined())
    fail<ConfigError>("loss '{}' wants the teacher's logits, but the lists have their order alone",
                      loss);
  return lists.teacher.detach().to(lists.student.scalar_type());
}

/// Mean over the lists that have a place.
torch::Tensor mean_of_lists(const torch::Tensor& sums, const torch::Tensor& count) {
  const torch::Tensor some = (count.sum(1) > 0).to(sums.scalar_type());
  return (sums * some).sum() / some.sum().clamp_min(1);
}

/// Logits with kNone in place of those that do not count.
torch::Tensor masked(const torch::Tensor& logits, const torch::Tensor& valid) {
  return torch::where(valid, logits, torch::full_like(logits, kNone));
}

/// Mean of f over the pairs of places i < j that count. @param pairs [Q, L, L]
torch::Tensor mean_of_pairs(const torch::Tensor& pairs, const torch::Tensor& count) {
  const torch::Tensor both = (count.unsqueeze(2) * count.unsqueeze(1)).triu(1);
  const torch::Tensor many = both.sum({1, 2});
  return mean_of_lists((pairs * both).sum({1, 2}) / many.clamp_min(1), many.unsqueeze(1));
}

/// [Q, L, L] x_i - x_j.
torch::Tensor differences(const torch::Tensor& x) { return x.unsqueeze(2) - x.unsqueeze(1); }

/// [Q, L] log sum over l >= k of exp s_l.
torch::Tensor log_sum_from(const RankedLists& lists) {
  return torch::logcumsumexp(masked(lists.student, lists.valid).flip(1), 1).flip(1);
}

}  // namespace

torch::Tensor ranking_distillation(const RankedLists& lists, double tau,
                                   const torch::Tensor& factor) {
  const torch::Tensor count = counts(lists);
  const torch::Tensor rank = torch::arange(1, lists.student.size(1) + 1, count.options());
  torch::Tensor weight = (-rank / tau).exp() * count;
  weight = weight / weight.sum(1, true).clamp_min(1e-30);
  if (factor.defined()) weight = weight * factor.detach();
  return mean_of_lists((weight * cost(lists.student)).sum(1), count);
}

torch::Tensor rank_discrepancy(const RankedLists& lists, const torch::Tensor& sampled,
                               int64_t catalogue, double mu) {
  const torch::NoGradGuard no_grad;
  const torch::Tensor above = (sampled.unsqueeze(1) > lists.student.unsqueeze(2))
                                  .to(lists.student.scalar_type())
                                  .mean(2);  // [Q, L]
  const torch::Tensor student = above * static_cast<double>(catalogue - 1) + 1;
  const torch::Tensor teacher = torch::arange(1, lists.student.size(1) + 1, student.options());
  return torch::tanh(mu * (student - teacher)).clamp_min(0);
}

torch::Tensor pair_logistic(const RankedLists& lists) {
  return mean_of_pairs(cost(differences(lists.student)), counts(lists));
}

torch::Tensor margin_mse(const RankedLists& lists) {
  const torch::Tensor count = counts(lists);
  const torch::Tensor teacher =
      torch::where(lists.valid, teacher_of(lists, "margin_mse"), torch::zeros_like(lists.student));
  return mean_of_pairs((differences(lists.student) - differences(teacher)).square(), count);
}

torch::Tensor list_net(const RankedLists& lists, double tau) {
  const torch::Tensor count = counts(lists);
  const torch::Tensor log_p =
      torch::log_softmax(masked(teacher_of(lists, "list_net"), lists.valid) / tau, 1);
  const torch::Tensor log_q = torch::log_softmax(masked(lists.student, lists.valid) / tau, 1);
  const torch::Tensor kl = (log_p.exp() * (log_p - log_q) * count).sum(1);
  return tau * tau * mean_of_lists(kl, count);
}

torch::Tensor list_mle(const RankedLists& lists) {
  const torch::Tensor count = counts(lists);
  return mean_of_lists(((log_sum_from(lists) - lists.student) * count).sum(1), count);
}

torch::Tensor relaxed_ranking(const RankedLists& lists, const torch::Tensor& uninteresting) {
  const torch::Tensor count = counts(lists);
  const torch::Tensor rest = torch::logsumexp(uninteresting, 1, true);
  const torch::Tensor all = torch::logaddexp(log_sum_from(lists), rest);
  return mean_of_lists(((all - lists.student) * count).sum(1), count);
}

torch::Tensor collaborative(const RankedLists& lists, double scale, double shift) {
  const torch::Tensor count = counts(lists);
  const torch::Tensor teacher = torch::where(lists.valid, teacher_of(lists, "collaborative"),
                                             torch::zeros_like(lists.student));
  const torch::Tensor p = torch::sigmoid((teacher + shift) / scale);
  const torch::Tensor each = p * cost(lists.student) + (1 - p) * cost(-lists.student);
  return (each * count).sum() / count.sum().clamp_min(1);
}

}  // namespace retort
