#include "retort/encoder/onnx_towers.h"

#include <cmath>
#include <set>

#include "retort/bundle/model_weights.h"
#include "retort/common/error.h"
#include "retort/encoder/onnx_graph.h"

namespace retort {
namespace {

constexpr float kNothing = -1e9F;  // added to the attention paid to padding
const std::string kBatch = "batch";

/// Ids of a bag or sequence beside what is padding.
struct Steps {
  OnnxValue ids;   // [batch, steps], 0 for padding
  OnnxValue mask;  // [batch, steps] floats, 0 for padding
};

class TowerGraph {
 public:
  TowerGraph(const Bundle& bundle, const TowerSpec& tower)
      : bundle_(bundle), tower_(tower), graph_(*bundle.weights()) {}

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

  void describe(const std::string& name, const char* dtype, const Json& shape, const Json& more) {
    Json one{{"name", name}, {"dtype", dtype}, {"shape", shape}};
    one.update(more);
    signature_["inputs"].push_back(one);
  }

  void output(const OnnxValue& value, const std::string& name, int64_t width) {
    graph_.output(value, name, {kBatch, width});
    signature_["outputs"].push_back(
        {{"name", name}, {"dtype", "float32"}, {"shape", {kBatch, width}}});
  }

  const FeatureSpec& feature(const FieldSpec& field) const {
    const FeatureSpec* found = bundle_.schema().find(field.feature);
    if (found == nullptr)
      fail<DataError>("ONNX: the model's feature '{}' is not in the schema", field.feature);
    return *found;
  }

  /// The input of a feature's ids; `steps` names how many there are, "" of a single one.
  OnnxValue ids_of(const FieldSpec& field, const std::string& steps) {
    const std::string name = (of_users() ? "user." : "item.") + field.feature;
    if (!inputs_.insert(name).second) return name;
    const FeatureSpec& spec = feature(field);
    Json more{{"feature", field.feature}, {"rows", field.rows}};
    if (!spec.vocabulary.empty()) more["vocabulary"] = spec.vocabulary;
    if (spec.last > 0) more["longest"] = spec.last;
    if (spec.transform.kind == "bucket") more["boundaries"] = spec.transform.boundaries;
    if (steps.empty()) {
      describe(name, "int64", {kBatch}, more);
      return graph_.input(name, onnx::Type::kInt64, {kBatch});
    }
    more["padding"] = -1;
    describe(name, "int64", {kBatch, steps}, more);
    return graph_.input(name, onnx::Type::kInt64, {kBatch, steps});
  }

  Steps masked(const OnnxValue& padded) {
    const OnnxValue zero = graph_.integers({0});
    const OnnxValue there = graph_.node("GreaterOrEqual", {padded, zero});
    return {graph_.node("Max", {padded, zero}),
            graph_.node("Cast", {there}, {{"to", static_cast<int64_t>(onnx::Type::kFloat)}})};
  }

  OnnxValue unsqueezed(const OnnxValue& value, const std::vector<int64_t>& axes) {
    return graph_.node("Unsqueeze", {value, graph_.integers(axes)});
  }

  /// Over the steps: [batch, steps, d] -> [batch, d].
  OnnxValue summed(const OnnxValue& value) {
    return graph_.node("ReduceSum", {value, graph_.integers({1})}, {{"keepdims", int64_t{0}}});
  }

  /// [batch, dim]
  OnnxValue pooled(const FieldSpec& field) {
    if (feature(field).kind == FeatureKind::kCategorical)
      return graph_.rows_of(field, ids_of(field, ""));
    const Steps steps = masked(ids_of(field, field.feature + ".steps"));
    const OnnxValue mask = unsqueezed(steps.mask, {-1});
    const OnnxValue sum = summed(graph_.node("Mul", {graph_.rows_of(field, steps.ids), mask}));
    if (field.pooling == "sum") return sum;
    return graph_.node("Div", {sum, graph_.node("Max", {summed(mask), graph_.number(1)})});
  }

