// What gates make of experts, for the mixtures of students and rankers.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "retort/bundle/safetensors.h"
#include "retort/kernel/dense.h"

namespace retort {

/// The F32 matrix [out, in] as it lies in the file, packed. Throws DataError if it is missing or of
/// another shape.
PackedMatrix gate_matrix(const SafetensorsFile& weights, const std::string& name, int64_t out,
                         int64_t in);

/// The sum over k of softmax(gate x)_k experts[k]. Shapes: x [rows, in], gate [experts, in], each
/// expert and the result [rows, width].
std::vector<float> gated_sum(std::span<const float> x, const PackedMatrix& gate,
                             std::span<const std::span<const float>> experts, int64_t rows);

}  // namespace retort
