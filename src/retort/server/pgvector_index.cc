#include "retort/server/pgvector_index.h"

#include <algorithm>
#include <cstdlib>

#include "retort/common/log.h"
#include "retort/server/http.h"
#include "retort/server/pgvector_export.h"

namespace retort {
namespace {

constexpr int64_t kWidestWalk = 1000;  // pgvector's bound on hnsw.ef_search

std::vector<int32_t> items_of(const ItemFilter& filter, int64_t items, bool allowed) {
  std::vector<int32_t> named;
  for (int64_t item = 0; item < items; ++item)
    if (filter.allows(static_cast<int32_t>(item)) == allowed)
      named.push_back(static_cast<int32_t>(item));
  return named;
}

/// An HNSW index is walked with twice as many candidates as are asked for, and on where a filter
/// leaves too few of them.
void widen_walk(PostgresConnection& database, int64_t asked, int64_t items) {
  PostgresParameters settings;
  database.run(
      "SELECT set_config('hnsw.ef_search', $1, false), "
      "set_config('hnsw.iterative_scan', 'strict_order', false), "
      "set_config('hnsw.max_scan_tuples', $2, false)",
      settings.add(std::clamp<int64_t>(2 * asked, 100, kWidestWalk))
          .add(std::max<int64_t>(items, 1)));
}

/// Iterative scans came with 0.8.
void check_pgvector(PostgresConnection& database) {
  const PostgresRows rows =
      database.run("SELECT extversion FROM pg_extension WHERE extname = 'vector'");
  const std::string version(rows.size() == 1 ? rows.text(0, 0) : "none");
  const bool old = version.starts_with("0.") && std::atoi(version.c_str() + 2) < 8;
  if (version == "none" || old)
    fail<DataError>("the database's pgvector is {}; 0.8 or newer is needed", version);
}

bool better(const SearchHit& a, const SearchHit& b) {
  return a.score > b.score || (a.score == b.score && a.item < b.item);
}

}  // namespace

PgvectorIndex::PgvectorIndex(std::shared_ptr<PostgresPool> pool, const Bundle& bundle,
                             int64_t most_named)
    : pool_(std::move(pool)),
      table_(pgvector_table(bundle)),
      items_(bundle.items()),
      most_named_(most_named),
      dim_(bundle.vector_dim()) {
  const bool complete = pool_->with([&](PostgresConnection& database) {
    const bool exported = pgvector_complete(database, bundle);
    if (exported) check_pgvector(database);
    return exported;
  });
  if (!complete)
    fail<DataError>(
        "{}: the database does not hold its item vectors whole: run retort export {} "
        "--to postgresql://..",
        bundle.folder().string(), bundle.folder().string());
}

void PgvectorIndex::build(std::span<const float>, int32_t) {
  fail<ArgumentError>("an index in a database is filled by retort export");
}

void PgvectorIndex::save(const fs::path&) const {
  fail<ArgumentError>("an index in a database is kept there");
}

std::vector<SearchHit> PgvectorIndex::search(std::span<const float> query, int32_t k,
                                             const ItemFilter& filter) const {
  check(std::ssize(query) == dim_, "query of {} floats, vectors of {}", query.size(), dim_);
  check(k >= 0, "top-k of {}: k must not be negative", k);
  const int64_t wanted = std::min<int64_t>(k, filter.count(items_));
  if (wanted == 0) return {};
  try {
    return pool_->with(
        [&](PostgresConnection& database) { return ask(database, query, wanted, filter); });
  } catch (const PostgresError& error) {
    if (unavailable_++ == 0) log_warning("server", "{}", error.what());
    throw HttpError(503, "the database that holds the items' vectors cannot answer");
  }
}

std::vector<SearchHit> PgvectorIndex::ask(PostgresConnection& database,
                                          std::span<const float> query, int64_t k,
                                          const ItemFilter& filter) const {
  const int64_t allowed = filter.count(items_), forbidden = items_ - allowed;
  const bool names_allowed = allowed <= most_named_ && forbidden > 0;
  const bool names_forbidden = !names_allowed && forbidden > 0 && forbidden <= most_named_;
  std::string where;
  std::vector<int32_t> named;
  if (names_allowed || names_forbidden) {
    where = names_allowed ? " WHERE item = ANY($3::int4[])" : " WHERE item <> ALL($3::int4[])";
    named = items_of(filter, items_, names_allowed);
  }
  const std::string command = fmt::format(
      "SELECT item, -(embedding <#> $1::vector) FROM {}{} ORDER BY embedding <#> $1::vector "
      "LIMIT $2::bigint",
      table_, where);
  const bool locally = forbidden > 0 && where.empty();
  // As many as hold k allowed ones if those are spread evenly, and half as many again.
  int64_t asked = locally ? std::min(items_, k * items_ / allowed * 3 / 2 + 1) : k;
  while (true) {
    widen_walk(database, asked, items_);
    PostgresParameters parameters;
    parameters.add_vector(query).add(asked);
    if (!where.empty()) parameters.add_array(named);
    const PostgresRows rows = database.run(command, parameters);
    std::vector<SearchHit> hits;
    for (int64_t row = 0; row < rows.size(); ++row) {
      const int64_t item = rows.integer(row, 0);
      if (item < 0 || item >= items_) fail<PostgresError>("item {} is not in the bundle", item);
      if (filter.allows(static_cast<int32_t>(item)))
        hits.push_back({static_cast<int32_t>(item), static_cast<float>(rows.number(row, 1))});
    }
    const bool all = !locally || asked == items_ || rows.size() < asked;
    if (std::ssize(hits) < k && !all) {
      asked = std::min(items_, 4 * asked);
      continue;
    }
    std::sort(hits.begin(), hits.end(), better);
    if (std::ssize(hits) > k) hits.resize(static_cast<size_t>(k));
    return hits;
  }
}

}  // namespace retort
