// A user's sequence with its side information as one vector: SequenceSpec without torch.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "retort/bundle/model_spec.h"
#include "retort/bundle/safetensors.h"
#include "retort/dataset/batch.h"
#include "retort/kernel/attention.h"
#include "retort/kernel/pool.h"

namespace retort {

class SequenceEncoder {
 public:
  /// Throws DataError if a weight is missing or of the wrong shape. `weights` must outlive it.
  SequenceEncoder(const SequenceSpec& spec, const SafetensorsFile& weights);
  int64_t dim() const { return dim_; }
  /// Throws ArgumentError unless the batch has the sequence's fields, all of equal length in each
  /// row.
  void check_batch(const SideBatch& batch) const;
  /// Vectors of rows [begin, end) of a checked batch; row `begin` + r goes to
  /// out[r * stride .. + dim). Throws ArgumentError on an id outside its table.
  void encode(const SideBatch& batch, int64_t begin, int64_t end, std::span<float> out,
              int64_t stride) const;

 private:
  void encode_group(const SideBatch& batch, int64_t begin, int64_t end, std::span<float> out,
                    int64_t stride) const;
  int64_t steps_of(const SideBatch& batch, int64_t row) const;

  struct Field {
    RowTable table;
    size_t sparse = 0;  // position in SideBatch::sparse
  };
  std::string name_;
  int64_t dim_, length_;
  std::vector<Field> fields_;
  std::span<const float> positions_;  // [length, dim], empty without layers
  std::vector<TransformerLayer> layers_;
};

}  // namespace retort
