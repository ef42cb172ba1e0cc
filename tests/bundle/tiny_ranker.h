// A random ranking model over a tiny dataset, for bundles that carry one.
#pragma once

#include "tests/bundle/tiny_bundle.h"

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

inline void save_ranker(const RankerSpec& spec, const fs::path& path) {
  Weights weights;
  std::map<std::string, TensorView> views;
  const auto add = [&](const std::string& name, std::vector<int64_t> shape) {
    if (weights.contains(name)) return;
    const Rng rng(9, name);
    int64_t size = 1;
    for (const int64_t extent : shape) size *= extent;
    for (int64_t i = 0; i < size; ++i)
      weights[name].push_back(0.4F * static_cast<float>(rng.normal(static_cast<uint64_t>(i))));
    views[name] = {"F32", std::move(shape), std::as_bytes(std::span(weights[name]))};
  };
  const auto linear = [&](const std::string& name, int64_t in, int64_t out) {
    add(name + ".weight", {out, in});
    add(name + ".bias", {out});
  };
  for (const FieldSpec& field : table_fields(spec))
    add(field.table + ".weight", {field.rows, field.dim});
  const int64_t width = spec.user.width() + spec.item.width() + spec.pair.width();
  linear("teacher.bottom.layer0", width, spec.expert_layers[0]);
  linear("teacher.bottom.layer1", spec.expert_layers[0], spec.expert_layers[1]);
  for (const RankedTask& task : spec.tasks)
    linear("teacher.tower_" + task.name + ".layer0", spec.expert_layers[1], 1);
  write_safetensors(path, views);
}

/// The publication's bundle with the model.
inline PublishResult publish_with_ranker(const TinyPublication& tiny,
                                         std::optional<int64_t> moment = {}) {
  BundleContents contents = tiny.contents();
  contents.teacher = tiny_ranker(tiny.dataset.schema());
  contents.teacher_weights = tiny.scratch / "teacher.safetensors";
  contents.moment = moment;
  save_ranker(*contents.teacher, contents.teacher_weights);
  return publish_bundle(contents, tiny.bundles());
}

}  // namespace retort
