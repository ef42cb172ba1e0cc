// Some hundred live items side by side, as a search reads them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "retort/index/filter.h"
#include "retort/kernel/top_k.h"
#include "retort/server/live_change.h"

namespace retort {

/// Never changes once made: writers make a new one, readers keep the old one as long as they look.
class LiveBlock {
 public:
  static constexpr size_t kRows = 256;
  using Rows = std::vector<std::shared_ptr<const LiveRow>>;

  /// `columns`: names and kinds of the attributes, in the order of the rows' values.
  LiveBlock(const ItemAttributes& columns, Rows rows);
  LiveBlock(const LiveBlock&) = delete;
  LiveBlock& operator=(const LiveBlock&) = delete;

  /// Offers the rows that have not expired and for which `where` holds ("" = all), numbered from
  /// `first`. Throws ConfigError on a wrong condition.
  void offer(std::span<const float> query, const std::string& where, int64_t now, int32_t first,
             TopK& best) const;
  /// Null if the block does not have the item, or has it no longer.
  const LiveRow* find(const std::string& id, int64_t now) const;
  /// The rows for which `where` holds. Throws as `offer`.
  ItemFilter matching(const std::string& where) const { return filter_items(where, attributes_); }
  /// Of a row that `find` gave.
  int32_t place_of(const LiveRow* row) const { return place_.at(row->id); }
  const Rows& rows() const { return rows_; }
  int64_t first_expiry() const { return first_expiry_; }

 private:
  struct Texts {
    std::vector<uint8_t> bytes;
    std::vector<int64_t> byte_offsets{0};
    std::vector<int32_t> codes;
    std::vector<int64_t> offsets{0};
  };
  void add_texts(const std::string& name, size_t column);
  void add_numbers(const std::string& name, size_t column);

  Rows rows_;
  std::vector<float> vectors_;  // [rows, dim]
  int64_t first_expiry_ = kNever;
  std::unordered_map<std::string_view, int32_t> place_;  // by id
  std::vector<std::unique_ptr<Texts>> texts_;
  std::vector<std::unique_ptr<std::vector<double>>> numbers_;
  ItemAttributes attributes_;
};

}  // namespace retort
