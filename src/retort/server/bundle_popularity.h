// Which items were popular when a bundle was made: what there is before the first click comes in.
#pragma once

#include <cstdint>
#include <vector>

#include "retort/bundle/bundle.h"

namespace retort {

/// All items, the alive ones first, then by popularity: by the popularity dimension of the item
/// vectors where the bundle has one, else by the number of users who have seen the item; equal ones
/// by their place. [items]
std::vector<int32_t> items_by_popularity(const Bundle& bundle);

}  // namespace retort
