// A bundle's item vectors in a Postgres database with the extension pgvector.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "retort/bundle/bundle.h"
#include "retort/server/postgres.h"

namespace retort {

/// The table of a bundle's items: item (its row in the bundle), id, embedding. Named by the digest
/// of the bundle's manifest, so that no two bundles share one, whatever their folders are called.
std::string pgvector_table(const Bundle& bundle);
/// Whether the export of this bundle has come to its end. Throws PostgresError.
bool pgvector_complete(PostgresConnection& database, const Bundle& bundle);

struct PgvectorFill {
  int64_t batch = 500;  // rows a command
  bool hnsw = true;     // an HNSW index on the vectors, where pgvector takes their width
  int64_t keep = 0;     // newest exports of this model that stay; 0: all
  std::function<void(int64_t rows)> progress{};  // rows there so far; may throw to stop
};
struct PgvectorFilled {
  int64_t rows = 0, added = 0;  // added: by this call
  int64_t dropped = 0;          // older exports
};

/// Copies item vectors under the name of the bundle's model. A call that was cut off is gone on
/// with by the next; once complete, further ones add nothing. Throws PostgresError.
PgvectorFilled fill_pgvector(PostgresConnection& database, const Bundle& bundle,
                             const PgvectorFill& options = {});

}  // namespace retort
