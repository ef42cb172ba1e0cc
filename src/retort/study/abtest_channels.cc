#include "retort/study/abtest_channels.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "retort/common/error.h"
#include "retort/common/thread_pool.h"

namespace retort {
namespace {

constexpr size_t kNeighbours = 200;  // most similar shows kept a show

}  // namespace

SharedChannels::SharedChannels(const LoggedPast& past, const LongVideoWorld& world, ShowType type,
                               const ChannelOptions& options)
    : past_(past), options_(options), first_(world.first_of(type)) {
  end_ = first_ + world.alive(type, past.day);
  std::vector<int32_t> all(static_cast<size_t>(end_ - first_));
  std::iota(all.begin(), all.end(), first_);
  const auto by = [&](const auto& values) {  // falling, ties by the lower number
    std::vector<int32_t> order = all;
    std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
      return values[static_cast<size_t>(a)] > values[static_cast<size_t>(b)];
    });
    return order;
  };
  popular_ = by(past.clicks);
  std::erase_if(popular_, [&](int32_t i) { return past.clicks[static_cast<size_t>(i)] == 0; });
  new_ = by(past.released);
  neighbours_.resize(static_cast<size_t>(world.items()));
  find_neighbours(world.users());
}

void SharedChannels::find_neighbours(int64_t users) {
  const size_t items = neighbours_.size();
  std::vector<std::vector<int32_t>> players(items);
  for (int32_t user = 0; user < users; ++user)
    for (const int32_t item : past_.played[static_cast<size_t>(user)])
      players[static_cast<size_t>(item)].push_back(user);
  parallel_for(0, static_cast<int64_t>(items), 16, [&](int64_t begin, int64_t end) {
    std::vector<int32_t> both(static_cast<size_t>(end_ - first_));
    for (auto from = static_cast<size_t>(begin); from < static_cast<size_t>(end); ++from) {
      std::fill(both.begin(), both.end(), 0);
      for (const int32_t user : players[from])
        for (const int32_t item : past_.played[static_cast<size_t>(user)])
          if (exists(item)) ++both[static_cast<size_t>(item - first_)];
      std::vector<Neighbour>& found = neighbours_[from];
      for (int32_t item = first_; item < end_; ++item) {
        const int32_t count = both[static_cast<size_t>(item - first_)];
        if (count == 0 || item == static_cast<int32_t>(from)) continue;
        const auto of_both = static_cast<double>(players[from].size()) *
                             static_cast<double>(players[static_cast<size_t>(item)].size());
        found.push_back({item, static_cast<float>(count / std::sqrt(of_both))});
      }
      std::stable_sort(found.begin(), found.end(),
                       [](const Neighbour& a, const Neighbour& b) { return a.cosine > b.cosine; });
      if (found.size() > kNeighbours) found.resize(kNeighbours);
    }
  });
}

std::vector<int32_t> SharedChannels::co_played(int32_t user) const {
  const std::vector<int32_t>& played = past_.played[static_cast<size_t>(user)];
  const size_t last = std::min(played.size(), static_cast<size_t>(options_.last_played));
  std::map<int32_t, double> scores;
  for (auto from = played.end() - static_cast<int64_t>(last); from != played.end(); ++from)
    for (const Neighbour& neighbour : neighbours_[static_cast<size_t>(*from)])
      scores[neighbour.item] += neighbour.cosine;
  std::vector<std::pair<double, int32_t>> ranked;
  for (const auto& [item, score] : scores) ranked.emplace_back(-score, item);
  std::sort(ranked.begin(), ranked.end());
  std::vector<int32_t> items;
  for (const auto& [score, item] : ranked) items.push_back(item);
  return items;
}

std::vector<int32_t> SharedChannels::candidates(Channel channel, int32_t user) const {
  check(channel != Channel::kPersonalised, "SharedChannels: an arm's own channel is asked for");
  std::vector<int32_t> own;
  if (channel == Channel::kCoPlay) own = co_played(user);
  const std::vector<int32_t>& ranked = channel == Channel::kCoPlay    ? own
                                       : channel == Channel::kPopular ? popular_
                                                                      : new_;
  const auto quota = static_cast<size_t>(options_.quota[static_cast<size_t>(channel)]);
  std::vector<int32_t> found;
  for (const int32_t item : ranked) {
    if (found.size() == quota) break;
    if (!past_.has_played(user, item)) found.push_back(item);
  }
  return found;
}

}  // namespace retort
