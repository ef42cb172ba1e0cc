#include "retort/study/abtest_section.h"

#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "retort/metric/confidence_sequence.h"

namespace retort {
namespace {

void follow(const UserRatio& mine, const UserRatio& base, const std::vector<int32_t>& arrivals,
            AbDifference& difference) {
  PairedSequence sequence(static_cast<int64_t>(arrivals.size()));
  for (const int32_t arrived : arrivals) {
    const auto user = static_cast<size_t>(arrived);
    sequence.add({mine.numerator[user], mine.denominator[user], base.numerator[user],
                  base.denominator[user]});
    if (difference.decided_after || sequence.users() < PairedSequence::kFirstLook) continue;
    const Interval now = sequence.interval();
    if (now.low > 0 || now.high < 0) difference.decided_after = sequence.users();
  }
  difference.sequential = sequence.interval();
}

}  // namespace

AbSection sum_up(const std::string& name, const std::vector<std::vector<AbMeasure>>& measures,
                 const AbComparison& comparison) {
  const size_t metrics = measures.front().size();
  const auto users = static_cast<int64_t>(measures.front().front().ratio.numerator.size());
  const auto each = [&](const auto& visit) {  // (arm, metric, place)
    for (size_t arm = 0; arm < measures.size(); ++arm)
      for (size_t metric = 0; metric < metrics; ++metric)
        visit(arm, metric, arm * metrics + metric);
  };
  const Bootstrap bootstrap(users, comparison.bootstrap);
  const auto replicates =
      bootstrap.run(static_cast<int32_t>(measures.size() * metrics),
                    [&](std::span<const uint8_t> weights, std::span<double> out) {
                      each([&](size_t arm, size_t metric, size_t place) {
                        out[place] = measures[arm][metric].ratio.value(weights);
                      });
                    });
  AbSection section{name, std::vector<std::vector<AbMetric>>(measures.size()), {}};
  each([&](size_t arm, size_t metric, size_t place) {
    const AbMeasure& measured = measures[arm][metric];
    section.metrics[arm].push_back(
        {measured.name, interval_of(measured.ratio.value(), replicates[place])});
    if (arm == 0) return;
    const std::vector<double>&mine = replicates[place], &control = replicates[metric];
    std::vector<double> more, share;
    for (size_t k = 0; k < mine.size(); ++k) {
      more.push_back(mine[k] - control[k]);
      if (control[k] != 0) share.push_back(mine[k] / control[k] - 1);
    }
    const UserRatio& base_ratio = measures[0][metric].ratio;
    const double value = measured.ratio.value(), base = base_ratio.value();
    AbDifference difference{.metric = measured.name,
                            .arm = comparison.arms[arm],
                            .absolute = interval_of(value - base, more),
                            .relative = interval_of(base != 0 ? value / base - 1 : NAN, share),
                            .verdict = {},
                            .published = comparison.published(arm, measured.name),
                            .claim = {}};
    difference.verdict = verdict_of(difference.absolute, measured.better);
    if (difference.published)
      difference.claim = claim_of(difference.absolute, *difference.published);
    if (!comparison.arrivals.empty())
      follow(measured.ratio, base_ratio, comparison.arrivals, difference);
    section.differences.push_back(std::move(difference));
  });
  return section;
}

std::string verdict_of(const Interval& difference, int better) {
  if (difference.value == 0 && difference.low == 0 && difference.high == 0) return "equal";
  if (!(difference.low > 0 || difference.high < 0)) return "not distinguishable";
  if (better == 0) return difference.value > 0 ? "more" : "less";
  return difference.value * better > 0 ? "better" : "worse";
}

std::string claim_of(const Interval& difference, double published) {
  if (!(difference.low > 0 || difference.high < 0)) return "not distinguishable";
  return (difference.value > 0) == (published > 0) ? "reproduced" : "reversed";
}

Json json_of(const Interval& interval) {
  return {{"value", interval.value}, {"low", interval.low}, {"high", interval.high}};
}

Json json_of(const AbDifference& difference) {
  Json json{{"metric", difference.metric}, {"arm", difference.arm}};
  json.update(json_of(difference.absolute));
  json["relative"] = json_of(difference.relative);
  json["verdict"] = difference.verdict;
  if (difference.sequential) {
    json["sequential"] = {{"low", difference.sequential->low},
                          {"high", difference.sequential->high}};
    if (difference.decided_after) json["sequential"]["decided_after"] = *difference.decided_after;
  }
  if (!difference.published) return json;
  json["published"] = *difference.published;
  json["claim"] = difference.claim;
  return json;
}

Json json_of(const AbSection& section, const std::vector<std::string>& arms) {
  Json models = Json::object(), differences = Json::array();
  for (size_t arm = 0; arm < section.metrics.size(); ++arm) {
    Json metrics = Json::object();
    for (const AbMetric& metric : section.metrics[arm])
      metrics[metric.name] = json_of(metric.value);
    models[arms[arm]] = metrics;
  }
  for (const AbDifference& difference : section.differences)
    differences.push_back(json_of(difference));
  return Json{{"models", models}, {"differences", differences}};
}

std::string signed_percent(double share) { return fmt::format("{:+.2f}%", 100 * share); }

}  // namespace retort
