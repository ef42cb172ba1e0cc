#include "retort/trainer/learner.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "retort/common/error.h"
#include "retort/common/text.h"
#include "retort/common/trace.h"
#include "retort/loss/inputs.h"
#include "retort/model/task_logits.h"
#include "retort/nn/mixed_precision.h"
#include "retort/trainer/nonfinite.h"

namespace retort {
namespace {

constexpr const char* kStudentOptimizer = "student_optimizer/";
constexpr const char* kTeacherOptimizer = "teacher_optimizer/";
constexpr const char* kStreaming = "streaming/";
constexpr const char* kSnapshot = "snapshot/";
constexpr const char* kSnapshotOptimizer = "snapshot_optimizer/";
constexpr const char* kLossWeights = "loss_weights/";
constexpr double kStreamingRate = 0.05;  // of new intervals; Yi et al. try 0.01 to 0.1

constexpr const char* kRemedy =
    "the last good checkpoint is kept. Check that feature's data, lower optimizer.learning_rate or "
    "set optimizer.clip_norm";

}  // namespace

std::string_view name_of(Phase phase) {
  switch (phase) {
    case Phase::kTeacher:
      return "teacher";
    case Phase::kStudent:
      return "student";
    default:
      return "joint";
  }
}

Learner::Learner(const TrainRecipe& recipe, const Schema& schema, uint64_t seed,
                 torch::Device device, int64_t planned_steps, const Dataset* dataset)
    : terms_(recipe.terms),
      schema_(schema),
      device_(device),
      widths_(dense_widths(schema)),
      reward_(recipe.reward),
      forest_(recipe.tasks),
      labels_(dataset == nullptr ? std::vector<std::string>() : dataset->labels()),
      draws_(seed, "negatives.step"),
      list_draws_(seed, "scores.lists"),
      bf16_(trains_in_bf16(recipe.loop.precision, device.is_cpu())),
      loss_weights_(recipe.loss_weights, recipe.terms) {
  for (const TermOptions& term : terms_) losses_.push_back(make_loss(term.loss, term.options));
  const OptimizerOptions optimizer = OptimizerOptions::read(recipe.optimizer);
  student_ = make_candidate_model(schema, recipe.student, Rng(seed, "init.student"));
  if (const auto& mixture = student_->spec().user.mixture) {
    if (mixture->tasks.size() == 2 && recipe.fusion.shares.empty())
      student_->set_fusion(recipe.fusion.value);
    else if (!recipe.fusion.shares.empty())
      student_->set_shares(recipe.fusion.shares);
  } else if (recipe.fusion.on_validation || !recipe.fusion.shares.empty()) {
    fail<ConfigError>(
        "recipe key 'fusion': shares of tasks are those of student.kind = \"multi_task\"; '{}' has "
        "none to choose",
        student_->spec().kind);
  }
  student_->to(device_);
  student_optimizer_ = std::make_unique<Optimizer>(optimizer, *student_, planned_steps);
  if (recipe.needs().catalogue && dataset != nullptr)
    catalogue_ =
        std::make_unique<CatalogueRows>(*dataset, recipe.loop.rows == "impressions", device_);
  if (recipe.needs_streaming_share() && catalogue_ != nullptr)
    streaming_.emplace(catalogue_->size(), kStreamingRate, device_);
  if (dataset != nullptr) {
    open_mentor(recipe, *dataset);
    make_snapshot_scale(*dataset, optimizer, planned_steps);
  }
  if (!recipe.has_teacher()) {
    check_names();
    return;
  }
  teacher_ = make_ranking_model(schema, recipe.teacher, Rng(seed, "init.teacher"), student_.get());
  if (recipe.frozen && teacher_->shares_student())
    fail<ConfigError>(
        "recipe key 'distill.mode': 'frozen' trains the teacher first, alone; set teacher.sharing "
        "= \"none\"");
  teacher_->to(device_);
  teacher_optimizer_ = std::make_unique<Optimizer>(optimizer, *teacher_, planned_steps);
  check_names();
}

void Learner::open_mentor(const TrainRecipe& recipe, const Dataset& dataset) {
  if (!recipe.mentor.empty()) {
    mentor_ = load_run_models(recipe.mentor, dataset, device_);
    if (mentor_->teacher == nullptr)
      fail<ConfigError>("recipe key 'distill.run': the run {} has no ranking model", recipe.mentor);
  }
  const ScoreOptions& scores = recipe.scores;
  asks_mentor_ = mentor_ && (recipe.has_target("mentor_") || scores.snapshot || scores.rescore);
  if (scores.given)
    scores_.emplace(recipe, dataset, mentor_ ? mentor_->teacher.get() : nullptr, device_);
}

/// Of the ranker whose scores some term compares with by snapshot: that of the log or of the file.
int64_t Learner::count_snapshots(const Dataset& dataset) const {
  bool logged = false, stored = false;
  for (const TermOptions& term : terms_)
    if (term.options.value("per_snapshot", false))
      (term.options.value("target", "").starts_with("logged_") ? logged : stored) = true;
  if (logged && stored)
    fail<ConfigError>(
        "recipe key 'terms': per_snapshot is of logged scores or of stored ones, not of both");
  if (stored) return scores_ ? scores_->snapshots() : 0;
  const std::span<const int32_t> snapshots = dataset.impressions().snapshot;
  return snapshots.empty() ? 0 : *std::max_element(snapshots.begin(), snapshots.end()) + 1;
}

void Learner::make_snapshot_scale(const Dataset& dataset, const OptimizerOptions& optimizer,
                                  int64_t planned_steps) {
  std::set<std::string> logits;
  for (const TermOptions& term : terms_)
    if (term.options.value("per_snapshot", false)) logits.insert(term.on);
  if (logits.empty()) return;
  const int64_t snapshots = count_snapshots(dataset);
  if (snapshots == 0)
    fail<ConfigError>(
        "recipe key 'terms': per_snapshot wants scores with a snapshot; give `scores` in the data "
        "recipe's events and ingest again, or the file of [scores] such a column");
  snapshot_scale_ = std::make_shared<SnapshotScale>(snapshots);
  for (const std::string& logit : logits) snapshot_scale_->add(logit);
  snapshot_scale_->to(device_);
  snapshot_optimizer_ = std::make_unique<Optimizer>(optimizer, *snapshot_scale_, planned_steps);
}

bool Learner::active(const TermOptions& term) const {
  return phase_ == Phase::kJoint || term.on_student() == (phase_ == Phase::kStudent);
}

void Learner::score_student(const Batch& batch, const TensorBatch& tensors, int64_t step,
                            LossInputs& logits) {
  const TraceScope trace("student: rest of forward");
  CatalogueInputs& catalogue = logits.catalogue;
  const std::vector<torch::Tensor> tasks = student_->encode_user_tasks(tensors.users);
  const torch::Tensor items = student_->encode_items(tensors.items);
  const std::vector<std::string>& names = task_names(student_->spec());
  std::vector<torch::Tensor> scores;
  for (size_t i = 0; i < tasks.size(); ++i) {
    const std::string name = names.empty() ? "student" : "student_" + names[i];
    const torch::Tensor users = expand_rows(tasks[i], tensors.user_of_row);
    scores.push_back((users * items).sum(1));
    logits.logits[name] = scores.back();
    catalogue.users[name] = users;
  }
  if (student_->spec().user.gate) {
    const torch::Tensor users =
        expand_rows(student_->encode_users(tensors.users), tensors.user_of_row);
    logits.logits["student"] = (users * items).sum(1);
    catalogue.users["student"] = users;
  } else if (!names.empty()) {
    logits.logits["student"] = mix(scores, task_shares(student_->spec()));
  }
  const torch::Tensor& snapshot =
      logits.scored.snapshot.defined() ? logits.scored.snapshot : tensors.snapshot;
  if (snapshot_scale_ != nullptr && snapshot.defined())
    for (const auto& item : snapshot_scale_->named_children())
      logits.logits[item.key() + kPerSnapshot] =
          snapshot_scale_->forward(item.key(), logits.logits.at(item.key()), snapshot);
  if (catalogue_ != nullptr) fill_catalogue(batch, tensors, items, step, catalogue);
  if (!scores_) return;
  logits.scored.step = step;
  scores_->add_beyond_rows(
      batch, items, list_draws_.fork(static_cast<uint64_t>(step)),
      [this](const SideTensors& side) { return student_->encode_items(side); }, logits);
}

void Learner::fill_catalogue(const Batch& batch, const TensorBatch& tensors,
                             const torch::Tensor& items, int64_t step, CatalogueInputs& catalogue) {
  catalogue.user_of_row = tensors.user_of_row;
  catalogue.log_q = catalogue_->log_q();
  catalogue.targets = catalogue_->places(batch.item);
  catalogue.shown = catalogue.targets.masked_select(catalogue.targets >= 0);
  if (streaming_) {
    if (torch::GradMode::is_enabled()) streaming_->update(catalogue.shown, step);
    catalogue.streaming_log_q = streaming_->log_q();
  }
  catalogue.draws = draws_.fork(static_cast<uint64_t>(step));
  if (!catalogue_->moving()) {
    catalogue.items = student_->encode_items(catalogue_->items());
    return;
  }
  const torch::Tensor places = catalogue.targets, known = places >= 0,
                      rows = torch::arange(places.size(0), places.options());
  catalogue.items = items;
  catalogue.item_of_row = places;
  catalogue.targets = torch::where(known, rows, places);
  catalogue.shown = rows.masked_select(known);
  const auto of_row = [&](torch::Tensor& share) {
    if (share.defined()) share = share.index_select(0, places.clamp_min(0));
  };
  of_row(catalogue.log_q);
  of_row(catalogue.streaming_log_q);
}

Learner::Outputs Learner::forward(const Batch& batch, bool all_models, int64_t step) {
  const TensorBatch tensors = [&] {
    const TraceScope trace("batch to tensors");
    return to_tensors(batch, widths_, device_);
  }();
  Outputs outputs;
  fill_labels(tensors, outputs.logits);
  auto& named = outputs.logits.logits;
  if (tensors.logged_click.defined()) named["logged_click"] = tensors.logged_click;
  if (tensors.logged_dwm.defined()) named["logged_dwm"] = tensors.logged_dwm;
  if (teacher_ != nullptr) {
    const TraceScope trace("teacher: rest of forward");
    torch::AutoGradMode gradients(torch::GradMode::is_enabled() && phase_ != Phase::kStudent);
    for (const auto& [name, logit] : teacher_->score(tensors)) named["teacher_" + name] = logit;
  }
  if (asks_mentor_) {
    const TraceScope trace("mentor");
    const torch::NoGradGuard frozen;
    for (const auto& [name, logit] : mentor_->teacher->score(tensors))
      named["mentor_" + name] = logit;
  }
  if (scores_) scores_->add_rows(batch, outputs.logits);
  if (all_models || phase_ != Phase::kTeacher) score_student(batch, tensors, step, outputs.logits);
  if (scores_ && outputs.logits.catalogue.users.size() > 0)
    outputs.coverage = scores_->coverage(batch, outputs.logits);
  const TraceScope trace("losses");
  const std::vector<double> weights = loss_weights_.weights();
  outputs.terms.resize(terms_.size());
  for (size_t i = 0; i < terms_.size(); ++i) {
    if (!active(terms_[i])) continue;
    outputs.terms[i] = losses_[i](outputs.logits);
    const torch::Tensor weighted = outputs.terms[i] * (terms_[i].weight * weights[i]);
    outputs.total = outputs.total.defined() ? outputs.total + weighted : weighted;
  }
  return outputs;
}

void Learner::fill_labels(const TensorBatch& tensors, LossInputs& inputs) const {
  auto& labels = inputs.labels;
  labels = {{"click", tensors.click},
            {"read", tensors.read},
            {"seconds", tensors.seconds},
            {"known", tensors.known},
            {"reward", tensors.seconds.clamp_max(reward_.clip) / reward_.mean}};
  for (size_t i = 0; i < labels_.size(); ++i) labels[labels_[i]] = tensors.labels.at(i);
  if (!forest_.declared) return;
  const std::vector<torch::Tensor> of_tasks = task_labels(forest_, labels);
  for (size_t i = 0; i < of_tasks.size(); ++i) labels[forest_.tasks[i].name] = of_tasks[i];
}

/// Every logit and label that a term names is there, before a first step is made.
void Learner::check_names() const {
  std::vector<std::string> logits{"student"}, labels{"click", "read"};
  for (const std::string& task : task_names(student_->spec())) logits.push_back("student_" + task);
  if (teacher_ != nullptr)
    for (const std::string& output : teacher_->outputs()) logits.push_back("teacher_" + output);
  if (mentor_)
    for (const std::string& output : mentor_->teacher->outputs())
      logits.push_back("mentor_" + output);
  if (scores_) logits.insert(logits.end(), scores_->logits().begin(), scores_->logits().end());
  for (const char* logged : {"logged_click", "logged_dwm"}) logits.emplace_back(logged);
  labels.insert(labels.end(), labels_.begin(), labels_.end());
  for (const std::string& task : forest_.names()) labels.push_back(task);
  const auto check = [](const TermOptions& term, const char* key, const std::string& name,
                        const std::vector<std::string>& known, const std::string& remedy) {
    if (std::find(known.begin(), known.end(), name) != known.end()) return;
    const std::string near = nearest_name(name, known);
    fail<ConfigError>("recipe key 'terms': term '{}': {} = '{}' is not there{}; there are {}{}",
                      term.name, key, name, near.empty() ? "" : ", did you mean '" + near + "'?",
                      fmt::join(known, ", "), remedy);
  };
  for (const TermOptions& term : terms_) {
    check(term, "on", term.on, logits, remedy_of(term.on));
    if (term.options.contains("label")) check(term, "label", term.options["label"], labels, "");
    for (const std::string& target : term.targets())
      check(term, "target", target, logits, remedy_of(target));
  }
}

LossValues Learner::values_of(const Outputs& outputs) const {
  LossValues values;
  values.coverage = outputs.coverage;
  for (size_t i = 0; i < terms_.size(); ++i) {
    const torch::Tensor& term = outputs.terms[i];
    values.terms.push_back(term.defined() ? term.item<double>() : 0);
    values.total += terms_[i].weight * values.terms.back();
  }
  return values;
}

LossValues Learner::step(const Batch& batch, int64_t step, int64_t whole_rows) {
  if (exchange_ != nullptr) return step_with_peers(batch, step, whole_rows);
  const MixedPrecision guard(bf16_);
  const Outputs outputs = forward(batch, false, step);
  const LossValues values = values_of(outputs);
  if (!std::isfinite(values.total) || !guard.finite())
    fail<Error>("{}", refusal(batch, values, step));
  const std::vector<LossWeights::Seen> seen = seen_of(outputs, values);
  {
    const TraceScope trace("rest of backward");
    outputs.total.backward();
  }
  update_weights();
  loss_weights_.update(seen);
  return values;
}

std::vector<LossWeights::Seen> Learner::seen_of(const Outputs& outputs, const LossValues& values) {
  const TraceScope trace("norms of gradients");
  std::vector<LossWeights::Seen> seen(terms_.size());
  for (size_t i = 0; i < terms_.size(); ++i) {
    if (!active(terms_[i])) continue;
    seen[i] = {.active = true, .loss = terms_[i].weight * values.terms[i]};
    if (loss_weights_.wants_norm(i))
      seen[i].norm =
          terms_[i].weight * gradient_norm(outputs.terms[i], terms_[i].on_student()
                                                                 ? student_->common_weights()
                                                                 : teacher_->common_weights());
  }
  return seen;
}

void Learner::update_weights() {
  if (phase_ != Phase::kTeacher) student_optimizer_->step();
  if (snapshot_optimizer_ != nullptr && phase_ != Phase::kTeacher) snapshot_optimizer_->step();
  if (teacher_ != nullptr && phase_ != Phase::kStudent) teacher_optimizer_->step();
}

Learner::Scores Learner::score(const Batch& batch) {
  const torch::NoGradGuard no_grad;
  const Outputs outputs = forward(batch, true, 0);
  const auto named = [&](const std::string& name) {
    const auto at = outputs.logits.logits.find(name);
    return at == outputs.logits.logits.end() ? torch::Tensor() : at->second;
  };
  Scores scores{
      values_of(outputs), named("student"), named("teacher_click"), named("teacher_read"), {}, {}};
  if (!scores.teacher_read.defined()) scores.teacher_read = scores.teacher_click;
  if (!forest_.declared || teacher_ == nullptr) return scores;
  for (const Task& task : forest_.tasks) {
    scores.task_logits.push_back(named("teacher_" + task.name));
    scores.task_labels.push_back(outputs.logits.labels.at(task.name));
  }
  return scores;
}

double Learner::learning_rate() const {
  return phase_ == Phase::kTeacher ? teacher_optimizer_->learning_rate()
                                   : student_optimizer_->learning_rate();
}

NamedTensors Learner::weights() const {
  NamedTensors tensors = add_prefix(named_weights(*student_), kStudentPrefix);
  if (teacher_ != nullptr) tensors.merge(add_prefix(named_weights(*teacher_), kTeacherPrefix));
  return tensors;
}

NamedTensors Learner::full_state() const {
  NamedTensors tensors = weights();
  tensors.merge(add_prefix(student_optimizer_->state(), kStudentOptimizer));
  if (streaming_) tensors.merge(add_prefix(streaming_->state(), kStreaming));
  if (snapshot_optimizer_ != nullptr) {
    tensors.merge(add_prefix(named_weights(*snapshot_scale_), kSnapshot));
    tensors.merge(add_prefix(snapshot_optimizer_->state(), kSnapshotOptimizer));
  }
  if (teacher_ != nullptr)
    tensors.merge(add_prefix(teacher_optimizer_->state(), kTeacherOptimizer));
  tensors.merge(add_prefix(loss_weights_.state(), kLossWeights));
  return tensors;
}

void Learner::load_full_state(const NamedTensors& tensors) {
  load_student(tensors);
  loss_weights_.load_state(take_prefix(tensors, kLossWeights));
  student_optimizer_->load_state(take_prefix(tensors, kStudentOptimizer));
  if (streaming_) streaming_->load_state(take_prefix(tensors, kStreaming));
  if (snapshot_optimizer_ != nullptr) {
    load_weights(*snapshot_scale_, take_prefix(tensors, kSnapshot));
    snapshot_optimizer_->load_state(take_prefix(tensors, kSnapshotOptimizer));
  }
  if (teacher_ == nullptr) return;
  load_teacher(tensors);
  teacher_optimizer_->load_state(take_prefix(tensors, kTeacherOptimizer));
}

void Learner::begin_from(const NamedTensors& tensors) {
  load_full_state(tensors);
  for (const auto& optimizer : {&student_optimizer_, &teacher_optimizer_, &snapshot_optimizer_})
    if (*optimizer != nullptr) (*optimizer)->restart_schedule();
}

void Learner::load_student(const NamedTensors& tensors) {
  load_weights(*student_, take_prefix(tensors, kStudentPrefix));
}

void Learner::load_teacher(const NamedTensors& tensors) {
  load_weights(*teacher_, take_prefix(tensors, kTeacherPrefix));
}

void Learner::check_weights(int64_t step) const {
  const std::string culprit = nonfinite_weight(weights());
  if (!culprit.empty()) fail<Error>("step {}: {}; {}", step, culprit, kRemedy);
}

std::string Learner::refusal(const Batch& batch, const LossValues& losses, int64_t step) const {
  std::string terms;
  for (size_t i = 0; i < terms_.size(); ++i)
    if (!std::isfinite(losses.terms[i]))
      terms += (terms.empty() ? "'" : ", '") + terms_[i].name + '\'';
  std::string culprit = nonfinite_input(batch, schema_);
  if (culprit.empty()) culprit = nonfinite_weight(weights());
  if (culprit.empty()) culprit = "inputs and weights are finite, the logits overflow";
  return fmt::format("step {}: the loss is not finite (term {}): {}; {}", step,
                     terms.empty() ? "weights" : terms, culprit, kRemedy);
}

}  // namespace retort
