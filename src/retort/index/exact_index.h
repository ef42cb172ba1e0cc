// Exhaustive search: every allowed vector is scored. The oracle of the other indexes.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "retort/index/item_index.h"

namespace retort {

class ExactIndex : public ItemIndex {
 public:
  ExactIndex() = default;
  /// Searches `vectors` [items, dim] where they lie; they must outlive the index.
  ExactIndex(std::span<const float> vectors, int32_t dim);
  ExactIndex(const ExactIndex&) = delete;
  ExactIndex& operator=(ExactIndex&&) = default;
  void build(std::span<const float> vectors, int32_t dim) override;
  std::vector<SearchHit> search(std::span<const float> query, int32_t k,
                                const ItemFilter& filter) const override;
  void save(const fs::path& path) const override;
  int64_t size() const override { return dim_ == 0 ? 0 : std::ssize(vectors_) / dim_; }
  const float* vector(int32_t item) const { return vectors_.data() + int64_t{item} * dim_; }

 private:
  std::vector<float> owned_;
  std::span<const float> vectors_;
  int32_t dim_ = 0;
};

/// Takes no options.
std::unique_ptr<ItemIndex> make_exact_index(const Json& options);
std::unique_ptr<ItemIndex> load_exact_index(const fs::path& path, std::span<const float> vectors,
                                            int32_t dim, const Json& options);

/// The k best of all vectors [items, dim] for each of many queries [Q, dim]: blocks of queries
/// times blocks of items, on the pool. Same order of hits as ExactIndex::search.
std::vector<std::vector<SearchHit>> exact_top_k(std::span<const float> vectors,
                                                std::span<const float> queries, int32_t dim,
                                                int32_t k);

/// Throws ArgumentError unless query and filter fit an index of this size, and k >= 0.
void check_search(std::span<const float> query, int32_t dim, int32_t k, const ItemFilter& filter,
                  int64_t items);
/// Number of rows of vectors [items, dim]; throws ArgumentError if it is not whole, dim < 1 or
/// there are more than 2^31 - 1 rows.
int64_t check_vectors(std::span<const float> vectors, int32_t dim);

}  // namespace retort
