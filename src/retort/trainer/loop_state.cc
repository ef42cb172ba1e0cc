#include "retort/trainer/loop_state.h"

#include "retort/common/error.h"

namespace retort {
namespace {

Json to_json(const RunningLosses& losses) {
  return {{"total", losses.sum.total},
          {"terms", losses.sum.terms},
          {"coverage", losses.sum.coverage},
          {"steps", losses.steps}};
}

RunningLosses running_losses_from_json(const Json& json) {
  RunningLosses losses;
  losses.sum.total = json.at("total");
  losses.sum.terms = json.at("terms").get<std::vector<double>>();
  losses.sum.coverage = json.value("coverage", std::vector<double>());
  losses.steps = json.at("steps");
  return losses;
}

Json to_json(const std::optional<double>& value) { return value ? Json(*value) : Json(); }

std::optional<double> optional_from_json(const Json& json) {
  return json.is_null() ? std::nullopt : std::optional(json.get<double>());
}

Phase phase_from_name(const std::string& name) {
  for (const Phase phase : {Phase::kJoint, Phase::kTeacher, Phase::kStudent})
    if (name == name_of(phase)) return phase;
  fail<DataError>("no training phase '{}'", name);
}

}  // namespace

void RunningLosses::add(const LossValues& values) {
  sum.total += values.total;
  sum.terms.resize(values.terms.size());
  for (size_t i = 0; i < values.terms.size(); ++i) sum.terms[i] += values.terms[i];
  sum.coverage.resize(values.coverage.size());
  for (size_t i = 0; i < values.coverage.size(); ++i) sum.coverage[i] += values.coverage[i];
  ++steps;
}

LossValues RunningLosses::mean() const {
  LossValues mean = sum;
  const auto count = static_cast<double>(steps > 0 ? steps : 1);
  mean.total /= count;
  for (double& term : mean.terms) term /= count;
  for (double& share : mean.coverage) share /= count;
  return mean;
}

Json to_json(const LoopState& state) {
  Json json;
  json["phase"] = name_of(state.phase);
  json["finished"] = state.finished;
  json["step"] = state.step;
  json["epoch"] = state.epoch;
  json["batch"] = state.batch;
  json["epochs_done"] = state.epochs_done;
  json["best"] = to_json(state.best);
  json["best_epoch"] = state.best_epoch;
  json["epochs_without_better"] = state.epochs_without_better;
  json["teacher_best"] = to_json(state.teacher_best);
  json["teacher_best_epoch"] = state.teacher_best_epoch;
  json["window"] = to_json(state.window);
  json["whole_epoch"] = to_json(state.whole_epoch);
  json["rows"] = state.rows;
  json["train_seconds"] = state.train_seconds;
  json["wait_seconds"] = state.wait_seconds;
  json["seconds"] = state.seconds;
  json["metrics_bytes"] = state.metrics_bytes;
  return json;
}

LoopState loop_state_from_json(const Json& json, const std::string& where) try {
  LoopState state;
  state.phase = phase_from_name(json.at("phase"));
  state.finished = json.at("finished");
  state.step = json.at("step");
  state.epoch = json.at("epoch");
  state.batch = json.at("batch");
  state.epochs_done = json.at("epochs_done");
  state.best = optional_from_json(json.at("best"));
  state.best_epoch = json.at("best_epoch");
  state.epochs_without_better = json.at("epochs_without_better");
  state.teacher_best = optional_from_json(json.at("teacher_best"));
  state.teacher_best_epoch = json.at("teacher_best_epoch");
  state.window = running_losses_from_json(json.at("window"));
  state.whole_epoch = running_losses_from_json(json.at("whole_epoch"));
  state.rows = json.at("rows");
  state.train_seconds = json.at("train_seconds");
  state.wait_seconds = json.at("wait_seconds");
  state.seconds = json.at("seconds");
  state.metrics_bytes = json.at("metrics_bytes");
  return state;
} catch (const nlohmann::json::exception& error) {
  fail<DataError>("{}: its state cannot be read: {}", where, error.what());
}

}  // namespace retort
