#include "retort/loss/scored.h"

#include "retort/common/error.h"
#include "retort/loss/distillation.h"
#include "retort/loss/inputs.h"
#include "retort/loss/soft_target.h"

namespace retort {
namespace {

void check_above_zero(const Fields& fields, const std::string& key, double value) {
  if (!(value > 0))
    fail<ConfigError>("{}: a number above 0 is expected, not {}", fields.name(key), value);
}

/// The rows' user vectors behind a student's logit. [R, D]
const torch::Tensor& vectors_of(const LossInputs& inputs, const std::string& on, const char* loss) {
  const auto found = inputs.catalogue.users.find(on);
  if (found != inputs.catalogue.users.end()) return found->second;
  fail<ConfigError>(
      "loss '{}' wants the vectors of '{}', which the student does not have: one of two_tower has "
      "'student', one of multi_task 'student_TASK' of each task",
      loss, on);
}

/// <users[q], items[places[q, k]]>. @return [Q, K]
torch::Tensor products(const torch::Tensor& users, const torch::Tensor& items,
                       const torch::Tensor& places) {
  const torch::Tensor chosen =
      items.index_select(0, places.flatten()).view({places.size(0), places.size(1), items.size(1)});
  return torch::bmm(chosen, users.unsqueeze(2)).squeeze(2);
}

void check_lists(const LossInputs& inputs, const char* loss) {
  if (!inputs.scored.list_places.defined())
    fail<ConfigError>(
        "loss '{}' wants users' lists; give [scores] a file of them (`retort score RUN --pairs "
        "top-100`)",
        loss);
}

/// The student's logits of items that are not in the lists, far below all where there are not so
/// many. @return [Q, N]
torch::Tensor rest_of(const LossInputs& inputs, const std::string& on, const char* loss) {
  const ScoredInputs& scored = inputs.scored;
  if (scored.rest_places.size(1) == 0)
    fail<ConfigError>(
        "loss '{}' compares with items outside the lists; write scores.lists.rest = 40 or any "
        "other "
        "number above 0",
        loss);
  const torch::Tensor users = vectors_of(inputs, on, loss).index_select(0, scored.list_row);
  const torch::Tensor logits = products(users, scored.list_items, scored.rest_places);
  return torch::where(scored.rest_valid, logits, torch::full_like(logits, -1e30));
}

/// A term whose only option is the logit that learns.
Loss on_lists(const Json& term, const char* loss, torch::Tensor (*function)(const RankedLists&)) {
  std::string on = "student";
  Fields fields = term_fields(term);
  read_student_logit(fields, on);
  fields.finish();
  return [on, loss, function](const LossInputs& inputs) {
    return function(lists_of(inputs, on, loss));
  };
}

}  // namespace

RankedLists lists_of(const LossInputs& inputs, const std::string& on, const char* loss) {
  check_lists(inputs, loss);
  const ScoredInputs& scored = inputs.scored;
  const torch::Tensor users = vectors_of(inputs, on, loss).index_select(0, scored.list_row);
  return {products(users, scored.list_items, scored.list_places), scored.list_teacher,
          scored.list_valid};
}

torch::Tensor rank_weighted_bce(const torch::Tensor& logits, const torch::Tensor& clicks,
                                const torch::Tensor& rank, int64_t length, double tau, double keep,
                                double strength) {
  const torch::Tensor places = torch::arange(1, length + 1, logits.options());
  const torch::Tensor sum = (-places / tau).exp().sum();
  const torch::Tensor listed = ((rank > 0) & (rank <= length)).to(logits.scalar_type());
  const torch::Tensor weight = listed * (-rank.to(logits.scalar_type()) / tau).exp() / sum;
  return -(clicks * (keep + strength * static_cast<double>(length) * weight) *
               torch::log_sigmoid(logits) +
           (1 - clicks) * torch::log_sigmoid(-logits))
              .mean();
}

torch::Tensor in_batch_kl(const torch::Tensor& users, const torch::Tensor& items,
                          const torch::Tensor& group, const torch::Tensor& row,
                          const torch::Tensor& teacher, double temperature) {
  if (teacher.numel() == 0) return users.sum() * 0;
  const torch::Tensor student =
      torch::matmul(users, items.t()).flatten().index_select(0, group * items.size(0) + row);
  const torch::Tensor known = teacher.isnan().logical_not();
  const torch::Tensor given = torch::where(known, teacher, torch::zeros_like(teacher));
  return (kl_rows(given, student, temperature) * known).sum() / known.sum().clamp_min(1);
}

Loss make_rank_weighted_bce(const Json& term) {
  std::string on = "student", label = "click";
  double tau = 10, keep = 1, strength = 1;
  Fields fields = term_fields(term);
  read_student_logit(fields, on);
  read_label(fields, "label", label);
  fields.read("tau", tau);
  fields.read("keep", keep);
  fields.read("strength", strength);
  fields.finish();
  check_above_zero(fields, "tau", tau);
  if (!(keep >= 0 && strength >= 0 && keep + strength > 0))
    fail<ConfigError>("{}, {}: 0 or more, not both 0, are expected, not {} and {}",
                      fields.name("keep"), fields.name("strength"), keep, strength);
  return [=](const LossInputs& inputs) {
    constexpr const char* kName = "rank_weighted_bce";
    if (!inputs.scored.rank.defined()) check_lists(inputs, kName);
    const torch::Tensor logits = logit_of(inputs, on, kName);
    return rank_weighted_bce(logits, label_of(inputs, label, kName, logits), inputs.scored.rank,
                             inputs.scored.length, tau, keep, strength);
  };
}

Loss make_ranking_distillation(const Json& term) {
  std::string on = "student";
  double tau = 10, mu = 0;
  int64_t mu_after = 0;
  Fields fields = term_fields(term);
  read_student_logit(fields, on);
  fields.read("tau", tau);
  fields.read("mu", mu);
  fields.read("mu_after", mu_after);
  fields.finish();
  check_above_zero(fields, "tau", tau);
  if (!(mu >= 0 && mu_after >= 0))
    fail<ConfigError>("{}, {}: 0 or more are expected, not {} and {}", fields.name("mu"),
                      fields.name("mu_after"), mu, mu_after);
  return [=](const LossInputs& inputs) {
    constexpr const char* kName = "ranking_distillation";
    const RankedLists lists = lists_of(inputs, on, kName);
    torch::Tensor factor;
    if (mu > 0 && inputs.scored.step > mu_after)
      factor =
          rank_discrepancy(lists, rest_of(inputs, on, kName).detach(), inputs.scored.catalogue, mu);
    return ranking_distillation(lists, tau, factor);
  };
}

Loss make_pair_logistic(const Json& term) { return on_lists(term, "pair_logistic", pair_logistic); }

Loss make_margin_mse(const Json& term) { return on_lists(term, "margin_mse", margin_mse); }

Loss make_list_mle(const Json& term) { return on_lists(term, "list_mle", list_mle); }

Loss make_list_net(const Json& term) {
  std::string on = "student";
  double tau = 1;
  Fields fields = term_fields(term);
  read_student_logit(fields, on);
  fields.read("tau", tau);
  fields.finish();
  check_above_zero(fields, "tau", tau);
  return [=](const LossInputs& inputs) { return list_net(lists_of(inputs, on, "list_net"), tau); };
}

Loss make_relaxed_ranking(const Json& term) {
  std::string on = "student";
  Fields fields = term_fields(term);
  read_student_logit(fields, on);
  fields.finish();
  return [=](const LossInputs& inputs) {
    return relaxed_ranking(lists_of(inputs, on, "relaxed_ranking"),
                           rest_of(inputs, on, "relaxed_ranking"));
  };
}

Loss make_collaborative(const Json& term) {
  std::string on = "student";
  double scale = 1, shift = 0;
  Fields fields = term_fields(term);
  read_student_logit(fields, on);
  fields.read("scale", scale);
  fields.read("shift", shift);
  fields.finish();
  check_above_zero(fields, "scale", scale);
  return [=](const LossInputs& inputs) {
    return collaborative(lists_of(inputs, on, "collaborative"), scale, shift);
  };
}

Loss make_in_batch_kl(const Json& term) {
  std::string on = "student";
  double temperature = 1;
  Fields fields = term_fields(term);
  read_student_logit(fields, on);
  const SoftTarget target = SoftTarget::read(fields, "scored_read");
  fields.read("temperature", temperature);
  fields.finish();
  check_above_zero(fields, "temperature", temperature);
  for (const std::string& name : target.names)
    if (!name.starts_with("scored_"))
      fail<ConfigError>("{} = '{}': scored_NAME is expected: only [scores] knows pairs",
                        fields.name("target"), name);
  return [=](const LossInputs& inputs) {
    const ScoredInputs& scored = inputs.scored;
    const torch::Tensor users =
        vectors_of(inputs, on, "in_batch_kl").index_select(0, scored.group_row);
    return in_batch_kl(users, scored.row_items, scored.pair_group, scored.pair_row,
                       target.of(scored.pair_logits, "in_batch_kl"), temperature);
  };
}

}  // namespace retort
