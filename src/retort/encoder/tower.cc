#include "retort/encoder/tower.h"

#include <algorithm>

#include "retort/common/error.h"
#include "retort/common/thread_pool.h"

namespace retort {
namespace {

constexpr int64_t kRows = 256;  // rows taken through all layers at once

}  // namespace

Tower::Tower(const TowerSpec& spec, const SafetensorsFile& weights)
    : name_(spec.name),
      width_(spec.input_width()),
      dim_(spec.dim()),
      input_(spec.name + " tower", spec.input, weights) {
  for (const SequenceSpec& sequence : spec.sequences) sequences_.emplace_back(sequence, weights);
  if (spec.mixture)
    mixture_.emplace(spec, weights);
  else
    layers_.emplace(spec, weights);
}

void Tower::encode(const SideBatch& batch, std::span<const float> shares,
                   std::span<float> out) const {
  check_batch(batch, std::ssize(out));
  parallel_for(0, batch.rows, 16, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; row += kRows) {
      const int64_t rows = std::min(kRows, end - row);
      std::vector<float> x = input_rows(batch, row, row + rows);
      const auto to =
          out.subspan(static_cast<size_t>(row * dim_), static_cast<size_t>(rows * dim_));
      if (mixture_)
        mixture_->encode(x, shares, to);
      else
        layers_->encode(x, to);
    }
  });
}

void Tower::check_batch(const SideBatch& batch, int64_t out) const {
  check(out == batch.rows * dim_, "{} tower: output of {} floats is not [{}, {}]", name_, out,
        batch.rows, dim_);
  input_.check_batch(batch);
  for (const SequenceEncoder& sequence : sequences_) sequence.check_batch(batch);
}

/// Fields, dense values and sequences of rows [begin, end) side by side.
std::vector<float> Tower::input_rows(const SideBatch& batch, int64_t begin, int64_t end) const {
  const int64_t rows = end - begin;
  std::vector<float> x(static_cast<size_t>(rows * width_));
  input_.fill(batch, begin, end, x, width_);
  int64_t column = input_.width();
  for (const SequenceEncoder& sequence : sequences_) {
    sequence.encode(batch, begin, end, std::span(x).subspan(static_cast<size_t>(column)), width_);
    column += sequence.dim();
  }
  return x;
}

}  // namespace retort
