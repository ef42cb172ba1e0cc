// A random ranking model over a tiny dataset, for bundles that carry one.
#pragma once

#include <map>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "tests/bundle/tiny_bundle.h"

#include "retort/bundle/model_weights.h"
#include "retort/bundle/ranker_spec.h"
#include "retort/bundle/safetensors.h"
#include "retort/common/rng.h"

namespace retort {

/// One bottom of {7, 5} for click and read, on every feature of all sides.
inline RankerSpec tiny_ranker(const Schema& schema) {
  RankerSpec spec;
  spec.kind = "shared_bottom";
  spec.user = make_input(schema, Side::kUser, "teacher", 3, false);
  spec.item = make_input(schema, Side::kItem, "teacher", 3, false);
  spec.pair = make_input(schema, Side::kPair, "teacher", 3, false);
  spec.expert_layers = {7, 5};
  spec.tasks = {{"click"}, {"read", 0}};
  return spec;
}

/// Random weights of a spec of any kind, listed as docs/bundle-format.md has them.
class RandomRanker {
 public:
  explicit RandomRanker(const RankerSpec& spec) : spec_(spec) {
    for (const FieldSpec& field : table_fields(spec))
      add(field.table + ".weight", {field.rows, field.dim});
    TowerSpec sequences{"", {}, {}, spec.sequences};
    for (const WeightShape& weight : layer_weights(sequences)) add(weight.name, weight.shape);
    const std::vector<int32_t> widths = field_widths(spec);
    width_ = std::accumulate(widths.begin(), widths.end(), 0);
    if (spec.mixture)
      add_mixture(widths);
    else
      add_layers();
  }
  void save(const fs::path& path) const { write_safetensors(path, views_); }

 private:
  void add(const std::string& name, std::vector<int64_t> shape) {
    if (weights_.contains(name)) return;
    const Rng rng(9, name);
    int64_t size = 1;
    for (const int64_t extent : shape) size *= extent;
    for (int64_t i = 0; i < size; ++i)
      weights_[name].push_back(0.4F * static_cast<float>(rng.normal(static_cast<uint64_t>(i))));
    views_[name] = {"F32", std::move(shape), std::as_bytes(std::span(weights_[name]))};
  }
  void add_stack(const std::string& name, int64_t in, const std::vector<int32_t>& layers) {
    for (size_t i = 0; i < layers.size(); ++i) {
      add(name + ".layer" + std::to_string(i) + ".weight", {layers[i], in});
      add(name + ".layer" + std::to_string(i) + ".bias", {layers[i]});
      in = layers[i];
    }
  }
  void add_experts(const std::string& stem, int32_t count, int64_t in) {
    for (int32_t k = 0; k < count; ++k)
      add_stack(stem + ".expert" + std::to_string(k), in, spec_.expert_layers);
  }
  void add_layers() {
    std::vector<int32_t> head = spec_.tower_layers;
    head.push_back(1);
    if (spec_.kind == "shared_bottom") add_stack("teacher.bottom", width_, spec_.expert_layers);
    if (spec_.kind == "single") add_experts("teacher", 1, width_);
    if (spec_.kind == "mmoe") add_experts("teacher", spec_.experts, width_);
    for (const RankedTask& task : spec_.tasks) {
      add_stack("teacher.tower_" + task.name, spec_.expert_layers.back(), head);
      if (spec_.kind == "mmoe")
        add("teacher.gate_" + task.name + ".weight", {spec_.experts, width_});
    }
    if (spec_.kind != "cgc") return;
    const int64_t own = spec_.task_experts, shared = spec_.shared_experts;
    const auto all = shared + own * std::ssize(spec_.tasks);
    for (int32_t level = 0; level < spec_.levels; ++level) {
      const std::string stem = "teacher.level" + std::to_string(level) + ".";
      const int64_t in = level == 0 ? width_ : spec_.expert_layers.back();
      add_experts(stem + "shared", spec_.shared_experts, in);
      if (level + 1 < spec_.levels) add(stem + "shared.gate.weight", {all, in});
      for (const RankedTask& task : spec_.tasks) {
        add_experts(stem + "task_" + task.name, spec_.task_experts, in);
        add(stem + "task_" + task.name + ".gate.weight", {own + shared, in});
      }
    }
  }
  void add_mixture(const std::vector<int32_t>& widths) {
    const MixtureSpec& mixture = *spec_.mixture;
    const int64_t in = mixture_width(mixture, widths);
    for (size_t i = 0; i < widths.size() && mixture.product_dim > 0; ++i)
      add("teacher.product" + std::to_string(i) + ".weight", {mixture.product_dim, widths[i]});
    for (int32_t k = 0; k < mixture.experts; ++k)
      add_stack("teacher.expert" + std::to_string(k), in, mixture.expert_layers);
    for (const std::string& task : mixture.tasks) {
      add("teacher.gate_" + task + ".weight", {mixture.experts, in});
      add_stack("teacher.head_" + task, mixture.expert_layers.back(), mixture.head_layers);
    }
  }

  const RankerSpec& spec_;
  int64_t width_ = 0;
  Weights weights_;
  std::map<std::string, TensorView> views_;
};

inline void save_ranker(const RankerSpec& spec, const fs::path& path) {
  RandomRanker(spec).save(path);
}

/// The publication's bundle with the model.
inline PublishResult publish_with_ranker(const TinyPublication& tiny,
                                         std::optional<int64_t> moment = {},
                                         const std::optional<RankerSpec>& spec = {}) {
  BundleContents contents = tiny.contents();
  contents.teacher = spec ? *spec : tiny_ranker(tiny.dataset.schema());
  contents.teacher_weights = tiny.scratch / "teacher.safetensors";
  contents.moment = moment;
  save_ranker(*contents.teacher, contents.teacher_weights);
  return publish_bundle(contents, tiny.bundles());
}

}  // namespace retort
