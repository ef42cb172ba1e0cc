#include "retort/server/live_block.h"

#include <algorithm>
#include <utility>

#include "retort/kernel/dense.h"

namespace retort {

LiveBlock::LiveBlock(const ItemAttributes& columns, Rows rows)
    : rows_(std::move(rows)), attributes_(std::ssize(rows_)) {
  for (const auto& row : rows_) {
    vectors_.insert(vectors_.end(), row->vector.begin(), row->vector.end());
    first_expiry_ = std::min(first_expiry_, row->expires);
    place_.emplace(row->id, static_cast<int32_t>(place_.size()));
  }
  size_t column = 0;
  for (const auto& [name, kind] : columns.columns()) {
    if (std::holds_alternative<NumberAttribute>(kind))
      add_numbers(name, column++);
    else
      add_texts(name, column++);
  }
}

void LiveBlock::add_texts(const std::string& name, size_t column) {
  Texts& texts = *texts_.emplace_back(std::make_unique<Texts>());
  std::map<std::string_view, int32_t> codes;
  for (const auto& row : rows_) {
    for (const std::string& text : std::get<std::vector<std::string>>(row->attributes[column])) {
      const auto [at, added] = codes.try_emplace(text, static_cast<int32_t>(codes.size()));
      if (added) {
        texts.bytes.insert(texts.bytes.end(), text.begin(), text.end());
        texts.byte_offsets.push_back(std::ssize(texts.bytes));
      }
      texts.codes.push_back(at->second);
    }
    texts.offsets.push_back(std::ssize(texts.codes));
  }
  attributes_.add(
      name, TextAttribute{Strings(texts.bytes, texts.byte_offsets), texts.codes, texts.offsets});
}

void LiveBlock::add_numbers(const std::string& name, size_t column) {
  auto& numbers = *numbers_.emplace_back(std::make_unique<std::vector<double>>());
  for (const auto& row : rows_) numbers.push_back(std::get<double>(row->attributes[column]));
  attributes_.add(name, NumberAttribute{numbers});
}

const LiveRow* LiveBlock::find(const std::string& id, int64_t now) const {
  const auto at = place_.find(id);
  if (at == place_.end()) return nullptr;
  const LiveRow* row = rows_[static_cast<size_t>(at->second)].get();
  return row->expires <= now ? nullptr : row;
}

void LiveBlock::offer(std::span<const float> query, const std::string& where, int64_t now,
                      int32_t first, TopK& best) const {
  ItemFilter filter;
  if (!where.empty()) filter = filter_items(where, attributes_);
  const bool some_expired = first_expiry_ <= now;
  const int64_t dim = std::ssize(query);
  for (int32_t i = 0; i < std::ssize(rows_); ++i) {
    if (some_expired && rows_[static_cast<size_t>(i)]->expires <= now) continue;
    if (!filter.allows(i)) continue;
    best.push(first + i, dot(query.data(), vectors_.data() + i * dim, dim));
  }
}

}  // namespace retort
