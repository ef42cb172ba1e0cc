// From a user to the best items: features, tower, index, filters. What `retort retrieve` and the
// server run, without torch.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "retort/bundle/bundle.h"
#include "retort/bundle/export.h"
#include "retort/common/json.h"
#include "retort/encoder/overlay.h"
#include "retort/encoder/ranker.h"
#include "retort/encoder/tower_encoder.h"

namespace retort {

struct RetrieveOptions {
  int32_t k = 100;
  bool exclude_seen = false;           // Bundle::seen_items
  std::string where{};                 // condition on item attributes, see index/filter.h; "" = all
  std::vector<std::string> exclude{};  // item keys; unknown ones exclude nothing
  /// Where the bundle knows which items are alive, they come first and others only fill up to k;
  /// false: all items alike.
  bool prefer_alive = true;
  /// w of score = w * score_1 + (1 - w) * score_2, for a model of two tasks; absent: its own.
  /// Source: RRA eq. 7, 8.
  std::optional<double> fusion{};
  std::vector<double> shares{};  // one a task, of a model of several; empty: its own
  /// Items that came, changed or went since; they count as alive. May be null.
  const ItemOverlay* overlay = nullptr;
};

struct Retrieval {
  struct Item {
    std::string id;
    float score = 0;
  };
  int64_t version = 0;
  std::vector<Item> items;  // best first; of one score alive ones, then by place in the catalogue
};
/// {"version", "items": [{"id", "score"}]}
Json to_json(const Retrieval& retrieval);

/// Thread-safe.
class Retriever {
 public:
  /// Loads towers, index and ranking model; `bundle` must outlive the retriever. `index`: instead
  /// of the bundle's own. Throws DataError.
  explicit Retriever(const Bundle& bundle, std::unique_ptr<ItemIndex> index = nullptr);

  /// The k best allowed items: as many as there are, if fewer than k. Throws DataError for a user
  /// who is not in the bundle, ConfigError for a wrong condition, a fusion that is out of [0, 1] or
  /// of a model without two tasks, shares that are not one a task, or k < 1.
  Retrieval retrieve(std::string_view user, const RetrieveOptions& options) const;
  /// The same for a user described by raw features, see encoder/features.h; with exclude_seen the
  /// items of their sequences are left out.
  template <std::same_as<Json> T>  // a template, because every text converts to Json
  Retrieval retrieve(const T& features, const RetrieveOptions& options) const {
    return retrieve_described(features, options);
  }

  /// Vectors as the index compares them, [users, bundle.vector_dim()]; `fusion`, `shares` as above.
  std::vector<float> encode(const SideBatch& users, std::optional<double> fusion = {},
                            const std::vector<double>& shares = {}) const;
  /// The second half of `retrieve`: query as `encode` gives it, [bundle.vector_dim()]; seen: items
  /// of the bundle that exclude_seen leaves out. fusion and shares of the options are not looked
  /// at.
  Retrieval search(std::span<const float> query, std::span<const int32_t> seen,
                   const RetrieveOptions& options) const;
  /// The bundle's items that `search` may give with these options.
  ItemFilter allowed(std::span<const int32_t> seen, const RetrieveOptions& options) const;
  const TowerEncoder& encoder() const { return encoder_; }
  const ItemIndex& index() const { return *index_; }
  /// The bundle's ranking model; null where it was published without.
  const Ranker* ranker() const { return ranker_ ? &*ranker_ : nullptr; }

 private:
  Retrieval retrieve_described(const Json& features, const RetrieveOptions& options) const;
  std::vector<Retrieval::Item> named(std::span<const SearchHit> hits) const;
  const Bundle& bundle_;
  TowerEncoder encoder_;
  std::unique_ptr<ItemIndex> index_;
  std::optional<Ranker> ranker_;
};

/// All users' vectors (computed block by block) or items' vectors, for export_vectors. What they
/// refer to must outlive them.
VectorSource user_vectors(const Bundle& bundle, const Retriever& retriever);
VectorSource item_vectors(const Bundle& bundle);

}  // namespace retort
