#include "retort/server/pgvector_export.h"

#include <algorithm>

#include "retort/bundle/bundle_format.h"

namespace retort {
namespace {

constexpr int32_t kWidestIndexed = 2000;  // of pgvector's HNSW on vectors of single precision
constexpr int64_t kMostParameters = 65535;
constexpr int kPerRow = 3;

std::string digest_of(const Bundle& bundle) {
  return sha256_file(bundle.folder() / kManifestFile).substr(0, 24);
}

void create_catalogue(PostgresConnection& database) {
  database.run("CREATE EXTENSION IF NOT EXISTS vector");
  database.run(
      "CREATE TABLE IF NOT EXISTS retort_exports (bundle text PRIMARY KEY, model text NOT NULL, "
      "version bigint NOT NULL, items bigint NOT NULL, dim int NOT NULL, rows bigint NOT NULL, "
      "begun timestamptz NOT NULL DEFAULT now(), finished timestamptz)");
}

/// Rows and their count in one command: both or neither.
std::string insert_command(const std::string& table, int64_t rows) {
  std::string values;
  for (int64_t row = 0; row < rows; ++row)
    values += fmt::format("{}(${}::int4,${}::text,${}::vector)", row == 0 ? "" : ",",
                          row * kPerRow + 2, row * kPerRow + 3, row * kPerRow + 4);
  return fmt::format(
      "WITH added AS (INSERT INTO {} (item, id, embedding) VALUES {} RETURNING 1) "
      "UPDATE retort_exports SET rows = rows + (SELECT count(*) FROM added) WHERE bundle = $1",
      table, values);
}

void insert_rows(PostgresConnection& database, const Bundle& bundle, const std::string& digest,
                 int64_t begin, int64_t end) {
  const int64_t dim = bundle.vector_dim();
  PostgresParameters parameters;
  parameters.add(digest);
  for (int64_t item = begin; item < end; ++item)
    parameters.add(item)
        .add(bundle.item_keys()[static_cast<int32_t>(item)])
        .add_vector(bundle.item_vectors().subspan(static_cast<size_t>(item * dim),
                                                  static_cast<size_t>(dim)));
  database.run(insert_command(pgvector_table(bundle), end - begin), parameters);
}

int64_t drop_older(PostgresConnection& database, const Bundle& bundle, int64_t keep) {
  PostgresParameters parameters;
  const PostgresRows old = database.run(
      "SELECT bundle FROM retort_exports WHERE model = $1 ORDER BY begun DESC OFFSET $2::bigint",
      parameters.add(bundle.model()).add(keep));
  for (int64_t row = 0; row < old.size(); ++row) {
    const std::string digest(old.text(row, 0));
    database.run(fmt::format("DROP TABLE IF EXISTS retort_items_{}", digest));
    PostgresParameters one;
    database.run("DELETE FROM retort_exports WHERE bundle = $1", one.add(digest));
  }
  return old.size();
}

}  // namespace

std::string pgvector_table(const Bundle& bundle) { return "retort_items_" + digest_of(bundle); }

bool pgvector_complete(PostgresConnection& database, const Bundle& bundle) {
  const PostgresRows known = database.run("SELECT to_regclass('retort_exports') IS NOT NULL");
  if (known.text(0, 0) != "t") return false;
  PostgresParameters parameters;
  return database
             .run("SELECT 1 FROM retort_exports WHERE bundle = $1 AND finished IS NOT NULL",
                  parameters.add(digest_of(bundle)))
             .size() == 1;
}

PgvectorFilled fill_pgvector(PostgresConnection& database, const Bundle& bundle,
                             const PgvectorFill& options) {
  const std::string digest = digest_of(bundle), table = pgvector_table(bundle);
  create_catalogue(database);
  database.run(
      fmt::format("CREATE TABLE IF NOT EXISTS {} (item int4 PRIMARY KEY, id text NOT NULL, "
                  "embedding vector({}) NOT NULL)",
                  table, bundle.vector_dim()));
  PostgresParameters row;
  database.run(
      "INSERT INTO retort_exports (bundle, model, version, items, dim, rows) "
      "VALUES ($1, $2, $3::bigint, $4::bigint, $5::int, 0) ON CONFLICT (bundle) DO NOTHING",
      row.add(digest)
          .add(bundle.model())
          .add(bundle.version())
          .add(bundle.items())
          .add(bundle.vector_dim()));
  PostgresParameters key;
  key.add(digest);
  PgvectorFilled filled;
  filled.rows =
      database.run("SELECT rows FROM retort_exports WHERE bundle = $1", key).integer(0, 0);
  const int64_t batch = std::clamp<int64_t>(options.batch, 1, (kMostParameters - 1) / kPerRow);
  while (filled.rows < bundle.items()) {
    const int64_t end = std::min(bundle.items(), filled.rows + batch);
    insert_rows(database, bundle, digest, filled.rows, end);
    filled.added += end - filled.rows;
    filled.rows = end;
    if (options.progress) options.progress(filled.rows);
  }
  if (options.hnsw && bundle.vector_dim() <= kWidestIndexed)
    database.run(
        fmt::format("CREATE INDEX IF NOT EXISTS {0}_hnsw ON {0} USING hnsw "
                    "(embedding vector_ip_ops)",
                    table));
  database.run("UPDATE retort_exports SET finished = coalesce(finished, now()) WHERE bundle = $1",
               key);
  if (options.keep > 0) filled.dropped = drop_older(database, bundle, options.keep);
  return filled;
}

}  // namespace retort
