// Towers and teacher as ONNX graphs, for runtimes that are not Retort: docs/onnx.md is the
// reference.
#pragma once

#include <string>

#include "retort/bundle/bundle.h"
#include "retort/common/json.h"

namespace retort {

struct OnnxModel {
  std::string file;  // its bytes
  Json signature;    // {"inputs": [{"name", "dtype", "shape", ..}], "outputs": [..]}
};

/// From ids and transformed dense values to vectors as the bundle's index compares them, those of
/// popularity included. Equal to TowerEncoder to 1e-4. Throws DataError if a weight is missing or a
/// tower takes more than a file holds.
OnnxModel onnx_user_tower(const Bundle& bundle);
OnnxModel onnx_item_tower(const Bundle& bundle);

/// From the features of pairs, a row each, to the probability of every task, equal to Ranker's to
/// 1e-4; without the seconds of a model that has them. Throws as the towers, and ArgumentError for
/// a bundle without a teacher.
OnnxModel onnx_teacher(const Bundle& bundle);

/// Writes user_tower.onnx, item_tower.onnx, teacher.onnx where the bundle has one, signature.json
/// and the vocabularies that they need, vocabulary.NAME.json, into the folder, which is made.
/// Returns the signature. Throws IoError.
Json export_onnx(const Bundle& bundle, const fs::path& folder);

}  // namespace retort
