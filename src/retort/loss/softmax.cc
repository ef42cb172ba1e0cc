#include "retort/loss/softmax.h"

#include "retort/common/error.h"
#include "retort/loss/inputs.h"

namespace retort {
namespace {

constexpr const char* kName = "softmax";
constexpr std::string_view kPrefix = "student_";

NegativeSet read_set(Fields& fields) {
  NegativeSet set;
  fields.read("negatives", set.kind);
  negative_set(set.kind);
  fields.read("count", set.count);
  fields.read("low", set.low);
  fields.read("high", set.high);
  fields.read_choice("log_q", set.log_q, {"counts", "streaming"});
  fields.read("temperature", set.temperature);
  if (set.count < 1)
    fail<ConfigError>("{}: 1 or more is expected, not {}", fields.name("count"), set.count);
  if (set.low < 1 || set.high <= set.low)
    fail<ConfigError>("{}, {}: ranks from 1, low below high, are expected, not {} and {}",
                      fields.name("low"), fields.name("high"), set.low, set.high);
  if (!(set.temperature > 0))
    fail<ConfigError>("{}: a number above 0 is expected, not {}", fields.name("temperature"),
                      set.temperature);
  return set;
}

/// The rows that count, as CatalogueInputs of their own.
CatalogueInputs of_rows(const CatalogueInputs& from, const torch::Tensor& rows) {
  CatalogueInputs to = from;
  to.targets = from.targets.index_select(0, rows);
  if (from.user_of_row.defined()) to.user_of_row = from.user_of_row.index_select(0, rows);
  return to;
}

/// Rows of one user share the sum over the catalogue: lse - <u, v> of a row is that of the user's
/// first row, plus <u, its item>, less <u, the row's item>.
torch::Tensor by_user(const torch::Tensor& users, const CatalogueInputs& catalogue,
                      const NegativeSet& set) {
  const auto [owners, owner, counts] = torch::unique_consecutive(catalogue.user_of_row, true, true);
  if (owners.size(0) == users.size(0)) return negative_set(set.kind).loss(users, catalogue, set);
  const torch::Tensor first = counts.cumsum(0) - counts;
  const torch::Tensor own =
      (users * catalogue.items.index_select(0, catalogue.targets)).sum(1) / set.temperature;
  const torch::Tensor loss =
      negative_set(set.kind).loss(users.index_select(0, first), of_rows(catalogue, first), set);
  return (loss + own.index_select(0, first)).index_select(0, owner) - own;
}

torch::Tensor row_losses(const torch::Tensor& users, const CatalogueInputs& catalogue,
                         const NegativeSet& set) {
  if (set.kind == "all" && catalogue.user_of_row.defined()) return by_user(users, catalogue, set);
  return negative_set(set.kind).loss(users, catalogue, set);
}

}  // namespace

torch::Tensor softmax_loss(const LossInputs& inputs, const std::string& on, double unclicked,
                           const NegativeSet& set) {
  const CatalogueInputs& catalogue = inputs.catalogue;
  if (catalogue.item_of_row.defined() && !set.kind.starts_with("batch"))
    fail<ConfigError>(
        "loss 'softmax': items of this dataset have features that depend on the moment (as-of "
        "aggregates, age), so that no step knows the whole catalogue; write negatives = \"batch\" "
        "or \"batch_corrected\", not \"{}\", or leave those features out of the dataset",
        set.kind);
  const auto vectors = catalogue.users.find(on);
  if (vectors == catalogue.users.end() || !catalogue.items.defined())
    fail<ConfigError>(
        "loss 'softmax' wants the vectors of '{}', which the student does not have: one of "
        "two_tower has 'student', one of multi_task 'student_TASK' of each task",
        on);
  const torch::Tensor& users = vectors->second;
  const torch::Tensor like = users.select(1, 0);
  const torch::Tensor y = label_of(inputs, "click", kName, like);
  torch::Tensor counts = (catalogue.targets >= 0).to(like.scalar_type());
  torch::Tensor weight;
  if (on == "student" || on == "student_click") {
    weight = y + unclicked * (1 - y);
  } else if (on == "student_dwm") {
    counts = counts * label_of(inputs, "known", kName, like);
    weight = y * label_of(inputs, "reward", kName, like);
  } else {
    const torch::Tensor z = label_of(inputs, on.substr(kPrefix.size()), kName, like);
    counts = counts * z.isnan().logical_not().to(like.scalar_type());
    weight = torch::nan_to_num(z, 0.0);
  }
  weight = weight * counts;
  const torch::Tensor rows = weight.nonzero().squeeze(1);
  if (rows.size(0) == 0) return users.sum() * 0;
  const torch::Tensor loss = row_losses(users.index_select(0, rows), of_rows(catalogue, rows), set);
  return (loss * weight.index_select(0, rows)).sum() / counts.sum();
}

Loss make_softmax(const Json& term) {
  std::string on = "student";
  double unclicked = 0.5;
  Fields fields = term_fields(term);
  read_student_logit(fields, on);
  fields.read("unclicked", unclicked);
  const NegativeSet set = read_set(fields);
  fields.finish();
  if (!(unclicked >= 0 && unclicked <= 1))
    fail<ConfigError>("{}: 0 to 1 is expected, not {}", fields.name("unclicked"), unclicked);
  return [on, unclicked, set](const LossInputs& inputs) {
    return softmax_loss(inputs, on, unclicked, set);
  };
}

}  // namespace retort
