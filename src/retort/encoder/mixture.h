// Experts, gates and a head a task over the fields and their products: MixtureSpec without torch.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "retort/bundle/model_spec.h"
#include "retort/bundle/safetensors.h"
#include "retort/encoder/dense_stack.h"

namespace retort {

class MixtureEncoder {
 public:
  /// Throws DataError if a weight is missing or of the wrong shape. `weights` must outlive it.
  MixtureEncoder(const TowerSpec& tower, const SafetensorsFile& weights);
  /// The mixture "<name>.." over fields of these widths.
  MixtureEncoder(const std::string& name, std::vector<int32_t> widths, const MixtureSpec& spec,
                 const SafetensorsFile& weights);
  int64_t dim() const { return dim_; }
  /// u = the sum over tasks t of shares[t] * u_t. Shapes: fields [R, width of all fields side by
  /// side], shares [tasks], out [R, dim].
  void encode(std::span<const float> fields, std::span<const float> shares,
              std::span<float> out) const;
  /// u_t of each task apart, [tasks] of [R, dim].
  std::vector<std::vector<float>> encode_tasks(std::span<const float> fields) const;

 private:
  std::vector<float> with_products(std::span<const float> fields, int64_t rows) const;

  struct Task {
    PackedMatrix gate;
    DenseStack head;
  };
  std::vector<int32_t> widths_;     // of the fields
  int64_t fields_width_, x_width_;  // of all fields; with their products
  int64_t product_dim_, expert_width_, dim_;
  std::vector<PackedMatrix> products_;  // [fields], empty without products
  std::vector<DenseStack> experts_;
  std::vector<Task> tasks_;
};

}  // namespace retort
