// What a model sees of one side: pooled embeddings of its fields, then its dense values.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "retort/bundle/model_spec.h"
#include "retort/bundle/safetensors.h"
#include "retort/dataset/batch.h"
#include "retort/kernel/pool.h"

namespace retort {

class InputRows {
 public:
  /// `name`: for messages. Throws DataError if a table is missing or of the wrong shape. `weights`
  /// must outlive it.
  InputRows(std::string name, const InputSpec& spec, const SafetensorsFile& weights);
  int64_t width() const { return width_; }
  /// Throws ArgumentError on a batch that does not fit.
  void check_batch(const SideBatch& batch) const;
  /// Rows [begin, end) of a checked batch; row begin + r goes to out[r * stride .. + width()).
  /// Throws ArgumentError on an id outside its table.
  void fill(const SideBatch& batch, int64_t begin, int64_t end, std::span<float> out,
            int64_t stride) const;

 private:
  struct Field {
    RowTable table;
    Pooling pooling = Pooling::kMean;
    size_t sparse = 0;  // position in SideBatch::sparse
  };
  std::string name_;
  int64_t dense_width_, width_;
  std::vector<Field> fields_;
};

}  // namespace retort
