#include "retort/encoder/forest.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace retort {
namespace {

double log_add(double a, double b) {
  const double most = std::max(a, b);
  return std::isinf(most) ? most : most + std::log1p(std::exp(std::min(a, b) - most));
}

/// ln sigmoid(x).
double log_sigmoid(double x) { return -log_add(0, -x); }

/// The logit of sigmoid(a) sigmoid(b).
double product_logit(double a, double b) { return -log_add(log_add(-a, -b), -a - b); }

/// The logit of exp(log_p), by the form that is exact on either side of p = 1 / 2.
double logit_of_log(double log_p) {
  const double rest =
      log_p > -std::numbers::ln2 ? std::log(-std::expm1(log_p)) : std::log1p(-std::exp(log_p));
  return log_p - rest;
}

/// log(E[min(T, cap)] / cap) of ln T ~ N(mean, exp(log_deviation)^2).
double log_capped_share(double mean, double log_deviation, double cap) {
  const double s = std::exp(std::clamp(log_deviation, -5.0, 5.0));
  const double distance = (std::log(cap) - mean) / s;
  const double below = mean + s * s / 2 - std::log(cap) + log_ndtr(distance - s);
  return log_add(below, log_ndtr(-distance));
}

template <class Combine>
std::vector<float> combined(const std::vector<float>& a, const std::vector<float>& b,
                            const Combine& combine) {
  std::vector<float> out(a.size());
  for (size_t i = 0; i < a.size(); ++i)
    out[i] = static_cast<float>(combine(static_cast<double>(a[i]), static_cast<double>(b[i])));
  return out;
}

}  // namespace

double log_ndtr(double x) {
  if (x > 5) return std::log1p(-std::erfc(x / std::numbers::sqrt2) / 2);
  if (x > -20) return std::log(std::erfc(-x / std::numbers::sqrt2) / 2);
  const double square = x * x;  // the asymptotic series
  return -square / 2 - std::log(-x) - std::log(2 * std::numbers::pi) / 2 +
         std::log1p(-1 / square + 3 / (square * square) - 15 / (square * square * square));
}

RankerLogits forest_outputs(const RankerSpec& spec, const std::vector<std::vector<float>>& heads) {
  RankerLogits logits;
  for (size_t i = 0; i < spec.tasks.size(); ++i) {
    const RankedTask& task = spec.tasks[i];
    if (task.parent < 0) {
      logits[task.name] = heads[i];
      continue;
    }
    logits[given_name(spec, task)] = heads[i];
    logits[task.name] = combined(logits.at(spec.tasks[static_cast<size_t>(task.parent)].name),
                                 heads[i], &product_logit);
  }
  if (spec.seconds_cap == 0) return logits;
  std::vector<float>& mean = logits.at(kRankedSeconds);
  for (float& value : mean) value += static_cast<float>(std::log(spec.seconds_cap) / 2);
  const std::vector<float> share = combined(
      mean, logits.at(kRankedDeviation),
      [&](double m, double deviation) { return log_capped_share(m, deviation, spec.seconds_cap); });
  logits[kRankedValue] = combined(logits.at("click"), share, [](double click, double log_share) {
    return logit_of_log(log_sigmoid(click) + log_share);
  });
  return logits;
}

}  // namespace retort
