// The filter language of `--where`: a condition over item attributes becomes the items allowed.
//   category = 3 and (length >= 2 or author in ('a', 'b')) and not title_style = "x"
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "retort/dataset/columns.h"
#include "retort/index/item_index.h"

namespace retort {

/// One attribute of text per item: any number of values, coded by place in `values`. Item i has
/// codes[offsets[i] .. offsets[i + 1]).
struct TextAttribute {
  Strings values;
  std::span<const int32_t> codes;
  std::span<const int64_t> offsets;  // [items + 1]
};
/// One number per item, NaN where missing.
struct NumberAttribute {
  std::span<const double> values;  // [items]
};

/// What `--where` can name. Borrows the columns.
class ItemAttributes {
 public:
  ItemAttributes() = default;
  explicit ItemAttributes(int64_t items) : items_(items) {}
  /// Throws DataError naming the attribute if it does not cover the items or a code is out of
  /// range.
  void add(const std::string& name, TextAttribute attribute);
  void add(const std::string& name, NumberAttribute attribute);
  int64_t items() const { return items_; }
  const std::map<std::string, std::variant<TextAttribute, NumberAttribute>>& columns() const {
    return columns_;
  }

 private:
  int64_t items_ = 0;
  std::map<std::string, std::variant<TextAttribute, NumberAttribute>> columns_;
};

/// Items for which the condition holds.
/// Comparisons: NAME = VALUE, == != <> < <= > >=, NAME in (VALUE, ..), NAME not in (..), joined by
/// not, and, or (in this order of binding) and parentheses; keywords in any case. VALUE: a number
/// or a text in '..' or ".." with the quote doubled inside; NAME: letters, digits, _ and ., or
/// anything in `..`. On text attributes = compares texts (category = 3 is category = '3') and <
/// compares numbers where the item's text is one. An item with several values passes if one does.
/// A missing value passes no comparison; != and not in are the opposites of = and in, so they hold
/// for it. Throws ConfigError with the position for wrong syntax, an unknown attribute (naming
/// the nearest one) and a text compared with a number.
ItemFilter filter_items(std::string_view condition, const ItemAttributes& attributes);

}  // namespace retort
