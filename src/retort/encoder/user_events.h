// A user as of now: what the bundle or a store knows of them, and what they did since.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "retort/bundle/bundle.h"
#include "retort/common/json.h"
#include "retort/encoder/features.h"

namespace retort {

/// Something a user did.
struct UserEvent {
  std::string item;
  int64_t time = 0;                                         // microseconds since 1970
  bool clicked = true;                                      // false: was shown and left
  float seconds = std::numeric_limits<float>::quiet_NaN();  // read; NaN: unknown
  std::string stream{};  // "" = the clicks; else the stream of events that the recipe names so
};

/// Raw features, as raw_item takes them, of an item that the bundle does not hold; null if unknown.
using ItemLookup = std::function<Json(const std::string& item)>;

/// A number of the middle of a bucket of FeatureSpec::side_bucket, which gives the bucket back.
double middle_of_side_bucket(int32_t bucket);

/// The features of a user at the moment `now` (microseconds since 1970).
/// Known before: the bundle's row of the user where it has one, and over it `stored` (null: none),
/// raw features as raw_user takes them, feature by feature; names that the model does not have are
/// left aside. Where `stored` holds a sequence, all sequences of its stream come from it. A key
/// "moment" in `stored` says as of when they are: older ones than the bundle's own row are not
/// looked at.
/// Over both `given` (null: none), what a request says of the user as of now: raw features exactly
/// as raw_user takes them. A sequence or a part of the time that it names is taken as it is.
/// Then `events`, in any order, from that moment on (without one: from the bundle's): those of a
/// sequence's stream (of the clicks: clicked ones) stand newest first before what the sequence
/// held, with their seconds and ages, cut to its `last`; with `distinct` an item's latest event
/// takes its place. Ages of earlier steps grow by what has passed since (a step knows its age as a
/// bucket of log2: the bucket's middle stands for it, as it does for sums of `distinct`). hour and
/// weekday are those of `now`. Aggregates as of a moment are left as they were.
/// An item's key and attributes are those of the bundle or, of an item that it does not hold, what
/// `others` says; what neither knows is missing (row 0).
/// Seen are the bundle's seen items and every item of an event that counts as seen, however old.
/// Throws DataError naming the feature of `stored` or `given` that is of a wrong type, and for
/// `given` whatever raw_user throws.
RawUser user_after(const Bundle& bundle, std::string_view user, const Json& stored,
                   std::span<const UserEvent> events, int64_t now, const ItemLookup& others = {},
                   const Json& given = {});

}  // namespace retort
