// Memory that one thread of softmax over a catalogue works in, kept from call to call.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>

#include "retort/common/error.h"
#include "retort/kernel/catalogue_tiles.h"

namespace retort {

inline int64_t round_up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

/// Memory aligned for oneDNN that only grows.
class Buffer {
 public:
  template <class T = void>
  T* reserve(int64_t bytes) {
    if (bytes > size_) {
      const int64_t wanted = round_up(bytes, 64);
      data_.reset(std::aligned_alloc(64, static_cast<size_t>(wanted)));
      check(data_ != nullptr, "CatalogueSoftmax: no memory for {} bytes", wanted);
      size_ = wanted;
    }
    return static_cast<T*>(data_.get());
  }
  template <class T>
  T* get() const {
    return static_cast<T*>(data_.get());
  }
  int64_t size() const { return size_; }

 private:
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };
  std::unique_ptr<void, Free> data_;
  int64_t size_ = 0;
};

/// What one thread works in; sized for the tiles of a plan.
struct Worker {
  Buffer items, logit_items, gradient_items;  // of the block at hand: plain and packed
  Buffer bias, logits, gradient, item_sum, scratch;
  void reserve(const TileProducts& plan) {
    const TileShape& shape = plan.shape();
    const int64_t element = shape.precision == Precision::kBf16 ? 2 : 4;
    items.reserve(shape.items * shape.dim * element);
    logit_items.reserve(static_cast<int64_t>(plan.logit_items_size()));
    gradient_items.reserve(static_cast<int64_t>(plan.gradient_items_size()));
    bias.reserve(shape.items * 4);
    logits.reserve(shape.rows * shape.items * 4);
    gradient.reserve(shape.rows * shape.items * element);
    item_sum.reserve(shape.items * shape.dim * 4);
    scratch.reserve(static_cast<int64_t>(plan.scratch_size()));
  }
  int64_t size() const {
    return items.size() + logit_items.size() + gradient_items.size() + bias.size() + logits.size() +
           gradient.size() + item_sum.size() + scratch.size();
  }
};

}  // namespace retort
