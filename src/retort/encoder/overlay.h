// Items that came, changed or went after a bundle was made, as a search sees them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "retort/index/item_index.h"

namespace retort {

/// Laid over the items of one bundle. Const methods are thread-safe.
class ItemOverlay {
 public:
  struct Hit {
    std::string id;
    float score = 0;
  };
  virtual ~ItemOverlay() = default;
  /// Forbids the bundle's items that are gone or that the overlay holds itself. `filter` is empty
  /// (all items) or covers the bundle's; it is left as it is where there are none.
  virtual void hide(ItemFilter& filter) const = 0;
  /// The k best of the overlay's own items, best first, for which `where` (index/filter.h, "" =
  /// all) holds and that `exclude` does not name. query: [vector_dim of the bundle]. Throws
  /// ConfigError on a wrong condition.
  virtual std::vector<Hit> search(std::span<const float> query, int32_t k, const std::string& where,
                                  std::span<const std::string> exclude) const = 0;
  struct Own {
    std::string id;
    std::vector<float> vector;  // [vector_dim of the bundle]
  };
  /// Of these ids, in their order, the overlay's own items for which `where` holds. Throws
  /// ConfigError on a wrong condition.
  virtual std::vector<Own> find(std::span<const std::string> ids,
                                const std::string& where) const = 0;
  /// Brings up to now what ages by itself. Thread-safe; to be called every few minutes.
  virtual void refresh() {}
};

}  // namespace retort