  /// x W^T + b of [batch, steps, in].
  OnnxValue step_linear(const OnnxValue& x, const OnnxValue& weight, const OnnxValue& bias) {
    const OnnxValue turned =
        graph_.node("Transpose", {weight}, {{"perm", std::vector<int64_t>{1, 0}}});
    return graph_.node("Add", {graph_.node("MatMul", {x, turned}), bias});
  }

  OnnxValue attention(const OnnxValue& x, const OnnxValue& unseen, const SequenceSpec& spec,
                      const std::string& block) {
    const int64_t dim = spec.dim(), heads = spec.heads, width = dim / heads;
    const OnnxValue qkv =
        step_linear(x, graph_.weight(block + "self_attn.in_proj_weight", {3 * dim, dim}),
                    graph_.weight(block + "self_attn.in_proj_bias", {3 * dim}));
    const std::vector<OnnxValue> parts = graph_.node_of(3, "Split", {qkv}, {{"axis", int64_t{2}}});
    const OnnxValue by_head = graph_.integers({0, 0, heads, width});
    const auto turned = [&](const OnnxValue& part, std::vector<int64_t> order) {
      return graph_.node("Transpose", {graph_.node("Reshape", {part, by_head})},
                         {{"perm", std::move(order)}});
    };
    const OnnxValue products =
        graph_.node("MatMul", {turned(parts[0], {0, 2, 1, 3}), turned(parts[1], {0, 2, 3, 1})});
    const OnnxValue scaled =
        graph_.node("Mul", {products, graph_.number(1 / std::sqrt(static_cast<float>(width)))});
    const OnnxValue shares =
        graph_.node("Softmax", {graph_.node("Add", {scaled, unseen})}, {{"axis", int64_t{-1}}});
    const OnnxValue seen =
        graph_.node("Transpose", {graph_.node("MatMul", {shares, turned(parts[2], {0, 2, 1, 3})})},
                    {{"perm", std::vector<int64_t>{0, 2, 1, 3}}});
    return step_linear(graph_.node("Reshape", {seen, graph_.integers({0, 0, dim})}),
                       graph_.weight(block + "self_attn.out_proj.weight", {dim, dim}),
                       graph_.weight(block + "self_attn.out_proj.bias", {dim}));
  }

  OnnxValue normed(const OnnxValue& x, const OnnxValue& added, const std::string& name,
                   int64_t dim) {
    return graph_.node("LayerNormalization",
                       {graph_.node("Add", {x, added}), graph_.weight(name + ".weight", {dim}),
                        graph_.weight(name + ".bias", {dim})},
                       {{"axis", int64_t{-1}}, {"epsilon", 1e-5F}});
  }

  OnnxValue transformer_layer(const OnnxValue& x, const OnnxValue& unseen, const SequenceSpec& spec,
                              const std::string& block) {
    const int64_t dim = spec.dim(), hidden = spec.hidden;
    const auto linear = [&](const OnnxValue& of, const char* name, int64_t in, int64_t out) {
      const std::string full = block + name;
      return step_linear(of, graph_.weight(full + ".weight", {out, in}),
                         graph_.weight(full + ".bias", {out}));
    };
    const OnnxValue seen = normed(x, attention(x, unseen, spec, block), block + "norm1", dim);
    const OnnxValue wide = graph_.node("Relu", {linear(seen, "linear1", dim, hidden)});
    return normed(seen, linear(wide, "linear2", hidden, dim), block + "norm2", dim);
  }

