// Approximate search by Faiss: inverted lists of product-quantised codes, best candidates
// re-scored.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "retort/index/item_index.h"

namespace retort {

/// Options of the recipe or bundle.
struct FaissOptions {
  /// Faiss's factory string, an IVF with or without a transform before it, as in "IVF1024,PQ16x8"
  /// or "OPQ16,IVF1024,PQ16x8". Vectors are padded with zeros to a multiple of 16, which PQ's M has
  /// to divide. "auto": IVF of about 4 sqrt(items) lists, PQ of one byte for four dimensions.
  std::string factory = "auto";
  int32_t nprobe = 64;  // lists looked at by a search
  int32_t refine = 8;   // candidates re-scored in fp32, times k
};
/// Throws ConfigError.
FaissOptions faiss_options(const Json& options);

/// A filter is held inside Faiss's own scan; lists are added until k allowed items are found, and
/// where that comes to most lists all allowed items are scored exactly, so k items come back where
/// k exist. Catalogues with fewer items than Faiss needs to train are searched exactly.
/// Memory beside the fp32 vectors: with PQ16x8 16 + 8 bytes an item.
/// Source: Jegou et al., TPAMI 2011 (product quantisation with inverted lists).
class FaissIndex : public ItemIndex {
 public:
  explicit FaissIndex(FaissOptions options = {});
  ~FaissIndex() override;
  /// Throws ConfigError if Faiss refuses the factory string for these vectors.
  void build(std::span<const float> vectors, int32_t dim) override;
  std::vector<SearchHit> search(std::span<const float> query, int32_t k,
                                const ItemFilter& filter) const override;
  /// In Faiss's own format; empty where there are too few items to train.
  void save(const fs::path& path) const override;
  int64_t size() const override;
  /// For the searches to come; not to be called while one runs.
  void set_search(int32_t nprobe, int32_t refine) {
    options_.nprobe = nprobe;
    options_.refine = refine;
  }
  int64_t lists() const;  // 0 where there are too few items to train
  /// The factory string, "auto" resolved.
  std::string factory() const;
  /// Bytes kept beside the fp32 vectors: codes, numbers of items and centroids.
  int64_t bytes() const;
  /// Throws DataError unless the file holds an index of as many vectors of this width. Keeps
  /// referring to `vectors`.
  void load(const fs::path& path, std::span<const float> vectors, int32_t dim);

 private:
  struct State;
  FaissOptions options_;
  std::unique_ptr<State> state_;
};

std::unique_ptr<ItemIndex> make_faiss_index(const Json& options);
std::unique_ptr<ItemIndex> load_faiss_index(const fs::path& path, std::span<const float> vectors,
                                            int32_t dim, const Json& options);

}  // namespace retort
