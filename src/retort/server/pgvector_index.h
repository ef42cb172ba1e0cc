// An item index that lives in a Postgres database with pgvector, for a catalogue beyond one
// machine: `retort export --to` fills it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "retort/bundle/bundle.h"
#include "retort/index/item_index.h"
#include "retort/server/postgres.h"

namespace retort {

/// Searches the table of one bundle. A filter that leaves or forbids few items goes with the
/// query; another is applied to the answer, and more is asked for until k are left.
class PgvectorIndex : public ItemIndex {
 public:
  /// most_named: items that a query names at most, for a filter. Throws DataError if the bundle's
  /// export is not there or not complete, or pgvector is older than 0.8; PostgresError.
  PgvectorIndex(std::shared_ptr<PostgresPool> pool, const Bundle& bundle,
                int64_t most_named = 1000);

  /// Not for an index that `retort export` fills: throws ArgumentError.
  void build(std::span<const float> vectors, int32_t dim) override;
  void save(const fs::path& path) const override;
  /// As ItemIndex; ties at the k-th score fall as the database has them. Throws HttpError 503 where
  /// the database cannot answer.
  std::vector<SearchHit> search(std::span<const float> query, int32_t k,
                                const ItemFilter& filter) const override;
  int64_t size() const override { return items_; }
  /// Searches of all such indexes that the database could not answer.
  static int64_t unavailable() { return unavailable_; }

 private:
  std::vector<SearchHit> ask(PostgresConnection& database, std::span<const float> query, int64_t k,
                             const ItemFilter& filter) const;

  std::shared_ptr<PostgresPool> pool_;
  std::string table_;
  int64_t items_, most_named_;
  int32_t dim_;
  inline static std::atomic<int64_t> unavailable_{0};
};

}  // namespace retort