  /// SequenceEncoder: [batch, dim].
  OnnxValue sequence(const SequenceSpec& spec) {
    OnnxValue steps, mask;
    for (const FieldSpec& field : spec.fields) {
      const OnnxValue cut = graph_.node(
          "Slice", {ids_of(field, spec.fields.front().feature + ".steps"), graph_.integers({0}),
                    graph_.integers({spec.length}), graph_.integers({1})});
      const Steps part = masked(cut);
      const OnnxValue rows = graph_.rows_of(field, part.ids);
      if (mask.empty()) mask = part.mask;
      steps = steps.empty() ? rows : graph_.node("Mul", {steps, rows});
    }
    if (spec.layers > 0) {
      const OnnxValue count =
          graph_.node("Shape", {mask}, {{"start", int64_t{1}}, {"end", int64_t{2}}});
      const OnnxValue positions =
          graph_.node("Slice", {graph_.weight(spec.name + ".positions", {spec.length, spec.dim()}),
                                graph_.integers({0}), count, graph_.integers({0})});
      steps = graph_.node("Add", {steps, positions});
      const OnnxValue padding = graph_.node("Sub", {graph_.number(1), mask});
      const OnnxValue unseen =
          unsqueezed(graph_.node("Mul", {padding, graph_.number(kNothing)}), {1, 2});
      for (int32_t i = 0; i < spec.layers; ++i)
        steps = transformer_layer(steps, unseen, spec, fmt::format("{}.block{}.", spec.name, i));
    }
    return summed(graph_.node("Mul", {steps, unsqueezed(mask, {-1})}));
  }

  /// Fields, dense values and sequences, in the order of the tower's input.
  std::vector<OnnxValue> fields() {
    std::vector<OnnxValue> parts;
    for (const FieldSpec& field : tower_.input.fields) parts.push_back(pooled(field));
    if (tower_.input.dense_width > 0) parts.push_back(dense());
    for (const SequenceSpec& spec : tower_.sequences) parts.push_back(sequence(spec));
    return parts;
  }

  OnnxValue dense() {
    const std::string name = of_users() ? "user.dense" : "item.dense";
    const int64_t width = tower_.input.dense_width;
    Json features = Json::array();
    for (const int index : bundle_.schema().dense_of(tower_.input.side)) {
      const FeatureSpec& spec = bundle_.schema().features[static_cast<size_t>(index)];
      const Transform& transform = spec.transform;
      Json one{{"feature", spec.name}, {"width", spec.width}, {"transform", transform.kind}};
      if (transform.kind == "standard")
        one.update({{"mean", transform.mean}, {"deviation", transform.deviation}});
      features.push_back(one);
    }
    describe(name, "float32", {kBatch, width}, {{"features", features}});
    return graph_.input(name, onnx::Type::kFloat, {kBatch, width});
  }

