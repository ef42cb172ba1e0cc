#include "retort/study/baselines.h"

#include <algorithm>

#include "retort/common/rng.h"

namespace retort {
namespace {

class Popularity : public ItemRule {
 public:
  explicit Popularity(const Dataset& dataset) : clicks_(dataset.train_clicks()) {}
  void score(int32_t, int64_t, std::span<const int32_t> items,
             std::span<float> out) const override {
    for (size_t at = 0; at < items.size(); ++at) out[at] = static_cast<float>(clicks_[items[at]]);
  }

 private:
  std::span<const int64_t> clicks_;
};

/// Clicks within [time - window, time).
class TrailingPopularity : public ItemRule {
 public:
  TrailingPopularity(const Dataset& dataset, int64_t window)
      : timeline_(dataset.timeline("item")), window_(window) {}
  void score(int32_t, int64_t time, std::span<const int32_t> items,
             std::span<float> out) const override {
    for (size_t at = 0; at < items.size(); ++at) {
      const auto begin = timeline_.time.begin() + timeline_.begin[items[at]];
      const auto end = timeline_.time.begin() + timeline_.begin[items[at] + 1];
      const auto last = std::lower_bound(begin, end, time);
      out[at] = static_cast<float>(last - std::lower_bound(begin, last, time - window_));
    }
  }

 private:
  const Timeline& timeline_;
  int64_t window_;
};

class CoClickRule : public ItemRule {
 public:
  CoClickRule(const Dataset& dataset, const CoClickOptions& options)
      : co_click_(dataset, options) {}
  void score(int32_t user, int64_t time, std::span<const int32_t> items,
             std::span<float> out) const override {
    co_click_.score(user, time, items, out);
  }

 private:
  CoClick co_click_;
};

class Chance : public ItemRule {
 public:
  explicit Chance(uint64_t seed) : rng_(seed, "chance") {}
  void score(int32_t user, int64_t time, std::span<const int32_t> items,
             std::span<float> out) const override {
    const Rng rng = rng_.fork(static_cast<uint64_t>(user)).fork(static_cast<uint64_t>(time));
    for (size_t at = 0; at < items.size(); ++at) {
      out[at] = static_cast<float>(rng.uniform(static_cast<uint64_t>(items[at])));
    }
  }

 private:
  Rng rng_;
};

/// Rows that share a user and a moment stand together: one call of the rule for each run.
class RuleOnRows : public PairScorer {
 public:
  explicit RuleOnRows(std::shared_ptr<const ItemRule> rule) : rule_(std::move(rule)) {}
  void score(const Batch& batch, std::string_view, std::span<float> out) const override {
    for (int64_t begin = 0; begin < batch.rows();) {
      int64_t end = begin;
      while (end < batch.rows() && batch.user_of_row[end] == batch.user_of_row[begin]) ++end;
      rule_->score(batch.user[begin], batch.time[begin],
                   std::span(batch.item).subspan(begin, end - begin),
                   out.subspan(begin, end - begin));
      begin = end;
    }
  }

 private:
  std::shared_ptr<const ItemRule> rule_;
};

}  // namespace

Baseline make_baseline(const Dataset& dataset, std::string name, std::string summary,
                       const std::shared_ptr<const ItemRule>& rule) {
  Baseline baseline{std::move(name), std::move(summary), rule, std::make_shared<RuleOnRows>(rule),
                    nullptr};
  baseline.candidates = [&dataset, rule](int64_t event, std::span<const int32_t> candidates,
                                         std::span<float> out) {
    const Clicks& clicks = dataset.clicks();
    rule->score(clicks.user[event], clicks.time[event], candidates, out);
  };
  return baseline;
}

std::vector<Baseline> make_baselines(const Dataset& dataset, uint64_t seed,
                                     const CoClickOptions& co_click) {
  constexpr int64_t kHour = 3'600'000'000;
  std::vector<Baseline> baselines;
  const auto add = [&](std::string name, std::string summary,
                       const std::shared_ptr<const ItemRule>& rule) {
    baselines.push_back(make_baseline(dataset, std::move(name), std::move(summary), rule));
  };
  add("popularity", "clicks in training", std::make_shared<Popularity>(dataset));
  if (dataset.has_time()) {
    add("popularity_1h", "clicks of the hour before",
        std::make_shared<TrailingPopularity>(dataset, kHour));
    add("popularity_3h", "clicks of the three hours before",
        std::make_shared<TrailingPopularity>(dataset, 3 * kHour));
    add("popularity_1d", "clicks of the day before",
        std::make_shared<TrailingPopularity>(dataset, 24 * kHour));
  }
  add("co_click", "cosine with the user's last clicks",
      std::make_shared<CoClickRule>(dataset, co_click));
  add("random", "chance", std::make_shared<Chance>(seed));
  return baselines;
}

}  // namespace retort
