#include "retort/bundle/model_weights.h"
#include "retort/encoder/onnx_graph.h"
#include "retort/encoder/onnx_inputs.h"
#include "retort/encoder/onnx_models.h"

namespace retort {
namespace {

const std::string kBatch = "batch";

class TowerGraph {
 public:
  TowerGraph(const Bundle& bundle, const TowerSpec& tower)
      : bundle_(bundle),
        tower_(tower),
        graph_(*bundle.weights()),
        inputs_(graph_, bundle.schema(), tower.input, signature_["inputs"]) {}

  OnnxModel finish() {
    if (tower_.mixture)
      mixed();
    else
      output(with_popularity(plain()), "vector", bundle_.vector_dim());
    const std::vector<std::pair<std::string, std::string>> notes{
        {"model", bundle_.model()}, {"version", std::to_string(bundle_.version())}};
    return {graph_.file(tower_.name + "_tower", notes), signature_};
  }

 private:
  bool of_users() const { return tower_.input.side == Side::kUser; }

  void output(const OnnxValue& value, const std::string& name, int64_t width) {
    graph_.output(value, name, {kBatch, width});
    signature_["outputs"].push_back(
        {{"name", name}, {"dtype", "float32"}, {"shape", {kBatch, width}}});
  }

  /// GatedStacks: [batch, dim].
  OnnxValue plain() {
    const OnnxValue x = graph_.concat(inputs_.parts(tower_.sequences), 1);
    const int64_t in = tower_.input_width();
    std::vector<OnnxValue> vectors;
    for (const std::string& name : stack_names(tower_))
      vectors.push_back(graph_.stack(x, name, in, tower_.layers, false));
    if (!tower_.gate) return graph_.concat(vectors, 1);
    const auto tasks = std::ssize(tower_.gate->tasks);
    std::vector<OnnxValue> shares(static_cast<size_t>(tasks),
                                  graph_.number(1.0F / static_cast<float>(tasks)));
    if (tower_.gate->kind == "learned") {
      const OnnxValue logits =
          graph_.stack(x, tower_.name + ".gate", in, gate_layers(*tower_.gate), false);
      shares = graph_.node_of(static_cast<int>(tasks), "Split",
                              {graph_.node("Softmax", {logits}, {{"axis", int64_t{-1}}})},
                              {{"axis", int64_t{1}}});
    }
    std::vector<OnnxValue> weighted;
    for (size_t task = 0; task < shares.size(); ++task)
      weighted.push_back(
          graph_.node("Mul", {vectors[vectors.size() == 1 ? 0 : task], shares[task]}));
    if (vectors.size() == 1) return graph_.concat(weighted, 1);
    return graph_.node("Sum", weighted);
  }

  /// The model's own mixture as "vector", and each task's as "vector_<task>".
  void mixed() {
    const std::vector<OnnxValue> tasks = graph_.mixture(
        inputs_.parts(tower_.sequences), tower_.name, mixture_fields(tower_), *tower_.mixture);
    const std::vector<double> shares = task_shares(bundle_.spec());
    std::vector<OnnxValue> weighted;
    for (size_t task = 0; task < tasks.size(); ++task)
      weighted.push_back(
          graph_.node("Mul", {tasks[task], graph_.number(static_cast<float>(shares[task]))}));
    output(with_popularity(graph_.node("Sum", weighted)), "vector", bundle_.vector_dim());
    for (size_t task = 0; task < tasks.size(); ++task)
      output(with_popularity(tasks[task]), "vector_" + tower_.mixture->tasks[task],
             bundle_.vector_dim());
  }

  /// With the popularity dimension where the bundle has one: 1 for users, beta log q for items.
  OnnxValue with_popularity(const OnnxValue& vector) {
    if (bundle_.spec().beta == 0) return vector;
    if (of_users()) {
      const OnnxValue rows =
          graph_.node("Shape", {vector}, {{"start", int64_t{0}}, {"end", int64_t{1}}});
      const OnnxValue column = graph_.concat({rows, graph_.integers({1})}, 0);
      return graph_.concat({vector, graph_.node("Expand", {graph_.number(1), column})}, 1);
    }
    const OnnxValue log_q = inputs_.floats("item.log_q", {kBatch}, {{"popularity", true}});
    const OnnxValue beta = graph_.number(static_cast<float>(bundle_.spec().beta));
    return graph_.concat(
        {vector,
         graph_.node("Mul", {graph_.node("Unsqueeze", {log_q, graph_.integers({1})}), beta})},
        1);
  }

  const Bundle& bundle_;
  const TowerSpec& tower_;
  OnnxGraph graph_;
  Json signature_ = {{"inputs", Json::array()}, {"outputs", Json::array()}};
  OnnxInputs inputs_;
};

}  // namespace

OnnxModel onnx_user_tower(const Bundle& bundle) {
  return TowerGraph(bundle, bundle.spec().user).finish();
}

OnnxModel onnx_item_tower(const Bundle& bundle) {
  return TowerGraph(bundle, bundle.spec().item).finish();
}

}  // namespace retort
