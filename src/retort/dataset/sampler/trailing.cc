#include "retort/dataset/sampler/trailing.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "retort/common/error.h"

namespace retort {
namespace {

int64_t checked_window(const Dataset& dataset, int64_t window) {
  if (window <= 0)
    fail<ConfigError>("negatives.window: the sampler 'trailing' needs one, such as \"1d\"");
  if (!dataset.has_time())
    fail<ConfigError>(
        "negatives.sampler: 'trailing' needs times, which {} has not; use 'frequency'",
        dataset.folder().string());
  return window;
}

}  // namespace

TrailingSampler::TrailingSampler(const Dataset& dataset, int64_t window)
    : dataset_(dataset),
      window_(checked_window(dataset, window)),
      item_clicks_(dataset.timeline("item")),
      frequency_(dataset, 1.0) {}

std::pair<int64_t, int64_t> TrailingSampler::range(std::span<const int64_t> times,
                                                   int64_t time) const {
  const auto end = std::lower_bound(times.begin(), times.end(), time);
  const auto begin = std::lower_bound(times.begin(), end, time - window_);
  return {begin - times.begin(), end - times.begin()};
}

int32_t TrailingSampler::draw(const Rng& rng, uint64_t position, int64_t time) const {
  const auto [begin, end] = range(dataset_.sorted_time(), time);
  if (begin == end) return frequency_.draw(rng, position, time);
  const auto pick =
      begin + static_cast<int64_t>(rng.below(static_cast<uint64_t>(end - begin), position));
  const int64_t click = dataset_.by_time()[static_cast<size_t>(pick)];
  return dataset_.clicks().item[static_cast<size_t>(click)];
}

double TrailingSampler::log_q(int32_t item, int64_t time) const {
  const auto [begin, end] = range(dataset_.sorted_time(), time);
  if (begin == end) return frequency_.log_q(item, time);
  check(item >= 0 && item < dataset_.items(), "log_q: item {} of {}", item, dataset_.items());
  const auto from = static_cast<size_t>(item_clicks_.begin[static_cast<size_t>(item)]);
  const auto to = static_cast<size_t>(item_clicks_.begin[static_cast<size_t>(item) + 1]);
  const auto [first, last] = range(item_clicks_.time.subspan(from, to - from), time);
  return std::log(static_cast<double>(last - first) / static_cast<double>(end - begin));
}

std::unique_ptr<NegativeSampler> make_trailing(const Dataset& dataset,
                                               const SamplerOptions& options) {
  return std::make_unique<TrailingSampler>(dataset, options.window);
}

}  // namespace retort
