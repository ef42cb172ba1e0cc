#include "retort/model/cgc.h"

#include "retort/model/task_logits.h"
#include "retort/nn/experts.h"

namespace retort {
Cgc::Cgc(const Schema& schema, const TeacherOptions& options)
    : options_(options), input_(*this, schema, options.features) {
  int64_t width = input_.width();
  for (int32_t level = 0; level < options.levels; ++level) {
    levels_.push_back(make_level(level, width));
    width = options.expert_layers.back();
  }
  const auto place = [this](const Group& group) {
    for (size_t k = 0; k < group.experts.size(); ++k)
      place_module(*this, fmt::format("{}.expert{}", group.name, k), group.experts[k].ptr());
    if (!group.gate.is_empty()) place_module(*this, group.name + ".gate", group.gate.ptr());
  };
  for (const Level& level : levels_) {
    place(level.shared);
    for (const Group& task : level.tasks) place(task);
  }
  std::vector<int32_t> layers = options.tower_layers;
  layers.push_back(1);
  for (const Task& task : options.tasks.tasks) {
    towers_.emplace_back(MlpOptions{.input = width, .layers = layers});
    place_module(*this, "teacher.tower_" + task.name, towers_.back().ptr());
  }
}

Cgc::Group Cgc::make_group(const std::string& name, int64_t width, int32_t experts,
                           int64_t gated) const {
  Group group;
  group.name = name;
  for (int32_t k = 0; k < experts; ++k)
    group.experts.emplace_back(
        MlpOptions{.input = width, .layers = options_.expert_layers, .relu_after_last = true});
  if (gated > 0) group.gate = torch::nn::Linear(torch::nn::LinearOptions(width, gated).bias(false));
  return group;
}

Cgc::Level Cgc::make_level(int32_t level, int64_t width) const {
  const std::string at = fmt::format("teacher.level{}.", level);
  const auto tasks = static_cast<int32_t>(options_.tasks.tasks.size());
  const int32_t shared = options_.shared_experts, own = options_.task_experts;
  const bool last = level + 1 == options_.levels;
  Level made{make_group(at + "shared", width, shared, last ? 0 : shared + tasks * own), {}};
  for (const Task& task : options_.tasks.tasks)
    made.tasks.push_back(make_group(at + "task_" + task.name, width, own, own + shared));
  return made;
}

/// What each group's experts, and then its gate, give: groups that see one input run as one step.
std::vector<std::vector<torch::Tensor>> Cgc::run(const std::vector<const Group*>& groups,
                                                 const std::vector<GroupedRows>& inputs) {
  std::vector<std::vector<torch::Tensor>> outputs;
  std::vector<DenseStack> stacks;
  std::vector<int64_t> counts;
  for (size_t i = 0; i < groups.size(); ++i) {
    for (const Mlp& expert : groups[i]->experts) stacks.push_back(expert->dense_layers());
    if (!groups[i]->gate.is_empty())
      stacks.push_back({{.weight = groups[i]->gate->weight, .plans = groups[i]->plans}});
    counts.push_back(std::ssize(stacks));
    const bool together = inputs.size() == 1 && i + 1 < groups.size();
    if (together) continue;
    const std::vector<torch::Tensor> made =
        dense_stacks(inputs.size() == 1 ? inputs[0] : inputs[i], stacks);
    int64_t from = 0;
    for (const int64_t to : counts) {
      outputs.emplace_back(made.begin() + from, made.begin() + to);
      from = to;
    }
    stacks.clear();
    counts.clear();
  }
  return outputs;
}

/// What the shared experts' and each task's next level, or tower, sees.
std::vector<GroupedRows> Cgc::mix(const Level& level, const std::vector<GroupedRows>& inputs) {
  std::vector<const Group*> groups{&level.shared};
  for (const Group& task : level.tasks) groups.push_back(&task);
  std::vector<std::vector<torch::Tensor>> experts = run(groups, inputs);
  std::vector<torch::Tensor> logits(groups.size()), all;
  for (size_t i = 0; i < groups.size(); ++i) {
    if (!groups[i]->gate.is_empty()) {
      logits[i] = experts[i].back();
      experts[i].pop_back();
    }
    all.insert(all.end(), experts[i].begin(), experts[i].end());
  }
  std::vector<GroupedRows> next(groups.size());
  if (logits[0].defined()) next[0].own = gated_mixtures(logits[0], all)[0];
  for (size_t i = 1; i < groups.size(); ++i) {
    std::vector<torch::Tensor> seen = experts[i];
    seen.insert(seen.end(), experts[0].begin(), experts[0].end());
    next[i].own = gated_mixtures(logits[i], seen)[0];
  }
  return next;
}

TaskLogits Cgc::score(const TensorBatch& batch) {
  std::vector<GroupedRows> inputs{input_.forward(batch)};
  for (const Level& level : levels_) inputs = mix(level, inputs);
  std::vector<torch::Tensor> heads;
  for (size_t task = 0; task < towers_.size(); ++task)
    heads.push_back(towers_[task]->forward(inputs[task + 1]).squeeze(1));
  return forest_logits(options_.tasks, heads);
}

std::vector<std::string> Cgc::outputs() const { return output_names(options_.tasks); }

std::vector<torch::Tensor> Cgc::common_weights() {
  return last_weights(levels_.back().shared.experts);
}

void Cgc::initialise(const Rng& init, double embedding_deviation) {
  const auto group = [&](Group& of) {
    for (size_t k = 0; k < of.experts.size(); ++k)
      of.experts[k]->initialise(init, fmt::format("{}.expert{}", of.name, k));
    if (!of.gate.is_empty())
      retort::initialise(*of.gate, init, of.name + ".gate", Followed::kByNothing);
  };
  for (Level& level : levels_) {
    group(level.shared);
    for (Group& task : level.tasks) group(task);
  }
  for (size_t i = 0; i < towers_.size(); ++i)
    towers_[i]->initialise(init, "teacher.tower_" + options_.tasks.tasks[i].name);
  initialise_tables(*this, init, embedding_deviation);
}

std::shared_ptr<RankingModel> make_cgc(const Schema& schema, const Json& teacher, const Rng& init,
                                       CandidateModel*) {
  const TeacherOptions options = TeacherOptions::read(teacher);
  auto model = std::make_shared<Cgc>(schema, options);
  model->initialise(init, options.features.embedding_deviation);
  return model;
}

}  // namespace retort
