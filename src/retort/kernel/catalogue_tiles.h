// The three matrix products of one tile (some users, some items) of softmax over a catalogue, on
// oneDNN, each on the calling thread alone: tiles, not products, are spread over threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "retort/kernel/precision.h"

namespace retort {

struct TileShape {
  int64_t rows = 0;   // users of a tile
  int64_t items = 0;  // items of a tile
  int64_t dim = 0;
  Precision precision = Precision::kFp32;  // kFp32 or kBf16: the type T of inputs below
  bool operator==(const TileShape&) const = default;
};

/// Products planned once for a shape. All functions are const and thread-safe on distinct data.
/// Packed sizes are in bytes, pointers aligned to 64 bytes.
class TileProducts {
 public:
  explicit TileProducts(const TileShape& shape);
  ~TileProducts();
  const TileShape& shape() const;

  /// Bytes of one tile's users packed for item_gradient, of one tile's items packed for logits and
  /// for user_gradient, and of the memory that any function needs for itself.
  size_t users_size() const;
  size_t logit_items_size() const;
  size_t gradient_items_size() const;
  size_t scratch_size() const;

  /// T users [rows, dim], items [items, dim] to packed.
  void pack_users(const void* users, void* packed, void* scratch) const;
  void pack_logit_items(const void* items, void* packed, void* scratch) const;
  void pack_gradient_items(const void* items, void* packed, void* scratch) const;

  /// logits [rows, items] = users items^T in fp32; users [rows, dim] as T.
  void logits(const void* users, const void* packed_items, float* logits, void* scratch) const;
  /// sum [rows, dim] += gradient items; gradient [rows, items] as T.
  void user_gradient(const void* gradient, const void* packed_items, float* sum,
                     void* scratch) const;
  /// sum [items, dim] += gradient^T users; gradient as before.
  void item_gradient(const void* gradient, const void* packed_users, float* sum,
                     void* scratch) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Keeps OpenMP, and with it oneDNN, on the calling thread while it lives.
class OneThread {
 public:
  OneThread();
  ~OneThread();
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

}  // namespace retort
