#include "retort/study/co_click.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "retort/common/thread_pool.h"

namespace retort {
namespace {

/// Rows of numbers of different lengths.
struct Lists {
  std::vector<int64_t> begin{0};
  std::vector<int32_t> values;
  std::span<const int32_t> operator[](int64_t row) const {
    return std::span(values).subspan(begin[row], begin[row + 1] - begin[row]);
  }
};

/// Distinct items, ascending, of each user's last training clicks.
Lists items_of_users(const Dataset& dataset, int32_t last) {
  const Clicks& clicks = dataset.clicks();
  Lists lists;
  for (int64_t user = 0; user < dataset.users(); ++user) {
    std::vector<int32_t> items;
    int32_t taken = 0;
    for (int64_t click = clicks.user_begin[user + 1] - 1;
         click >= clicks.user_begin[user] && taken < last; --click) {
      if (clicks.split[click] != static_cast<uint8_t>(Split::kTrain)) continue;
      items.push_back(clicks.item[click]);
      ++taken;
    }
    std::sort(items.begin(), items.end());
    items.erase(std::unique(items.begin(), items.end()), items.end());
    lists.values.insert(lists.values.end(), items.begin(), items.end());
    lists.begin.push_back(static_cast<int64_t>(lists.values.size()));
  }
  return lists;
}

Lists users_of_items(const Lists& items_of_user, int64_t users, int64_t items) {
  Lists lists;
  lists.begin.assign(items + 1, 0);
  for (const int32_t item : items_of_user.values) ++lists.begin[item + 1];
  for (int64_t item = 0; item < items; ++item) lists.begin[item + 1] += lists.begin[item];
  lists.values.resize(items_of_user.values.size());
  std::vector<int64_t> next(lists.begin.begin(), lists.begin.end() - 1);
  for (int64_t user = 0; user < users; ++user) {
    for (const int32_t item : items_of_user[user]) {
      lists.values[next[item]++] = static_cast<int32_t>(user);
    }
  }
  return lists;
}

}  // namespace

CoClick::CoClick(const Dataset& dataset, CoClickOptions options)
    : dataset_(dataset), options_(options), neighbours_(dataset.items()) {
  const Lists items_of_user = items_of_users(dataset, options.last_trained);
  const Lists users_of_item = users_of_items(items_of_user, dataset.users(), dataset.items());
  parallel_for(0, dataset.items(), 64, [&](int64_t begin, int64_t end) {
    std::vector<int32_t> together(dataset.items(), 0), touched;
    for (int64_t item = begin; item < end; ++item) {
      for (const int32_t user : users_of_item[item]) {
        for (const int32_t other : items_of_user[user]) {
          if (together[other]++ == 0) touched.push_back(other);
        }
      }
      std::vector<Neighbour>& row = neighbours_[item];
      const double own = static_cast<double>(users_of_item[item].size());
      for (const int32_t other : touched) {
        const double users = static_cast<double>(users_of_item[other].size());
        const double cosine = together[other] / std::sqrt(own * users);
        if (other != item) row.push_back({other, static_cast<float>(cosine)});
        together[other] = 0;
      }
      touched.clear();
      std::sort(row.begin(), row.end(), [](const Neighbour& a, const Neighbour& b) {
        return a.cosine != b.cosine ? a.cosine > b.cosine : a.item < b.item;
      });
      if (options_.neighbours > 0 && static_cast<int64_t>(row.size()) > options_.neighbours) {
        row.resize(options_.neighbours);
      }
      row.shrink_to_fit();
    }
  });
}

std::vector<int32_t> CoClick::recent(int32_t user, int64_t time) const {
  const Clicks& clicks = dataset_.clicks();
  const bool timed = dataset_.has_time();
  const int64_t end = timed ? dataset_.history_end(user, time) : clicks.user_begin[user + 1];
  std::vector<int32_t> items;
  int32_t taken = 0;
  for (int64_t click = end - 1; click >= clicks.user_begin[user] && taken < options_.last_scored;
       --click) {
    if (!timed && clicks.split[click] != static_cast<uint8_t>(Split::kTrain)) continue;
    ++taken;
    if (std::find(items.begin(), items.end(), clicks.item[click]) == items.end()) {
      items.push_back(clicks.item[click]);
    }
  }
  return items;
}

void CoClick::score(int32_t user, int64_t time, std::span<const int32_t> items,
                    std::span<float> out) const {
  std::unordered_map<int32_t, float> sums;
  const std::vector<int32_t> past = recent(user, time);
  constexpr size_t kFew = 64;
  if (items.size() > kFew) {
    for (const int32_t own : past) {
      for (const Neighbour& neighbour : neighbours_[own]) sums[neighbour.item] += neighbour.cosine;
    }
    for (size_t at = 0; at < items.size(); ++at) {
      const auto found = sums.find(items[at]);
      out[at] = found == sums.end() ? 0 : found->second;
    }
    return;
  }
  std::fill(out.begin(), out.end(), 0.0f);
  for (const int32_t own : past) {
    for (const Neighbour& neighbour : neighbours_[own]) {
      for (size_t at = 0; at < items.size(); ++at) {
        if (items[at] == neighbour.item) out[at] += neighbour.cosine;
      }
    }
  }
}

}  // namespace retort
