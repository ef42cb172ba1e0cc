#include "retort/study/abtest_replay.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "retort/common/error.h"
#include "retort/metric/nktd.h"
#include "retort/sim/law.h"
#include "retort/sim/long_video_law.h"

namespace retort {
double expected_first_minutes(const LongVideoConstants& c, const Show& show, double satisfaction) {
  if (show.movie) return show.unit * satisfaction;
  const double whole = c.start_base + c.start_satisfaction * satisfaction;
  double episodes = 0, reached = 1;
  for (int32_t k = 0; k < std::min(show.episodes, 1 + kMoreEpisodes); ++k) {
    episodes += reached;
    reached *= c.next_episode * satisfaction;
  }
  return show.unit * (whole * episodes + (1 - whole) * (c.partial_low + c.partial_high) / 2);
}

std::vector<AbCandidate> merge_channels(
    const std::array<std::vector<int32_t>, kChannels>& offered) {
  std::vector<AbCandidate> all;
  for (size_t channel = 0; channel < kChannels; ++channel)
    for (const int32_t item : offered[channel])
      all.push_back({item, static_cast<uint8_t>(1u << channel)});
  std::sort(all.begin(), all.end(),
            [](const AbCandidate& a, const AbCandidate& b) { return a.item < b.item; });
  std::vector<AbCandidate> merged;
  for (const AbCandidate& candidate : all) {
    if (!merged.empty() && merged.back().item == candidate.item)
      merged.back().channels |= candidate.channels;
    else
      merged.push_back(candidate);
  }
  return merged;
}

std::vector<AbCandidate> RowReplay::slate(int32_t user, std::vector<AbCandidate> candidates) const {
  std::vector<std::pair<double, size_t>> ranked;
  for (size_t k = 0; k < candidates.size(); ++k)
    ranked.emplace_back(-past.ranker.score(user, candidates[k].item).mixed(), k);
  const auto slots = std::min(ranked.size(), static_cast<size_t>(oracle.world().options.slots));
  std::partial_sort(ranked.begin(), ranked.begin() + static_cast<int64_t>(slots), ranked.end());
  std::vector<AbCandidate> best;
  for (size_t k = 0; k < slots; ++k) best.push_back(candidates[ranked[k].second]);
  return best;
}

void RowReplay::show(int32_t user, int32_t item, int32_t position, RowOutcome& outcome) const {
  const LongVideoWorld& world = oracle.world();
  const double click = examination(position) * oracle.p_click(user, item);
  outcome.shown += 1;
  outcome.expected_clicks += click;
  outcome.expected_local +=
      click * expected_first_minutes(world.options.constants, world.show(item),
                                     world.satisfaction(user, item));
  outcome.expected_dwm += click * oracle.expected_dwm(user, item);
  if (world.click_draw(user, item, past.day) >= click) return;
  const Viewing viewing = oracle.outcome(user, item, past.day);
  outcome.clicks += 1;
  outcome.local += viewing.first;
  outcome.dwm += viewing.week;
}

RowOutcome RowReplay::run(int32_t user, const ArmChannel& arm) const {
  const auto quota = static_cast<size_t>(recipe.channels.quota[0]);
  const std::vector<ArmChannel::Scored> retrieved =
      arm.retrieve(user, std::max(recipe.channels.quota[0], recipe.nktd_at), past);
  std::array<std::vector<int32_t>, kChannels> offered;
  for (size_t k = 0; k < std::min(quota, retrieved.size()); ++k)
    offered[0].push_back(retrieved[k].item);
  for (size_t channel = 1; channel < kChannels; ++channel)
    offered[channel] = shared.candidates(static_cast<Channel>(channel), user);

  RowOutcome outcome;
  int32_t position = 0;
  for (const AbCandidate& slot : slate(user, merge_channels(offered))) {
    show(user, slot.item, ++position, outcome);
    for (size_t channel = 0; channel < kChannels; ++channel)
      outcome.offered[channel] += (slot.channels >> channel) & 1;
  }
  std::vector<float> own, ranker;
  const size_t compared = std::min(retrieved.size(), static_cast<size_t>(recipe.nktd_at));
  for (size_t k = 0; k < compared; ++k) {
    own.push_back(retrieved[k].score);
    ranker.push_back(static_cast<float>(past.ranker.score(user, retrieved[k].item).mixed()));
  }
  outcome.nktd = nktd(own, ranker);
  return outcome;
}

}  // namespace retort
