// From texts to embedding rows: the vocabulary of a sparse feature, and the look-up behind it.
// Ingest and the readers of datasets and bundles share the hash.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "retort/dataset/columns.h"

namespace retort {

/// Row of a text in a hashed vocabulary of `rows` rows: 1 + XXH64(text, seed 0) mod (rows - 1),
/// so that row 0 stays out-of-vocabulary. rows >= 2.
int32_t hashed_row(std::string_view text, int64_t rows);

/// Place of each text in a column of strings. The hash table is made at the first look-up;
/// thread-safe, and copies share it. The strings must outlive it.
class StringIndex {
 public:
  StringIndex() = default;
  explicit StringIndex(Strings strings);
  const Strings& strings() const { return strings_; }
  /// -1 if there is none; the first of equal texts.
  int32_t find(std::string_view text) const;

 private:
  struct Table;
  Strings strings_;
  std::shared_ptr<Table> table_;
};

/// Ids and strings of one vocabulary; row 0 is out-of-vocabulary.
class Vocabulary {
 public:
  Vocabulary() = default;
  /// `hashed_rows` > 0: no strings are kept, the row is `hashed_row(text, hashed_rows)`.
  Vocabulary(Strings strings, int64_t hashed_rows);
  int64_t rows() const;
  int32_t find(std::string_view text) const;  // 0 if unknown
  std::string_view text(int32_t row) const;   // "" for 0 and for hashed vocabularies

 private:
  StringIndex index_;
  int64_t hashed_rows_ = 0;
};

}  // namespace retort
