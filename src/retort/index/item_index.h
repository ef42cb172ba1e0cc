// Item indexes: maximum inner product search over item vectors, with a filter inside the search.
#pragma once

#include <bit>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "retort/common/file.h"
#include "retort/common/json.h"
#include "retort/kernel/top_k.h"

namespace retort {

/// item: row of the vectors the index was built from; score: inner product.
using SearchHit = ScoredItem;

/// Items allowed as candidates: one bit an item; empty = all. Bits past the last item are 0.
struct ItemFilter {
  std::vector<uint64_t> bits;
  bool allows(int32_t item) const {
    return bits.empty() || ((bits[static_cast<size_t>(item) >> 6] >> (item & 63)) & 1) != 0;
  }
  static ItemFilter all(int64_t items);   // every bit set
  static ItemFilter none(int64_t items);  // every bit clear
  /// Throws ArgumentError on a filter without bits or an item out of range.
  void forbid(int32_t item);
  void allow(int32_t item);
  /// Leaves only what both allow; an empty filter allows all.
  void intersect(const ItemFilter& other);
  int64_t count(int64_t items) const;  // items allowed
  /// Calls `visit(item)` for each allowed item of [begin, end), ascending; `begin` a multiple
  /// of 64.
  template <class Visit>
  void each(int64_t begin, int64_t end, Visit&& visit) const {
    for (int64_t base = begin; base < end; base += 64) {
      uint64_t word = bits.empty() ? ~uint64_t{0} : bits[static_cast<size_t>(base) >> 6];
      if (end - base < 64) word &= (uint64_t{1} << (end - base)) - 1;
      for (; word != 0; word &= word - 1)
        visit(static_cast<int32_t>(base + std::countr_zero(word)));
    }
  }
};

class ItemIndex {
 public:
  virtual ~ItemIndex() = default;
  /// Vectors [items, dim] row-major, copied; replaces what was there.
  virtual void build(std::span<const float> vectors, int32_t dim) = 0;
  /// The k best allowed items by inner product, best first, ties by lower item; fewer only where
  /// fewer are allowed. Thread-safe.
  virtual std::vector<SearchHit> search(std::span<const float> query, int32_t k,
                                        const ItemFilter& filter) const = 0;
  /// `search` for each row of queries [Q, dim], on the pool.
  virtual std::vector<std::vector<SearchHit>> search_many(std::span<const float> queries,
                                                          int32_t dim, int32_t k,
                                                          const ItemFilter& filter) const;
  /// Writes the index as one file, atomically. An exact index needs none beside the vectors and
  /// writes an empty one.
  virtual void save(const fs::path& path) const = 0;
  virtual int64_t size() const = 0;
};

struct IndexEntry {
  std::string_view name, summary, source;
  /// Throws ConfigError on an unknown or bad option.
  std::unique_ptr<ItemIndex> (*make)(const Json& options);
  /// Opens what `save` wrote; `vectors` must outlive the index. Throws DataError naming the file
  /// if it is no index of these vectors.
  std::unique_ptr<ItemIndex> (*load)(const fs::path& path, std::span<const float> vectors,
                                     int32_t dim, const Json& options);
};
/// All entries: exact, hnsw, faiss.
std::span<const IndexEntry> indexes();
/// Throws ConfigError listing the known names.
const IndexEntry& find_index(std::string_view name);

/// index.search_many.
inline std::vector<std::vector<SearchHit>> search_batch(const ItemIndex& index,
                                                        std::span<const float> queries, int32_t dim,
                                                        int32_t k, const ItemFilter& filter = {}) {
  return index.search_many(queries, dim, k, filter);
}

/// Mean over queries of the share of the exact hits' scores that were found. Items whose score
/// equals the last exact one count as found: ties are no misses. 1 without queries.
double recall_of(std::span<const std::vector<SearchHit>> exact,
                 std::span<const std::vector<SearchHit>> found);

/// Recall@k of an index: the mean over queries [Q, dim] of the share of the k best scores that it
/// found. Items whose score equals the k-th best count as found: ties are no misses. 1 without
/// queries.
double recall_against_exact(const ItemIndex& index, std::span<const float> vectors,
                            std::span<const float> queries, int32_t dim, int32_t k);

}  // namespace retort
