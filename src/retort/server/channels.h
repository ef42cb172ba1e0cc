// Quotas of channels, and how their lists become one.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "retort/common/json.h"
#include "retort/encoder/retriever.h"
#include "retort/server/candidate.h"

namespace retort {

/// By place in kChannelNames, each best first and without an item twice.
using ChannelLists = std::array<std::vector<Retrieval::Item>, kChannels>;

struct ChannelQuotas {
  std::array<double, kChannels> parts{1, 0, 0};
  bool asked = false;  // the request names channels

  double of(Channel channel) const { return parts[static_cast<size_t>(channel)]; }
  /// Places of each channel among k: in proportion, by the largest remainders (the channel named
  /// first in kChannelNames at a tie), so that parts that sum to k are kept as they are.
  std::array<int32_t, kChannels> places(int32_t k) const;
};

/// {"personal": 60, "similar": 15, "popular": 25}. Throws HttpError 400 for anything but an object
/// of known channels with finite numbers of 0 or more, not all 0.
ChannelQuotas read_quotas(const Json& json);

/// At most k items, none twice. Channels take turns, so that the first n hold every channel's share
/// of n; an item that is taken is passed over. What a channel cannot give comes at the end: from
/// the personal list, then from similar and popular ones, whether or not they have a quota.
/// short_of, if not null: of each channel, places of its quota that it could not fill.
std::vector<Candidate> merge_channels(ChannelLists lists, const ChannelQuotas& quotas, int32_t k,
                                      std::array<int32_t, kChannels>* short_of = nullptr);
/// The same of the personal list alone.
std::vector<Candidate> personal_candidates(std::vector<Retrieval::Item> items);

}  // namespace retort
