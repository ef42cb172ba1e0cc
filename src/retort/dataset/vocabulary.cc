#include "retort/dataset/vocabulary.h"

#define XXH_INLINE_ALL
#include <mutex>
#include <unordered_map>

#include <xxhash.h>

#include "retort/common/error.h"

namespace retort {

int32_t hashed_row(std::string_view text, int64_t rows) {
  check(rows >= 2 && rows <= INT32_MAX, "hashed_row: {} rows", rows);
  const uint64_t hash = XXH64(text.data(), text.size(), 0);
  return 1 + static_cast<int32_t>(hash % static_cast<uint64_t>(rows - 1));
}

struct StringIndex::Table {
  std::once_flag once;
  std::unordered_map<std::string_view, int32_t> places;
};

StringIndex::StringIndex(Strings strings) : strings_(strings), table_(std::make_shared<Table>()) {}

int32_t StringIndex::find(std::string_view text) const {
  if (!table_) return -1;
  std::call_once(table_->once, [this] {
    table_->places.reserve(static_cast<size_t>(strings_.size()));
    for (int64_t i = 0; i < strings_.size(); ++i)
      table_->places.emplace(strings_[i], static_cast<int32_t>(i));
  });
  const auto at = table_->places.find(text);
  return at == table_->places.end() ? -1 : at->second;
}

Vocabulary::Vocabulary(Strings strings, int64_t hashed_rows)
    : index_(strings), hashed_rows_(hashed_rows) {}

int64_t Vocabulary::rows() const {
  return hashed_rows_ > 0 ? hashed_rows_ : index_.strings().size();
}

int32_t Vocabulary::find(std::string_view text) const {
  if (hashed_rows_ > 0) return hashed_row(text, hashed_rows_);
  const int32_t row = index_.find(text);
  return row > 0 ? row : 0;
}

std::string_view Vocabulary::text(int32_t row) const {
  if (hashed_rows_ > 0 || row <= 0) return "";
  check(row < rows(), "Vocabulary: row {} of {}", row, rows());
  return index_.strings()[row];
}

}  // namespace retort
