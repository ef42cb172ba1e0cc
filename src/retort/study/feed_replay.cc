#include "retort/study/feed_replay.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "retort/common/progress.h"
#include "retort/log/days.h"
#include "retort/sim/law.h"

namespace retort {
namespace {

constexpr int32_t kCategories = 32;  // bits of ImpressionLog::category_bits

}  // namespace

LiveRanker fit_feed_ranker(ImpressionLog& log, int64_t from, int64_t until, const KeyNumbers& users,
                           const KeyNumbers& items) {
  const std::vector<uint32_t> categories = log.category_bits(items);
  LiveRanker ranker({}, categories, kCategories, users.size());
  const int64_t days = std::max<int64_t>(0, (until - from + kDay - 1) / kDay);
  Progress progress("fitting the ranker", days, "days");
  for (int64_t day = 0; day < days; ++day) {
    check_interrupt("abtest");
    ranker.forget();
    // Days count back from the end, so that the last one is whole.
    const int64_t end = until - (days - 1 - day) * kDay;
    log.each(std::max(from, end - kDay), end, false, [&](const Impression& shown) {
      const auto user = users.find(shown.user), item = items.find(shown.item);
      if (!user || !item) return;
      ranker.learn_impression(*user, *item, examination(shown.position), shown.clicked);
      if (shown.clicked) ranker.learn_minutes(*user, *item, shown.seconds);
    });
    progress.update(day + 1);
  }
  return ranker;
}

double expected_clicks(const LiveRanker& ranker, int32_t user, int32_t item) {
  return sigmoid(ranker.score(user, item).click);
}

double expected_reading(const LiveRanker& ranker, int32_t user, int32_t item) {
  const LiveRanker::Scores scores = ranker.score(user, item);
  return sigmoid(scores.click) * scores.minutes;  // the minutes of what it learned: seconds here
}

std::vector<int32_t> rank_candidates(const LiveRanker& fitted, FeedRanker ranker, int32_t user,
                                     std::vector<int32_t> candidates, int32_t slots) {
  const auto count = std::min(candidates.size(), static_cast<size_t>(slots));
  if (ranker == FeedRanker::kNone) {
    candidates.resize(count);
    return candidates;
  }
  const auto score = ranker == FeedRanker::kCtr ? &expected_clicks : &expected_reading;
  std::vector<std::pair<double, size_t>> ranked;
  for (size_t place = 0; place < candidates.size(); ++place)
    ranked.emplace_back(-score(fitted, user, candidates[place]), place);
  std::partial_sort(ranked.begin(), ranked.begin() + static_cast<int64_t>(count), ranked.end());
  std::vector<int32_t> slate;
  for (size_t slot = 0; slot < count; ++slot) slate.push_back(candidates[ranked[slot].second]);
  return slate;
}

FeedOutcome replay_feed(const Oracle& oracle, int32_t user, int32_t day, int64_t requests,
                        std::span<const int32_t> slate, double read_seconds) {
  const World& world = oracle.world();
  FeedOutcome outcome;
  for (size_t place = 0; place < slate.size(); ++place) {
    const int32_t item = slate[place];
    if (item < 0) continue;
    const double click =
        examination(static_cast<int32_t>(place) + 1) * oracle.p_click(user, item, day);
    const auto times = static_cast<double>(requests);
    outcome.shown += times;
    outcome.click_bait += oracle.click_bait(item) ? times : 0;
    outcome.expected_clicks += times * click;
    outcome.expected_seconds += times * click * oracle.expected_seconds(user, item, day);
    outcome.expected_reads += times * click * oracle.p_long(user, item, day, read_seconds);
    for (int64_t request = 0; request < requests; ++request) {
      const auto slot =
          static_cast<int32_t>(request * world.options.slots) + static_cast<int32_t>(place);
      if (world.click_draw(user, item, day, slot) >= click) continue;
      const double seconds = world.seconds(user, item, day, slot);
      outcome.clicks += 1;
      outcome.seconds += seconds;
      outcome.reads += seconds > read_seconds ? 1 : 0;
    }
  }
  return outcome;
}

}  // namespace retort
