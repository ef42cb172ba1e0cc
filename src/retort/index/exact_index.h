// Exhaustive search: every allowed vector is scored. The oracle of the other indexes.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "retort/index/item_index.h"
#include "retort/kernel/quantised.h"

namespace retort {

/// How the exact index keeps vectors besides fp32. kAuto: int8 from 2048 items on where the
/// processor has AVX2 or more, else fp32 alone.
enum class Storage { kAuto, kFp32, kBf16, kInt8 };

/// Always gives the k best by fp32 dot(). With a compact storage the compact vectors are scanned
/// and only items whose error bound lets them be among the best are scored in fp32; where bounds
/// rule out too little (all vectors alike, k near the number of items) all are. Memory beside the
/// fp32 vectors: int8 dim + 12 bytes an item, bf16 2 dim + 12.
class ExactIndex : public ItemIndex {
 public:
  explicit ExactIndex(Storage storage = Storage::kFp32) : storage_(storage) {}
  /// Searches `vectors` [items, dim] where they lie; they must outlive the index.
  ExactIndex(std::span<const float> vectors, int32_t dim, Storage storage = Storage::kFp32);
  ExactIndex(const ExactIndex&) = delete;
  ExactIndex& operator=(ExactIndex&&) = default;
  void build(std::span<const float> vectors, int32_t dim) override;
  std::vector<SearchHit> search(std::span<const float> query, int32_t k,
                                const ItemFilter& filter) const override;
  /// Blocks of queries times blocks of items, on the pool; the same hits as `search`.
  std::vector<std::vector<SearchHit>> search_many(std::span<const float> queries, int32_t dim,
                                                  int32_t k,
                                                  const ItemFilter& filter) const override;
  void save(const fs::path& path) const override;
  int64_t size() const override { return dim_ == 0 ? 0 : std::ssize(vectors_) / dim_; }
  const float* vector(int32_t item) const { return vectors_.data() + int64_t{item} * dim_; }
  /// "fp32", "bf16" or "int8": what is scanned.
  std::string storage() const;
  /// Bytes kept beside the fp32 vectors.
  int64_t compact_bytes() const { return scan_ == nullptr ? 0 : compact_.bytes(); }

 private:
  void compress();
  bool worth_scanning(int32_t k, int64_t allowed) const;
  std::vector<SearchHit> search_fp32(std::span<const float> query, int32_t k,
                                     const ItemFilter& filter, bool sparse) const;
  std::vector<SearchHit> search_compact(std::span<const float> query, int32_t k,
                                        const ItemFilter& filter, QuantisedQuery ready) const;
  void search_block(std::span<const float> queries, int32_t k, const ItemFilter& filter,
                    std::span<std::vector<SearchHit>> hits) const;

  Storage storage_;
  std::vector<float> owned_;
  std::span<const float> vectors_;
  int32_t dim_ = 0;
  QuantisedMatrix compact_;
  ScanFunction scan_ = nullptr;  // nullptr: fp32 alone
};

/// Options: {"storage": "auto" (default), "fp32", "bf16" or "int8"}.
std::unique_ptr<ItemIndex> make_exact_index(const Json& options);
std::unique_ptr<ItemIndex> load_exact_index(const fs::path& path, std::span<const float> vectors,
                                            int32_t dim, const Json& options);

/// The k best of all vectors [items, dim] for each of many queries [Q, dim], by an ExactIndex made
/// for this call.
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
