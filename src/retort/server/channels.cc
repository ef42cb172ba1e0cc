#include "retort/server/channels.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <string_view>
#include <unordered_map>

#include "retort/common/text.h"
#include "retort/server/http.h"

namespace retort {
namespace {

constexpr double kLargestPart = 1e6;

size_t channel_named(const std::string& name) {
  const auto at = std::find(kChannelNames.begin(), kChannelNames.end(), name);
  if (at != kChannelNames.end()) return static_cast<size_t>(at - kChannelNames.begin());
  const std::string near =
      nearest_name(name.substr(0, 64), {kChannelNames.begin(), kChannelNames.end()});
  throw HttpError(
      400, fmt::format("'channels' has no '{}'; {}", name.substr(0, 64),
                       near.empty() ? fmt::format("there are {}", fmt::join(kChannelNames, ", "))
                                    : "did you mean '" + near + "'?"));
}

/// Takes items from the lists, each once.
class Merger {
 public:
  explicit Merger(ChannelLists& lists) : lists_(lists) {
    for (size_t channel = 0; channel < kChannels; ++channel)
      for (const Retrieval::Item& item : lists_[channel])
        found_by_[item.id] |= static_cast<uint8_t>(1 << channel);
  }

  /// False if the channel has no item left that is not taken.
  bool take(size_t channel, std::vector<Candidate>& to) {
    std::vector<Retrieval::Item>& list = lists_[channel];
    for (size_t& at = next_[channel]; at < list.size(); ++at) {
      uint8_t& found_by = found_by_[list[at].id];
      if ((found_by & kTaken) != 0) continue;
      to.push_back({list[at].id, list[at].score, static_cast<Channel>(channel), found_by});
      found_by |= kTaken;
      return true;
    }
    return false;
  }

 private:
  static constexpr uint8_t kTaken = 0x80;
  ChannelLists& lists_;
  std::array<size_t, kChannels> next_{};
  std::unordered_map<std::string_view, uint8_t> found_by_;
};

}  // namespace

std::array<int32_t, kChannels> ChannelQuotas::places(int32_t k) const {
  const double sum = std::accumulate(parts.begin(), parts.end(), 0.0);
  std::array<int32_t, kChannels> places{};
  std::array<double, kChannels> rest{};
  int32_t left = k;
  for (size_t i = 0; i < kChannels; ++i) {
    const double share = parts[i] / sum * k;
    places[i] = static_cast<int32_t>(share + 1e-9);
    rest[i] = parts[i] > 0 ? share - places[i] : -1;
    left -= places[i];
  }
  for (; left > 0; --left) {
    const auto most =
        static_cast<size_t>(std::max_element(rest.begin(), rest.end()) - rest.begin());
    ++places[most];
    rest[most] -= 1;
  }
  return places;
}

ChannelQuotas read_quotas(const Json& json) {
  if (!json.is_object())
    throw HttpError(400,
                    "'channels' must be an object such as {\"personal\": 60, \"popular\": 40}");
  ChannelQuotas quotas{.parts = {}, .asked = true};
  for (const auto& [name, part] : json.items()) {
    const size_t channel = channel_named(name);
    const double value = part.is_number() ? part.get<double>() : -1;
    if (!(value >= 0) || value > kLargestPart)
      throw HttpError(400, fmt::format("'channels': '{}' must be a number from 0 to {:.0f}", name,
                                       kLargestPart));
    quotas.parts[channel] = value;
  }
  if (!(std::accumulate(quotas.parts.begin(), quotas.parts.end(), 0.0) > 0))
    throw HttpError(400, "'channels': the quotas sum to 0; give one channel more than that");
  return quotas;
}

std::vector<Candidate> merge_channels(ChannelLists lists, const ChannelQuotas& quotas, int32_t k,
                                      std::array<int32_t, kChannels>* short_of) {
  std::array<int32_t, kChannels> places = quotas.places(k), taken{};
  Merger merger(lists);
  std::vector<Candidate> merged;
  merged.reserve(static_cast<size_t>(k));
  if (short_of != nullptr) short_of->fill(0);
  while (true) {  // the turn of whoever is furthest behind its quota
    size_t turn = kChannels;
    double behind = 1;
    for (size_t i = 0; i < kChannels; ++i) {
      if (taken[i] == places[i]) continue;
      const double done = (taken[i] + 0.5) / places[i];
      if (done < behind) {
        behind = done;
        turn = i;
      }
    }
    if (turn == kChannels) break;
    if (merger.take(turn, merged)) {
      ++taken[turn];
      continue;
    }
    if (short_of != nullptr) (*short_of)[turn] = places[turn] - taken[turn];
    places[turn] = taken[turn];
  }
  for (size_t i = 0; i < kChannels; ++i)
    while (std::ssize(merged) < k && merger.take(i, merged)) {
    }
  return merged;
}

std::vector<Candidate> personal_candidates(std::vector<Retrieval::Item> items) {
  std::vector<Candidate> candidates;
  candidates.reserve(items.size());
  for (Retrieval::Item& item : items) candidates.push_back({std::move(item.id), item.score});
  return candidates;
}

}  // namespace retort