  /// GatedStacks: [batch, dim].
  OnnxValue plain() {
    const OnnxValue x = graph_.concat(fields(), 1);
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
    const std::vector<OnnxValue> tasks = mixture_vectors();
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

  /// MixtureEncoder: a vector a task.
  std::vector<OnnxValue> mixture_vectors() {
    const MixtureSpec& spec = *tower_.mixture;
    const std::vector<int32_t> widths = mixture_fields(tower_);
    std::vector<OnnxValue> parts = fields();
    if (spec.product_dim > 0 && parts.size() > 1) parts.push_back(products(parts, widths));
    const OnnxValue x = graph_.concat(parts, 1);
    const int64_t width = mixture_width(spec, widths);
    std::vector<OnnxValue> experts, vectors;
    for (int32_t k = 0; k < spec.experts; ++k)
      experts.push_back(graph_.stack(x, fmt::format("{}.expert{}", tower_.name, k), width,
                                     spec.expert_layers, true));
    for (const std::string& task : spec.tasks)
      vectors.push_back(graph_.stack(graph_.gated(x, tower_.name + ".gate_" + task, width, experts),
                                     tower_.name + ".head_" + task, spec.expert_layers.back(),
                                     spec.head_layers, false));
    return vectors;
  }

  /// <W_i f_i, W_j f_j> of all pairs i < j.
  OnnxValue products(const std::vector<OnnxValue>& parts, const std::vector<int32_t>& widths) {
    const int64_t dim = tower_.mixture->product_dim;
    const auto count = std::ssize(parts);
    std::vector<OnnxValue> projected;
    std::vector<int64_t> places;
    for (int64_t i = 0; i < count; ++i) {
      const auto at = static_cast<size_t>(i);
      projected.push_back(
          unsqueezed(graph_.linear(parts[at], fmt::format("{}.product{}", tower_.name, i),
                                   widths[at], dim, false),
                     {1}));
      for (int64_t j = i + 1; j < count; ++j) places.push_back(i * count + j);
    }
    const OnnxValue all = graph_.concat(projected, 1);  // [batch, fields, dim]
    const OnnxValue turned =
        graph_.node("Transpose", {all}, {{"perm", std::vector<int64_t>{0, 2, 1}}});
    const OnnxValue flat = graph_.node(
        "Reshape", {graph_.node("MatMul", {all, turned}), graph_.integers({0, count * count})});
    return graph_.node("Gather", {flat, graph_.integers(places)}, {{"axis", int64_t{1}}});
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
    const std::string name = "item.log_q";
    describe(name, "float32", {kBatch}, {{"popularity", true}});
    const OnnxValue log_q = graph_.input(name, onnx::Type::kFloat, {kBatch});
    const OnnxValue beta = graph_.number(static_cast<float>(bundle_.spec().beta));
    return graph_.concat({vector, graph_.node("Mul", {unsqueezed(log_q, {1}), beta})}, 1);
  }

  const Bundle& bundle_;
  const TowerSpec& tower_;
  OnnxGraph graph_;
  std::set<std::string> inputs_;
  Json signature_ = {{"inputs", Json::array()}, {"outputs", Json::array()}};
};

/// Row of each text as its place in a list; of hashed ones how to compute it.
Json write_vocabulary(const Bundle& bundle, const std::string& name, const fs::path& folder) {
  const Vocabulary& vocabulary = bundle.vocabulary(name);
  const int64_t hashed =
      bundle.manifest().at("vocabularies").at(name).at("hashed_rows").get<int64_t>();
  if (hashed > 0) return {{"rows", hashed}, {"hash", "1 + XXH64(text, seed 0) mod (rows - 1)"}};
  Json texts = Json::array();
  for (int64_t row = 0; row < vocabulary.rows(); ++row)
    texts.push_back(std::string(vocabulary.text(static_cast<int32_t>(row))));
  const std::string file = "vocabulary." + name + ".json";
  write_file(folder / file, texts.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n');
  return {{"rows", vocabulary.rows()}, {"file", file}};
}

}  // namespace

OnnxModel onnx_user_tower(const Bundle& bundle) {
  return TowerGraph(bundle, bundle.spec().user).finish();
}

OnnxModel onnx_item_tower(const Bundle& bundle) {
  return TowerGraph(bundle, bundle.spec().item).finish();
}

Json export_onnx(const Bundle& bundle, const fs::path& folder) {
  fs::create_directories(folder);
  Json signature{{"format", 1},
                 {"model", bundle.model()},
                 {"version", bundle.version()},
                 {"moment", bundle.moment()},
                 {"vocabularies", Json::object()}};
  for (const bool users : {true, false}) {
    const std::string name = users ? "user_tower" : "item_tower";
    OnnxModel tower = users ? onnx_user_tower(bundle) : onnx_item_tower(bundle);
    write_file(folder / (name + ".onnx"), tower.file);
    tower.signature["file"] = name + ".onnx";
    for (const Json& input : tower.signature["inputs"])
      if (const auto at = input.find("vocabulary");
          at != input.end() && !signature["vocabularies"].contains(at->get<std::string>()))
        signature["vocabularies"][at->get<std::string>()] =
            write_vocabulary(bundle, at->get<std::string>(), folder);
    signature[name] = std::move(tower.signature);
  }
  write_file(folder / "signature.json", signature.dump(1) + '\n');
  return signature;
}

}  // namespace retort
