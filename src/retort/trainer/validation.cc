#include "retort/trainer/validation.h"

#include <algorithm>
#include <cmath>

#include "retort/common/error.h"
#include "retort/dataset/prefetcher.h"
#include "retort/metric/catalogue.h"
#include "retort/metric/rank_metric.h"
#include "retort/trainer/torch_towers.h"

namespace retort {
namespace {

// Scores of all rows of a split, gathered batch by batch.
struct ScoredRows {
  std::vector<float> student, teacher_click, teacher_read;
  std::vector<RowKind> kinds;
  std::vector<int32_t> users;
  std::vector<std::vector<float>> task_logits, task_labels;  // [tasks][rows]
};

void append(const torch::Tensor& scores, std::vector<float>& to) {
  if (!scores.defined()) return;
  to.resize(to.size() + static_cast<size_t>(scores.numel()));
  copy_floats(scores, std::span(to).last(static_cast<size_t>(scores.numel())));
}

void append_kinds(const Batch& batch, ScoredRows& rows) {
  for (int64_t row = 0; row < batch.rows(); ++row)
    rows.kinds.push_back(batch.click[row] == 0  ? RowKind::kSampled
                         : batch.read[row] == 0 ? RowKind::kShortClick
                                                : RowKind::kRead);
  rows.users.insert(rows.users.end(), batch.user.begin(), batch.user.end());
}

AucSplit split_of(const std::vector<float>& scores, const ScoredRows& rows, const char* whose) {
  for (const float score : scores)
    if (!std::isfinite(score))
      fail<Error>(
          "validation: a score of the {} is not finite; the last good checkpoint is kept. "
          "Lower optimizer.learning_rate or set optimizer.clip_norm",
          whose);
  return SortedRows(scores, rows.kinds, rows.users).split();
}

void append_tasks(const Learner::Scores& scores, ScoredRows& rows) {
  rows.task_logits.resize(scores.task_logits.size());
  rows.task_labels.resize(scores.task_labels.size());
  for (size_t i = 0; i < scores.task_logits.size(); ++i) {
    append(scores.task_logits[i], rows.task_logits[i]);
    append(scores.task_labels[i], rows.task_labels[i]);
  }
}

/// Area of a task's logits over the rows whose label is known.
double task_auc_of(const std::vector<float>& logits, const std::vector<float>& labels) {
  std::vector<float> scores;
  std::vector<uint8_t> positive;
  for (size_t row = 0; row < logits.size(); ++row) {
    if (std::isnan(labels[row])) continue;
    scores.push_back(logits[row]);
    positive.push_back(labels[row] > 0 ? 1 : 0);
  }
  return auc(scores, positive);
}

CatalogueOptions catalogue_options(const Dataset& dataset, const std::string& metric,
                                   int64_t limit) {
  const Protocol& protocol = dataset.protocol();
  CatalogueOptions options;
  options.split = Split::kValid;
  options.alive_window = protocol.alive_window;
  options.refresh = protocol.refresh;
  options.exclude_seen = protocol.exclude_seen;
  options.reads_only = !of_every_click(metric);
  options.limit = limit;
  return options;
}

bool ranks_catalogue(const std::string& metric) {
  return metric_k(metric, "recall") > 0 || of_every_click(metric);
}

void add_weighted(LossValues& sum, const LossValues& values, double weight) {
  sum.terms.resize(values.terms.size());
  sum.total += values.total * weight;
  for (size_t i = 0; i < values.terms.size(); ++i) sum.terms[i] += values.terms[i] * weight;
}

}  // namespace

Judgement judge(Learner& learner, const Dataset& dataset, const Loader& rows,
                const LoopOptions& loop, const std::function<void()>& between_batches) {
  ScoredRows scored;
  Judgement judgement;
  Prefetcher batches(rows);
  batches.start(0);
  while (const Batch* next = batches.next()) {
    const Batch& batch = *next;
    between_batches();
    const Learner::Scores scores = learner.score(batch);
    append(scores.student, scored.student);
    append(scores.teacher_click, scored.teacher_click);
    append(scores.teacher_read, scored.teacher_read);
    append_kinds(batch, scored);
    append_tasks(scores, scored);
    add_weighted(judgement.losses, scores.losses,
                 static_cast<double>(batch.rows()) / static_cast<double>(rows.rows()));
  }
  if (learner.phase() != Phase::kTeacher)
    judgement.student = split_of(scored.student, scored, "student");
  const TaskForest& forest = learner.forest();
  for (size_t i = 0; i < scored.task_logits.size(); ++i)
    judgement.task_auc[forest.tasks[i].name] =
        task_auc_of(scored.task_logits[i], scored.task_labels[i]);
  if (!scored.teacher_read.empty()) {
    judgement.teacher = split_of(scored.teacher_read, scored, "teacher");
    if (!scored.teacher_click.empty())
      judgement.teacher->auc_click = split_of(scored.teacher_click, scored, "teacher").auc_click;
  }
  if (ranks_catalogue(loop.metric) && learner.phase() != Phase::kTeacher) {
    const TorchTowers towers(learner.shared_student(), dataset.schema(), learner.device());
    const CatalogueOptions options = catalogue_options(dataset, loop.metric, loop.validation_limit);
    judgement.recall = rank_metric(dataset, rank_catalogue(dataset, towers, options), loop.metric);
  }
  return judgement;
}

namespace {

constexpr std::string_view kTaskAuc = "task_auc";

bool is_of_tasks(const std::string& metric) { return metric.starts_with(kTaskAuc); }

/// "task_auc": the mean over the tasks; "task_auc_NAME": that task's.
double task_metric(const Judgement& judgement, const std::string& metric) {
  if (metric.size() > kTaskAuc.size()) return judgement.task_auc.at(metric.substr(9));
  double sum = 0;
  for (const auto& [task, value] : judgement.task_auc) sum += value;
  return sum / static_cast<double>(judgement.task_auc.size());
}

}  // namespace

std::string deciding_name(const std::string& metric, Phase phase) {
  return phase == Phase::kTeacher && metric != "loss" && !is_of_tasks(metric) ? "auc_read" : metric;
}

std::optional<double> teacher_metric(const Judgement& judgement, const std::string& metric) {
  if (!judgement.task_auc.empty() && (is_of_tasks(metric) || !judgement.task_auc.contains("read")))
    return task_metric(judgement, is_of_tasks(metric) ? metric : std::string(kTaskAuc));
  if (!judgement.teacher) return std::nullopt;
  return judgement.teacher->auc_read;
}

double deciding_metric(const Judgement& judgement, const std::string& metric, Phase phase) {
  const std::string name = deciding_name(metric, phase);
  if (name == "loss") return judgement.losses.total;
  const auto area = [&] {
    if (is_of_tasks(name)) return task_metric(judgement, name);
    if (phase == Phase::kTeacher) return teacher_metric(judgement, name).value();
    return name == "auc_click" ? judgement.student->auc_click : judgement.student->auc_read;
  };
  const double value = ranks_catalogue(name) ? judgement.recall.value() : area();
  if (std::isnan(value))
    fail<DataError>(
        "validation: its rows hold only one class, so that '{}' is not defined; choose "
        "train.metric = \"loss\" or ingest with a longer split.valid",
        name);
  return value;
}

bool is_better(const std::string& metric, double value, double best) {
  return metric == "loss" ? value < best : value > best;
}

Json to_json(const AucSplit& split) {
  return {{"auc_read", split.auc_read},
          {"auc_click", split.auc_click},
          {"auc_read_given_click", split.auc_read_given_click},
          {"auc_read_vs_sampled", split.auc_read_vs_sampled},
          {"omega", split.omega}};
}

namespace {

/// Every way to give `left` of `steps` parts to the tasks that have no share yet.
void add_shares(int32_t tasks, int32_t steps, int32_t left, std::vector<double> given,
                std::vector<std::vector<double>>& all) {
  if (std::ssize(given) == tasks - 1) {
    given.push_back(static_cast<double>(left) / steps);
    all.push_back(given);
    return;
  }
  for (int32_t part = left; part >= 0; --part) {
    given.push_back(static_cast<double>(part) / steps);
    add_shares(tasks, steps, left - part, given, all);
    given.pop_back();
  }
}

}  // namespace

FusionChoice choose_fusion(const Dataset& dataset, std::shared_ptr<CandidateModel> student,
                           torch::Device device, const FusionOptions& options, int64_t limit) {
  const std::vector<double> before = task_shares(student->spec());
  const bool two = before.size() == 2;
  const TorchTowers towers(student, dataset.schema(), device);
  FusionChoice choice;
  if (two)
    for (const double w : options.grid) choice.tried.push_back({w});
  else
    add_shares(static_cast<int32_t>(before.size()), options.steps, options.steps, {}, choice.tried);
  for (const std::vector<double>& shares : choice.tried) {
    student->set_shares(shares);
    const CatalogueRanks ranks =
        rank_catalogue(dataset, towers, catalogue_options(dataset, options.metric, limit));
    choice.values.push_back(rank_metric(dataset, ranks, options.metric));
  }
  student->set_shares(two ? std::vector<double>{before[0]} : before);
  const auto best = std::max_element(choice.values.begin(), choice.values.end());
  choice.shares = choice.tried[two ? best_weight(options.grid, choice.values)
                                   : static_cast<size_t>(best - choice.values.begin())];
  return choice;
}

BetaChoice choose_beta(const Dataset& dataset, const Towers& towers, const BetaOptions& options,
                       int64_t limit) {
  BetaChoice choice;
  const auto ranks = rank_catalogue(
      dataset, towers, catalogue_options(dataset, options.metric, limit), options.grid);
  size_t best = 0;
  for (size_t i = 0; i < options.grid.size(); ++i) {
    choice.values.push_back(rank_metric(dataset, ranks[i], options.metric));
    const bool equal = choice.values[i] == choice.values[best];
    if (choice.values[i] > choice.values[best] || (equal && options.grid[i] < options.grid[best]))
      best = i;
  }
  choice.beta = options.grid[best];
  return choice;
}

}  // namespace retort
