// Approximate search on a graph of near neighbours (hnswlib), with filters held inside.
#pragma once

#include <memory>
#include <span>

#include "retort/index/item_index.h"

namespace retort {

/// Options of the recipe or bundle; names as in the HNSW paper.
struct HnswOptions {
  int32_t M = 16;                 // links a node and level, twice that on the lowest
  int32_t ef_construction = 200;  // candidates looked at when a node is linked
  int32_t ef_search = 200;        // candidates kept by a search, at least 5/4 k
  uint64_t seed = 100;            // of the nodes' levels
  /// Links by distance instead of by inner product: one more dimension makes all norms equal.
  /// Better where norms say more than directions, worse where queries look unlike items.
  bool equal_norms = false;
  /// Builds on the pool. With several threads the graph then depends on timing; with false, or one
  /// thread, on vectors, options and seed only.
  bool parallel = true;
};
/// Throws ConfigError.
HnswOptions hnsw_options(const Json& options);

/// The graph holds the vectors less their mean, which changes no order of scores and spreads the
/// links. Walks read them as int8 (a quarter of the memory traffic); twice k of what they find are
/// scored in fp32. Memory beside the fp32 vectors: 4 dim + 8 M + 12 bytes an item for the graph,
/// dim + 4 for the codes (dim rounded up to 64), 2 for each thread. A filter is held by widening
/// the search until the k best allowed items lie well within what was found; where a scan of the
/// allowed items is cheaper, it is done instead, so k items come back where k exist. Source: Malkov
/// & Yashunin, arXiv 1603.09320; Morozov & Babenko, NeurIPS 2018 (inner product); Bachrach et al.,
/// RecSys 2014 (equal norms).
class HnswIndex : public ItemIndex {
 public:
  explicit HnswIndex(HnswOptions options = {});
  ~HnswIndex() override;
  void build(std::span<const float> vectors, int32_t dim) override;
  std::vector<SearchHit> search(std::span<const float> query, int32_t k,
                                const ItemFilter& filter) const override;
  /// In hnswlib's own format.
  void save(const fs::path& path) const override;
  int64_t size() const override;
  /// For the searches to come; not to be called while one runs.
  void set_ef_search(int32_t ef) { options_.ef_search = ef; }
  /// Bytes kept beside the fp32 vectors.
  int64_t bytes() const;
  /// Throws DataError unless the file is a whole index of as many vectors of this width. Keeps
  /// referring to `vectors`.
  void load(const fs::path& path, std::span<const float> vectors, int32_t dim);

 private:
  struct State;
  HnswOptions options_;
  std::unique_ptr<State> state_;
};

std::unique_ptr<ItemIndex> make_hnsw_index(const Json& options);
std::unique_ptr<ItemIndex> load_hnsw_index(const fs::path& path, std::span<const float> vectors,
                                           int32_t dim, const Json& options);

}  // namespace retort
