#include "retort/common/error.h"
#include "retort/encoder/onnx_graph.h"
#include "retort/encoder/onnx_inputs.h"
#include "retort/encoder/onnx_models.h"

namespace retort {
namespace {

using Values = std::vector<OnnxValue>;

/// Ranker's layers, one for one.
class TeacherGraph {
 public:
  explicit TeacherGraph(const Bundle& bundle)
      : bundle_(bundle), spec_(bundle.teacher()->spec()), graph_(*bundle.teacher()->weights()) {}

  OnnxModel finish() {
    const Values fields = inputs();
    const Values heads =
        spec_.mixture ? graph_.mixture(fields, "teacher", field_widths(spec_), *spec_.mixture)
                      : towers(graph_.concat(fields, 1));
    outputs(heads);
    const std::vector<std::pair<std::string, std::string>> notes{
        {"model", bundle_.model()}, {"version", std::to_string(bundle_.version())}};
    return {graph_.file("teacher", notes), signature_};
  }

 private:
  Values inputs() {
    Values fields;
    const auto add = [&](const InputSpec& side, const std::vector<SequenceSpec>& sequences) {
      OnnxInputs inputs(graph_, bundle_.schema(), side, signature_["inputs"]);
      const Values parts = inputs.parts(sequences);
      fields.insert(fields.end(), parts.begin(), parts.end());
    };
    add(spec_.user, spec_.sequences);
    add(spec_.item, {});
    add(spec_.pair, {});
    return fields;
  }

  Values experts(const OnnxValue& x, const std::string& stem, int32_t count, int64_t in) {
    Values made;
    for (int32_t k = 0; k < count; ++k)
      made.push_back(
          graph_.stack(x, fmt::format("{}.expert{}", stem, k), in, spec_.expert_layers, true));
    return made;
  }

  /// What the shared experts' next level (first) and each task's see, from what they see now.
  Values next_level(const Values& now, int32_t level, int64_t in) {
    const std::string stem = fmt::format("teacher.level{}.", level);
    const auto seen_by = [&](size_t owner) { return now[now.size() == 1 ? 0 : owner]; };
    const Values shared = experts(seen_by(0), stem + "shared", spec_.shared_experts, in);
    Values all = shared, next{OnnxValue()};
    for (size_t t = 0; t < spec_.tasks.size(); ++t) {
      const std::string name = stem + "task_" + spec_.tasks[t].name;
      Values seen = experts(seen_by(t + 1), name, spec_.task_experts, in);
      all.insert(all.end(), seen.begin(), seen.end());
      seen.insert(seen.end(), shared.begin(), shared.end());
      next.push_back(graph_.gated(seen_by(t + 1), name + ".gate", in, seen));
    }
    if (level + 1 < spec_.levels) next[0] = graph_.gated(seen_by(0), stem + "shared.gate", in, all);
    return next;
  }

  /// What each task's tower sees, [tasks].
  Values below_towers(const OnnxValue& x, int64_t width) {
    if (spec_.kind == "cgc") {
      Values now{x};
      for (int32_t level = 0; level < spec_.levels; ++level)
        now = next_level(now, level, level == 0 ? width : spec_.expert_layers.back());
      now.erase(now.begin());
      return now;
    }
    if (spec_.kind == "mmoe") {
      const Values all = experts(x, "teacher", spec_.experts, width);
      Values mixed;
      for (const RankedTask& task : spec_.tasks)
        mixed.push_back(graph_.gated(x, "teacher.gate_" + task.name, width, all));
      return mixed;
    }
    const char* only = spec_.kind == "single" ? "teacher.expert0" : "teacher.bottom";
    return Values(spec_.tasks.size(), graph_.stack(x, only, width, spec_.expert_layers, true));
  }

  /// A logit a task, [batch, 1] each.
  Values towers(const OnnxValue& x) {
    int64_t width = 0;
    for (const int32_t field : field_widths(spec_)) width += field;
    std::vector<int32_t> layers = spec_.tower_layers;
    layers.push_back(1);
    Values heads;
    const Values inputs = below_towers(x, width);
    for (size_t t = 0; t < inputs.size(); ++t)
      heads.push_back(graph_.stack(inputs[t], "teacher.tower_" + spec_.tasks[t].name,
                                   spec_.expert_layers.back(), layers, false));
    return heads;
  }

  void output(const OnnxValue& logit, const std::string& name) {
    const OnnxValue flat = graph_.node("Squeeze", {logit, graph_.integers({1})});
    graph_.output(graph_.node("Sigmoid", {flat}), "p_" + name, {"batch"});
    signature_["outputs"].push_back(
        {{"name", "p_" + name}, {"dtype", "float32"}, {"shape", {"batch"}}});
  }

  /// The logit of sigmoid(a) sigmoid(b).
  OnnxValue product(const OnnxValue& a, const OnnxValue& b) {
    const OnnxValue less_a = graph_.node("Neg", {a}), less_b = graph_.node("Neg", {b});
    const OnnxValue all = graph_.concat({less_a, less_b, graph_.node("Add", {less_a, less_b})}, 1);
    return graph_.node(
        "Neg", {graph_.node("ReduceLogSumExp", {all},
                            {{"axes", std::vector<int64_t>{1}}, {"keepdims", int64_t{1}}})});
  }

  /// forest_outputs: p(task | shown), and of those with a parent p(task | parent).
  void outputs(const Values& heads) {
    const size_t tasks = spec_.tasks.size() - (spec_.seconds_cap > 0 ? 2 : 0);
    Values logits;
    for (size_t t = 0; t < tasks; ++t) {
      const RankedTask& task = spec_.tasks[t];
      if (task.parent >= 0) output(heads[t], given_name(spec_, task));
      logits.push_back(
          task.parent < 0 ? heads[t] : product(logits[static_cast<size_t>(task.parent)], heads[t]));
      output(logits.back(), task.name);
    }
  }

  const Bundle& bundle_;
  const RankerSpec& spec_;
  OnnxGraph graph_;
  Json signature_ = {{"inputs", Json::array()}, {"outputs", Json::array()}};
};

}  // namespace

OnnxModel onnx_teacher(const Bundle& bundle) {
  check(bundle.teacher() != nullptr, "ONNX: the bundle has no ranking model");
  return TeacherGraph(bundle).finish();
}

}  // namespace retort
