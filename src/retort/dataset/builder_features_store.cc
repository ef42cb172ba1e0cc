#include "retort/dataset/builder_features_store.h"

#include <limits>
#include <vector>

#include "retort/common/error.h"
#include "retort/common/progress.h"
#include "retort/dataset/string_writer.h"
#include "retort/dataset/vocabulary.h"

namespace retort {
namespace {

constexpr float kMissing = std::numeric_limits<float>::quiet_NaN();

std::string table_of(Side side) { return side == Side::kUser ? "users" : "items"; }

std::string column_of(const FeatureEntry& entry) {
  if (entry.of_key()) return "key";
  return fmt::format("{}{}", entry.spec().source == FeatureSource::kContext ? 'c' : 'a',
                     entry.column);
}

/// SQL giving the feature's texts in training rows and how many rows each comes from.
std::string counted_texts(const FeatureEntry& entry) {
  const FeatureSpec& spec = entry.spec();
  const std::string column = column_of(entry);
  const std::string text = spec.kind == FeatureKind::kBag ? "unnest(" + column + ")" : column;
  if (spec.source == FeatureSource::kContext)
    return fmt::format("SELECT {} AS text, 1 AS n FROM clicks WHERE split = 0", text);
  return fmt::format(
      "SELECT {} AS text, n FROM {} e JOIN {}_trained t ON t.rowid = e.id WHERE n >= {}", text,
      table_of(spec.side), table_of(spec.side), entry.min_count > 0 ? 1 : 0);
}

int64_t write_vocabulary(DuckDb& db, const std::string& name, const std::string& texts,
                         int64_t min_count, const fs::path& folder, const fs::path& before) {
  StringWriter writer(folder, "vocabulary." + name);
  const Columns columns = before.empty() ? Columns() : Columns(before);
  const StringIndex kept(before.empty() ? Strings() : columns.strings("vocabulary." + name));
  if (before.empty()) writer.push("");
  for (int64_t row = 0; row < kept.strings().size(); ++row) writer.push(kept.strings()[row]);
  db.query(
      fmt::format("SELECT text FROM ({}) WHERE text IS NOT NULL GROUP BY text HAVING sum(n) >= "
                  "{} ORDER BY sum(n) DESC, text",
                  texts, min_count),
      [&](const ResultChunk& chunk) {
        for (int64_t row = 0; row < chunk.rows(); ++row)
          if (before.empty() || kept.find(chunk.text(0, row)) < 0) writer.push(chunk.text(0, row));
      });
  writer.close();
  return writer.size();
}

/// The rows of one feature in the order in which they are stored.
std::string stored_rows(const FeatureEntry& entry) {
  const FeatureSpec& spec = entry.spec();
  if (spec.source == FeatureSource::kContext)
    return fmt::format("SELECT {}, position FROM clicks", column_of(entry));
  return fmt::format("SELECT {}, id FROM {} ORDER BY id", column_of(entry), table_of(spec.side));
}

/// Calls `each(chunk, row)` for the feature's rows, which must come in order.
template <class Each>
void for_rows(DuckDb& db, const FeatureEntry& entry, const Each& each) {
  int64_t next = 0;
  db.query(stored_rows(entry), [&](const ResultChunk& chunk) {
    for (int64_t row = 0; row < chunk.rows(); ++row) {
      check(chunk.integer(1, row) == next++, "ingest: feature '{}' came out of order",
            entry.spec().name);
      each(chunk, row);
    }
  });
}

void write_ids(DuckDb& db, const FeatureEntry& entry, const Vocabulary& vocabulary,
               const fs::path& folder, const std::string& stem) {
  ColumnWriter<int32_t> ids(folder, stem + ".ids");
  for_rows(db, entry, [&](const ResultChunk& chunk, int64_t row) {
    ids.push(chunk.is_null(0, row) ? 0 : vocabulary.find(chunk.text(0, row)));
  });
  ids.close();
}

void write_bag(DuckDb& db, const FeatureEntry& entry, const Vocabulary& vocabulary,
               const fs::path& folder, const std::string& stem) {
  ColumnWriter<int32_t> ids(folder, stem + ".ids");
  ColumnWriter<int64_t> offsets(folder, stem + ".offsets");
  offsets.push(0);
  for_rows(db, entry, [&](const ResultChunk& chunk, int64_t row) {
    if (!chunk.is_null(0, row))
      for (const std::string& text : chunk.texts(0, row)) ids.push(vocabulary.find(text));
    offsets.push(ids.size());
  });
  ids.close();
  offsets.close();
}

void write_values(DuckDb& db, const FeatureEntry& entry, const fs::path& folder,
                  const std::string& stem) {
  ColumnWriter<float> values(folder, stem + ".values");
  const int32_t width = entry.spec().width;
  for_rows(db, entry, [&](const ResultChunk& chunk, int64_t row) {
    if (chunk.is_null(0, row)) {
      for (int32_t i = 0; i < width; ++i) values.push(kMissing);
    } else if (width == 1) {
      values.push(static_cast<float>(chunk.number(0, row)));
    } else {
      for (const double value : chunk.numbers(0, row)) values.push(static_cast<float>(value));
    }
  });
  values.close();
}

}  // namespace

VocabularySizes write_vocabularies(DuckDb& db, const DataRecipe& recipe,
                                   const TrainingClicks& trained, const fs::path& folder,
                                   const fs::path& before) {
  VocabularySizes sizes;
  std::map<std::string, std::string> texts;
  std::map<std::string, int64_t> min_count;
  for (const FeatureEntry& entry : recipe.features) {
    if (!entry.has_texts()) continue;
    const std::string& name = entry.spec().vocabulary;
    if (entry.hash > 0) {
      sizes.hashed[name] = sizes.rows[name] = entry.hash;
      continue;
    }
    std::string& sql = texts[name];
    sql += (sql.empty() ? "" : " UNION ALL ") + counted_texts(entry);
    min_count[name] = entry.min_count;
  }
  for (const Side side : {Side::kUser, Side::kItem}) {
    db.run(fmt::format("CREATE TABLE {}_trained (n BIGINT)", table_of(side)));
    db.append(table_of(side) + "_trained", side == Side::kUser ? trained.of_user : trained.of_item);
  }
  for (const auto& [name, sql] : texts)
    sizes.rows[name] = write_vocabulary(db, name, sql, min_count[name], folder, before);
  return sizes;
}

void write_features(DuckDb& db, const DataRecipe& recipe, const VocabularySizes& sizes,
                    const fs::path& folder) {
  const Columns columns(folder);
  Progress progress("write features", static_cast<int64_t>(recipe.features.size()), "features");
  for (const FeatureEntry& entry : recipe.features) {
    progress.add(1);
    const FeatureSpec& spec = entry.spec();
    if (spec.source != FeatureSource::kAttribute && spec.source != FeatureSource::kContext)
      continue;
    const std::string place = spec.source == FeatureSource::kContext ? "clicks."
                              : spec.side == Side::kUser             ? "user."
                                                                     : "item.";
    const std::string stem = place + spec.name;
    if (!entry.has_texts()) {
      write_values(db, entry, folder, stem);
      continue;
    }
    const auto hashed = sizes.hashed.find(spec.vocabulary);
    const Vocabulary vocabulary =
        hashed == sizes.hashed.end()
            ? Vocabulary(columns.strings("vocabulary." + spec.vocabulary), 0)
            : Vocabulary(Strings(), hashed->second);
    if (spec.kind == FeatureKind::kBag)
      write_bag(db, entry, vocabulary, folder, stem);
    else
      write_ids(db, entry, vocabulary, folder, stem);
  }
}

}  // namespace retort
