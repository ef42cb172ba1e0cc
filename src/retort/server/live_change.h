// One change of a live item on its way into an index.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "retort/encoder/item_features.h"
#include "retort/server/live_items.h"

namespace retort {

/// A live item as one bundle sees it.
struct LiveRow {
  std::string id;
  int64_t expires = kNever;
  std::vector<float> vector;               // [bundle.vector_dim()]
  std::vector<AttributeValue> attributes;  // in the order of bundle.attributes().columns()
};

struct LiveChange {
  std::string id;
  int64_t updated = 0;
  int64_t expires = kNever;
  bool deleted = false;
  std::shared_ptr<const LiveRow> row{};  // null: deleted, or the bundle cannot read the features
  std::string error{};  // why the features are not as the bundle's schema would have them

  static LiveChange of(const LiveRecord& record) {
    return {.id = record.id,
            .updated = record.updated,
            .expires = record.expires,
            .deleted = record.deleted};
  }
};

}  // namespace retort
