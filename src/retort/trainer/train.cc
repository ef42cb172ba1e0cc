#include "retort/trainer/train.h"

#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include "retort/common/error.h"
#include "retort/common/folder_lock.h"
#include "retort/common/log.h"
#include "retort/common/progress.h"
#include "retort/common/text.h"
#include "retort/common/thread_pool.h"
#include "retort/dataset/prefetcher.h"
#include "retort/trainer/loop_state.h"
#include "retort/trainer/metrics_log.h"
#include "retort/trainer/peak_memory.h"
#include "retort/trainer/run_folder.h"
#include "retort/trainer/shared_state.h"
#include "retort/trainer/step_profile.h"
#include "retort/trainer/torch_info.h"
#include "retort/trainer/torch_towers.h"
#include "retort/trainer/validation.h"
#include "retort/trainer/warm_start.h"

namespace retort {
namespace {

/// Seconds since its construction.
class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

class Training {
 public:
  Training(const Json& recipe, const Dataset& dataset, const TrainOptions& options)
      : recipe_json_(recipe),
        dataset_(dataset),
        options_(options),
        recipe_(read_train_recipe(recipe, dataset)),
        device_(parse_device(device_of_rank(options.device, options.launch))),
        profile_(options.profile ? std::optional(options.run / "profile.json") : std::nullopt),
        ranks_(options.launch, std::chrono::seconds(recipe_.loop.rank_timeout), device_),
        paths_(options.run),
        warm_start_(find_warm_start(options, recipe, dataset)),
        train_rows_(dataset, part_of(rows_to_learn(recipe, dataset), ranks_)),
        batches_(train_rows_),
        learner_(recipe_, dataset.schema(), options.seed, device_,
                 recipe_.loop.epochs * train_rows_.batches(), &dataset) {
    if (train_rows_.positives() == 0)
      fail<DataError>("{}: no click in the training split{}", dataset.folder().string(),
                      recipe_.loop.new_days ? " since the run of the warm start" : "");
    if (dataset.rows_of(Split::kValid).empty())
      log_warning("train", "no validation rows: all {} epochs are run and the last one is kept",
                  recipe_.loop.epochs);
    else
      valid_rows_.emplace(dataset, validation_rows(dataset, recipe_.loop));
    if (learner_.scores() == nullptr) return;
    const std::string known =
        learner_.scores()->describe(training_rows(recipe, dataset, options.seed));
    if (!known.empty() && ranks_.first())
      log_info("train", "{}: {}", recipe_.scores.file.file, known);
  }

  TrainResult run() {
    open();
    while (!state_.finished) {
      train_epoch();
      finish_epoch();
    }
    return finish();
  }

 private:
  LoaderOptions rows_to_learn(const Json& recipe, const Dataset& dataset) const;
  void open();
  void begin();
  void resume();
  void train_epoch();
  void count(int64_t rows, const LossValues& losses);
  void finish_epoch();
  void close_epoch();
  void keep_best(const std::optional<Judgement>& judgement);
  void keep_teacher_best(const Judgement& judgement, bool improved);
  void end_phase();
  TrainResult finish();
  void finish_run(const TrainResult& result);
  void choose_for_serving(Json& info);
  Json line(const char* kind, const char* split, const LossValues& losses) const;
  void add_loss_weights(Json& line) const;
  void log_window();
  void log_epoch(const std::optional<Judgement>& judgement, double validation_seconds);
  void save_last();
  [[noreturn]] void stop();
  double elapsed() const { return seconds_before_ + watch_.seconds(); }
  std::string progress_label() const;
  std::string scores_digest() const;

