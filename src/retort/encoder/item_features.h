// Items described by raw features in JSON: what a live item's PUT and a request for item vectors
// carry. The sibling of features.h, which does the same for users.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "retort/bundle/bundle.h"
#include "retort/common/json.h"
#include "retort/dataset/batch.h"
#include "retort/encoder/feature_reader.h"
#include "retort/encoder/tower_encoder.h"

namespace retort {

/// Of one item: texts (none where missing) or a number (NaN where missing).
using AttributeValue = std::variant<std::vector<std::string>, double>;

struct RawItem {
  SideBatch features;                      // one row, in the order of the bundle's schema
  std::vector<AttributeValue> attributes;  // in the order of bundle.attributes().columns()
  double clicks = 0;                       // for the popularity dimension
};

/// {"category": "sports", "tags": ["x", "y"], "length": 812, "clicks_1h": 17,
///  "published": "2023-05-16 07:00:00", "popularity_clicks": 40}: keys are the names of the item
/// features, or the columns they are made of, and the names of the attributes that `where` knows.
/// Texts (or whole numbers, read as their digits) are looked up in the feature's vocabulary;
/// unknown ones give row 0. Bags take a list of them. Dense and bucketed features, aggregates as of
/// a moment among them, take raw numbers (a list if the feature is several wide). A feature of the
/// item's age takes seconds or, where there are none, those from "published" (a text in UTC, or
/// microseconds since 1970) to `now`; it is missing before. An attribute takes the value under its
/// own name or that of the feature made of its column. "popularity_clicks" are the clicks counted
/// as publishing counts them: those of the training rows or, where the bundle has items alive, of
/// the alive window; 0 where absent. The feature of the item's own key is `id` unless given. Absent
/// or null features are missing.
/// Throws DataError naming the feature: unknown (with the nearest name), of a wrong type or range.
RawItem raw_item(const Bundle& bundle, const std::string& id, const Json& features, int64_t now,
                 UnknownNames unknown = UnknownNames::kRefuse);

/// Microseconds since 1970 of a JSON value: a text in UTC ("2023-05-16 07:00:00", T for the space
/// and a Z behind it are read too) or a whole number of microseconds. Throws DataError naming it.
int64_t moment_of(const Json& value, std::string_view name);

/// beta * log q of an item with so many clicks, as publishing gives it to the bundle's items; 0 if
/// the bundle has no popularity dimension.
float popularity_of(const Bundle& bundle, double clicks);

/// Vectors as the bundle's index compares them, [items, bundle.vector_dim()]: the item tower's, and
/// the popularity dimension last where the bundle has one. Runs on the pool.
std::vector<float> encode_items(const Bundle& bundle, const TowerEncoder& encoder,
                                std::span<const RawItem* const> items);

}  // namespace retort
