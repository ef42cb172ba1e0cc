// An item on its way into an answer: which channel gave it, and how likely it was to stand there.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace retort {

/// personal: the model's own list; similar: items like those of the user's history; popular: most
/// clicked in the trailing window.
enum class Channel : uint8_t { kPersonal, kSimilar, kPopular };
inline constexpr size_t kChannels = 3;
inline constexpr std::array<std::string_view, kChannels> kChannelNames{"personal", "similar",
                                                                       "popular"};

struct Candidate {
  std::string id;
  /// Of its channel: the model's score, the cosine to the nearest of the history, or clicks.
  float score = 0;
  Channel channel = Channel::kPersonal;  // gave it its place
  uint8_t found_by = 1;                  // bit i: channel i has it in its list
  float propensity = 1;                  // probability of this item at this position
};

}  // namespace retort