  const Json& recipe_json_;
  const Dataset& dataset_;
  const TrainOptions& options_;
  const TrainRecipe recipe_;
  const torch::Device device_;
  StepProfile profile_;
  Ranks ranks_;
  const RunPaths paths_;
  const std::optional<WarmStart> warm_start_;
  const Loader train_rows_;
  std::optional<Loader> valid_rows_;
  Prefetcher batches_;
  Learner learner_;
  LoopState state_;
  std::optional<FolderLock> lock_;  // of the run, by the first process
  std::unique_ptr<MetricsLog> log_;
  Stopwatch watch_;
  double seconds_before_ = 0;  // spent before a resumption
  struct {
    double train_seconds = 0, wait_seconds = 0;
    int64_t rows = 0;
  } logged_;  // totals at the last training line
};

LoaderOptions Training::rows_to_learn(const Json& recipe, const Dataset& dataset) const {
  LoaderOptions rows = training_rows(recipe, dataset, options_.seed);
  if (!recipe_.loop.new_days) return rows;
  if (!warm_start_)
    fail<ConfigError>(
        "recipe key 'train.days' = \"new\": new since which run? Give --warm-start RUN");
  rows.since = warm_start_->trained_until;
  return rows;
}

void Training::open() {
  check_same_job(ranks_, recipe_json_, dataset_, options_.seed);
  ranks_.first_does([this] {
    const bool fresh = !fs::exists(options_.run);
    if (!fresh && !options_.resume)
      fail<ConfigError>("{}: exists already; continue it with --resume, or choose another folder",
                        options_.run.string());
    if (fresh) begin();
    lock_.emplace(options_.run);
    if (!fresh) resume();
  });
  share(ranks_, state_);
  if (state_.finished) return;
  share(ranks_, learner_.full_state());
  learner_.set_phase(state_.phase, &ranks_);
  logged_ = {state_.train_seconds, state_.wait_seconds, state_.rows};
  if (ranks_.first()) log_ = std::make_unique<MetricsLog>(options_.run, state_.metrics_bytes);
}

void Training::begin() {
  state_.phase = recipe_.frozen ? Phase::kTeacher : Phase::kJoint;
  FolderInMaking folder(options_.run);
  const RunPaths paths(folder.path());
  fs::create_directories(paths.last.parent_path());
  write_json(paths.recipe, recipe_json_);
  write_json(paths.model, to_json(learner_.student().spec()));
  Json info = make_run_info(recipe_json_, dataset_, options_.seed, device_.str());
  info["ranks"] = ranks_.size();
  if (const std::string digest = scores_digest(); !digest.empty()) info["scores"] = digest;
  if (warm_start_) {
    learner_.begin_from(grown_state(*warm_start_, learner_.full_state()));
    info["warm_start"] = {{"run", warm_start_->run.string()},
                          {"trained_until", warm_start_->trained_until}};
  }
  write_json(paths.info, info);
  save_checkpoint(paths.last, {learner_.full_state(), to_json(state_)});
  folder.commit();
}

void Training::resume() {
  check_same_run(options_.run, recipe_json_, dataset_, options_.seed);
  const Checkpoint checkpoint = load_checkpoint(paths_.last);
  state_ = loop_state_from_json(checkpoint.state, paths_.last.string());
  learner_.load_full_state(checkpoint.tensors);
  seconds_before_ = state_.seconds;
  Json info = read_json(paths_.info);
  if (const std::string digest = scores_digest();
      digest != info.value("scores", "") && !state_.finished)
    fail<ConfigError>(
        "recipe key 'scores.file': {} is not what the run {} began with (its digest is another); "
        "put "
        "that file back, or train anew",
        recipe_.scores.file.file, options_.run.string());
  if (!state_.finished) info["status"] = "running";
  info["device"] = device_.str();
  info["ranks"] = ranks_.size();
  write_json(paths_.info, info);
  log_info("train", "resumed at step {}", state_.step);
}

/// Of the file that the student learns from; a glob's many are not looked at.
std::string Training::scores_digest() const {
  const std::string& file = recipe_.scores.file.file;
  return recipe_.scores.snapshot || !fs::exists(file) ? "" : sha256_file(file);
}

std::string Training::progress_label() const {
  const std::string phase =
      state_.phase == Phase::kJoint ? "" : fmt::format(" {}", name_of(state_.phase));
  return fmt::format("train {}{} epoch {}/{}", recipe_.name, phase, state_.epoch + 1,
                     recipe_.loop.epochs);
}

void Training::train_epoch() {
  Progress progress(progress_label(), train_rows_.rows(), "rows");
  int64_t rows = train_rows_.rows() * state_.batch / train_rows_.batches();
  batches_.start(state_.epoch, state_.batch);
  double waited = batches_.waited_seconds();
  Stopwatch step_watch;
  const auto next_batch = [this] {
    const TraceScope trace("wait for the batch");
    return batches_.next();
  };
  while (const Batch* batch = next_batch()) {
    const TraceScope trace("rest of the step");
    const int64_t whole_rows = train_rows_.rows_of(state_.epoch, state_.batch);
    const LossValues losses = learner_.step(*batch, state_.step + 1, whole_rows);
    count(whole_rows, losses);
    profile_.step_done();
    state_.wait_seconds += batches_.waited_seconds() - waited;
    waited = batches_.waited_seconds();
    state_.train_seconds += step_watch.seconds();
    step_watch = {};
    rows += whole_rows;
    progress.update(rows, fmt::format("loss {:.4f}, {:.0f}% waiting for data", losses.total,
                                      100 * state_.wait_seconds / state_.train_seconds));
    if (state_.step % recipe_.loop.log_every == 0) log_window();
    const int64_t every = recipe_.loop.checkpoint_every;
    if (every > 0 && state_.step % every == 0 && ranks_.first()) save_last();
    if (learner_.asked_to_stop() || state_.step == options_.stop_after_step)
      ranks_.first_does([this] { stop(); });
  }
}

void Training::count(int64_t rows, const LossValues& losses) {
  ++state_.step;
  ++state_.batch;
  state_.rows += rows;
  state_.window.add(losses);
  state_.whole_epoch.add(losses);
}

void Training::finish_epoch() {
  const Phase phase = state_.phase;
  ranks_.first_does([this] { close_epoch(); });
  share(ranks_, state_);
  if (state_.phase == phase) return;
  share(ranks_, learner_.weights());
  learner_.set_phase(state_.phase, &ranks_);
}

// On rank 0 alone.
void Training::close_epoch() {
  std::optional<Judgement> judgement;
  const Stopwatch watch;
  if (valid_rows_)
    judgement = judge(learner_, dataset_, *valid_rows_, recipe_.loop, [this] {
      if (interrupted()) stop();
    });
  learner_.check_weights(state_.step);
  keep_best(judgement);
  log_epoch(judgement, watch.seconds());
  ++state_.epoch;
  ++state_.epochs_done;
  state_.batch = 0;
  state_.whole_epoch = {};
  const bool patient = recipe_.loop.patience == 0 || !valid_rows_ ||
                       state_.epochs_without_better < recipe_.loop.patience;
  if (!patient || state_.epoch >= recipe_.loop.epochs) end_phase();
  save_last();
}

void Training::keep_best(const std::optional<Judgement>& judgement) {
  bool improved = true;
  if (judgement) {
    const double value = deciding_metric(*judgement, recipe_.loop.metric, state_.phase);
    improved = !state_.best || is_better(recipe_.loop.metric, value, *state_.best);
    if (improved) state_.best = value;
  }
  state_.epochs_without_better = improved ? 0 : state_.epochs_without_better + 1;
  if (improved) state_.best_epoch = state_.epoch + 1;
  if (judgement) keep_teacher_best(*judgement, improved);
  if (state_.phase == Phase::kTeacher && improved)
    save_checkpoint(paths_.teacher_best, {learner_.weights(), to_json(state_)});
  else if (improved)
    save_checkpoint(paths_.best, {learner_.weights(), to_json(state_)});
}

// The teacher's best epoch: in its own phase that of the deciding metric, in joint training that
// of its own teacher_metric, which may be another than the student's.
void Training::keep_teacher_best(const Judgement& judgement, bool improved) {
  const std::optional<double> own = teacher_metric(judgement, recipe_.loop.metric);
  if (!own || state_.phase == Phase::kStudent) return;
  const double value = *own;
  if (state_.phase == Phase::kJoint)
    improved = !state_.teacher_best || value > *state_.teacher_best;
  if (!improved) return;
  state_.teacher_best = value;
  state_.teacher_best_epoch = state_.epoch + 1;
  if (state_.phase == Phase::kJoint && recipe_.loop.teacher_epoch == "own")
    save_checkpoint(paths_.teacher_best, {learner_.weights(), to_json(state_)});
}

void Training::end_phase() {
  state_.window = {};
  if (state_.phase != Phase::kTeacher) {
    state_.finished = true;
    return;
  }
  learner_.load_teacher(load_checkpoint(paths_.teacher_best).tensors);
  state_.phase = Phase::kStudent;
  state_.epoch = 0;
  state_.best.reset();
  state_.best_epoch = 0;
  state_.epochs_without_better = 0;
}

Json Training::line(const char* kind, const char* split, const LossValues& losses) const {
  Json line;
  line["step"] = state_.step;
  line["epoch"] = state_.epoch + 1;
  line["phase"] = name_of(state_.phase);
  line["kind"] = kind;
  line["split"] = split;
  line["loss"] = losses.total;
  for (size_t i = 0; i < losses.terms.size(); ++i) {
    const TermOptions& term = recipe_.terms[i];
    const bool active =
        state_.phase == Phase::kJoint || term.on_student() == (state_.phase == Phase::kStudent);
    if (active) line["terms"][term.name] = losses.terms[i];
  }
  for (size_t i = 0; i < losses.coverage.size(); ++i)
    line["coverage"][learner_.scores()->coverage_names()[i]] = losses.coverage[i];
  return line;
}

void Training::add_loss_weights(Json& line) const {
  const std::vector<double> weights = learner_.loss_weights();
  for (size_t i = 0; i < weights.size(); ++i)
    line["loss_weights"][recipe_.terms[i].name] = weights[i];
}

void Training::log_window() {
  const RunningLosses window = std::exchange(state_.window, {});
  if (!ranks_.first()) return;
  Json json = line("step", "train", window.mean());
  const double seconds = state_.train_seconds - logged_.train_seconds;
  json["learning_rate"] = learner_.learning_rate();
  add_loss_weights(json);
  json["rows_per_second"] = static_cast<double>(state_.rows - logged_.rows) / seconds;
  json["data_wait_share"] = (state_.wait_seconds - logged_.wait_seconds) / seconds;
  json["seconds"] = elapsed();
  log_->write(json);
  logged_ = {state_.train_seconds, state_.wait_seconds, state_.rows};
}

void Training::log_epoch(const std::optional<Judgement>& judgement, double validation_seconds) {
  Json train = line("epoch", "train", state_.whole_epoch.mean());
  train["learning_rate"] = learner_.learning_rate();
  add_loss_weights(train);
  train["rows_per_second"] = static_cast<double>(state_.rows) / state_.train_seconds;
  train["data_wait_share"] = state_.wait_seconds / state_.train_seconds;
  train["seconds"] = elapsed();
  log_->write(train);
  if (!judgement) return;
  Json valid = line("epoch", "valid", judgement->losses);
  if (judgement->student) valid["student"] = to_json(*judgement->student);
  if (judgement->teacher) valid["teacher"] = to_json(*judgement->teacher);
  for (const auto& [task, value] : judgement->task_auc) valid["tasks"][task] = value;
  if (judgement->recall) valid["student"][recipe_.loop.metric] = *judgement->recall;
  const double value = deciding_metric(*judgement, recipe_.loop.metric, state_.phase);
  valid["metric"] = value;
  valid["best"] = state_.best_epoch == state_.epoch + 1;
  valid["validation_seconds"] = validation_seconds;
  valid["seconds"] = elapsed();
  log_->write(valid);
  log_info("train", "{}: loss {:.4f}, validation {} {:.4f}{}", progress_label(),
           state_.whole_epoch.mean().total, deciding_name(recipe_.loop.metric, state_.phase), value,
           state_.best_epoch == state_.epoch + 1 ? " (best)" : "");
}

void Training::save_last() {
  learner_.check_weights(state_.step);
  state_.metrics_bytes = log_->sync();
  state_.seconds = elapsed();
  save_checkpoint(paths_.last, {learner_.full_state(), to_json(state_)});
}

void Training::stop() {
  save_last();
  Json info = read_json(paths_.info);
  info["status"] = "interrupted";
  write_json(paths_.info, info);
  fail<Interrupted>("stopped at step {} (epoch {}) with a checkpoint; {} (run {})", state_.step,
                    state_.epoch + 1, options_.go_on, options_.run.string());
}

TrainResult Training::finish() {
  TrainResult result;
  result.steps = state_.step;
  result.epochs = state_.epochs_done;
  result.best_epoch = state_.best_epoch;
  result.best_metric = state_.best.value_or(0);
  result.seconds = state_.seconds;
  result.rows_per_second =
      state_.train_seconds > 0 ? static_cast<double>(state_.rows) / state_.train_seconds : 0;
  result.data_wait_share =
      state_.train_seconds > 0 ? state_.wait_seconds / state_.train_seconds : 0;
  result.validated = valid_rows_.has_value();
  ranks_.first_does([&] { finish_run(result); });
  return result;
}

// w and beta by validation, into the run's model and its record.
void Training::choose_for_serving(Json& info) {
  const bool fusion = recipe_.fusion.on_validation, beta = recipe_.beta.on_validation;
  if (!fusion && !beta) return;
  learner_.load_student(load_checkpoint(paths_.best).tensors);
  const int64_t limit = recipe_.loop.validation_limit;
  const auto record = [&](const char* name, const Json& value, const std::string& metric,
                          const auto& tried, const std::vector<double>& values) {
    info[name] = {{"value", value}, {"metric", metric}};
    for (size_t i = 0; i < values.size(); ++i) info[name]["grid"].push_back({tried[i], values[i]});
  };
  if (fusion) {
    const FusionChoice choice =
        choose_fusion(dataset_, learner_.shared_student(), device_, recipe_.fusion, limit);
    learner_.student().set_shares(choice.shares);
    if (choice.shares.size() == 1)
      record("fusion", choice.shares[0], recipe_.fusion.metric, recipe_.fusion.grid, choice.values);
    else
      record("fusion", choice.shares, recipe_.fusion.metric, choice.tried, choice.values);
  }
  ModelSpec spec = learner_.student().spec();
  if (beta) {
    const TorchTowers towers(learner_.shared_student(), dataset_.schema(), device_);
    const BetaChoice choice = choose_beta(dataset_, towers, recipe_.beta, limit);
    spec.beta = choice.beta;
    record("beta", choice.beta, recipe_.beta.metric, recipe_.beta.grid, choice.values);
  }
  write_json(paths_.model, to_json(spec));
}

void Training::finish_run(const TrainResult& result) {
  Json info = read_json(paths_.info);
  if (info["status"] == "finished") return;
  choose_for_serving(info);
  info["status"] = "finished";
  Json& out = info["result"];
  out["steps"] = result.steps;
  out["epochs"] = result.epochs;
  out["metric"] = recipe_.loop.metric;
  out["best_metric"] = state_.best ? Json(*state_.best) : Json();
  out["best_epoch"] = result.best_epoch;
  if (state_.teacher_best) out["teacher_auc_read"] = *state_.teacher_best;
  if (state_.teacher_best) out["teacher_best_epoch"] = state_.teacher_best_epoch;
  out["seconds"] = result.seconds;
  out["train_seconds"] = state_.train_seconds;
  out["peak_bytes"] = peak_memory();
  out["rows_per_second"] = result.rows_per_second;
  out["data_wait_share"] = result.data_wait_share;
  write_json(paths_.info, info);
}

}  // namespace

TrainResult train(const Json& recipe, const Dataset& dataset, const TrainOptions& options) {
  set_torch_threads(threads());
  reset_peak_memory();
  return Training(recipe, dataset, options).run();
}

}  // namespace retort
