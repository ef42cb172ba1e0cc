// Item indexes: maximum inner product search over item vectors, with a filter inside the search.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "retort/common/file.h"
#include "retort/common/json.h"

namespace retort {

struct SearchHit {
  int32_t item = 0;  // row of the vectors the index was built from
  float score = 0;   // inner product
};

/// Items allowed as candidates: one bit an item; empty = all.
struct ItemFilter {
  std::vector<uint64_t> bits;
  bool allows(int32_t item) const {
    return bits.empty() || ((bits[static_cast<size_t>(item) >> 6] >> (item & 63)) & 1) != 0;
  }
  static ItemFilter all(int64_t items);   // every bit set
  void forbid(int32_t item);
  int64_t count(int64_t items) const;     // items allowed
};

class ItemIndex {
 public:
  virtual ~ItemIndex() = default;
  /// Vectors [items, dim] row-major; replaces what was there.
  virtual void build(std::span<const float> vectors, int32_t dim) = 0;
  /// The k best allowed items by inner product, best first, ties by lower item; fewer only where
  /// fewer are allowed. Thread-safe.
  virtual std::vector<SearchHit> search(std::span<const float> query, int32_t k,
                                        const ItemFilter& filter) const = 0;
  virtual void save(const fs::path& path) const = 0;
  virtual int64_t size() const = 0;
};

struct IndexEntry {
  std::string_view name, summary, source;
  std::unique_ptr<ItemIndex> (*make)(const Json& options);
  std::unique_ptr<ItemIndex> (*load)(const fs::path& path, std::span<const float> vectors,
                                     int32_t dim, const Json& options);
};
/// All entries: exact, hnsw.
std::span<const IndexEntry> indexes();
/// Throws ConfigError listing the known names.
const IndexEntry& find_index(std::string_view name);

}  // namespace retort
