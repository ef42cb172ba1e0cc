// A published model of two tasks over the tiny dataset, with random weights.
#pragma once

#include <memory>

#include "tests/bundle/tiny_bundle.h"

#include "retort/encoder/tower_encoder.h"

namespace retort {

/// Users have what make_input takes and the history with its side information as a sequence; an
/// item of 60 is its row of the table of that sequence. Fusion 0.25.
inline ModelSpec two_task_spec(const Schema& schema, double beta) {
  ModelSpec spec;
  spec.kind = "multi_task";
  spec.user = {"user", make_input(schema, Side::kUser, "user", 4, false)};
  const FieldSpec item{"item_id", "item", 61, 4};
  spec.item = {"item", {Side::kItem, {item}, {0}, 0}};
  SequenceSpec history{"user.recent", {}, {}, 3, 1, 2, 5};
  for (size_t i = 0; i < spec.user.input.fields.size(); ++i) {
    FieldSpec field = spec.user.input.fields[i];
    if (!field.feature.starts_with("history")) continue;
    field.table = field.feature == "history" ? item.table : "user.recent." + field.feature;
    history.fields.push_back(field);
    history.sparse_index.push_back(static_cast<int>(i));
  }
  spec.user.sequences = {history};
  spec.user.mixture = MixtureSpec{3, 2, {6}, {5, 4}, {"click", "dwm"}};
  spec.beta = beta;
  spec.fusion = 0.25;
  return spec;
}

/// Users "u0" .. "u11", items "i0" .. "i59".
struct TwoTaskPublication {
  explicit TwoTaskPublication(double beta) : tiny(random_tiny_dataset(8, 12, 60, 400)) {
    BundleContents contents = tiny.contents();
    contents.spec = two_task_spec(tiny.data.schema, beta);
    contents.weights = tiny.scratch / "two_tasks.safetensors";
    save_weights(contents.spec, random_weights(contents.spec, 3), contents.weights);
    const TowerEncoder towers(contents.spec, std::make_shared<SafetensorsFile>(contents.weights));
    contents.towers = &towers;
    path = publish_bundle(contents, tiny.bundles()).path;
  }
  TinyPublication tiny;
  fs::path path;  // of version 1
};

}  // namespace retort
