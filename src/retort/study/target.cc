#include "retort/study/target.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>

#include "retort/common/error.h"
#include "retort/common/progress.h"
#include "retort/dataset/pair_batch.h"
#include "retort/metric/rank_metric.h"

namespace retort {
namespace {

/// All ways to share `left` steps among the places from `place` on.
void fill_grid(size_t place, int32_t left, std::vector<int32_t>& shares,
               std::vector<std::vector<int32_t>>& grid) {
  if (place + 1 == shares.size()) {
    shares[place] = left;
    grid.push_back(shares);
    return;
  }
  for (int32_t own = 0; own <= left; ++own) {
    shares[place] = own;
    fill_grid(place + 1, left - own, shares, grid);
  }
}

float log_sigmoid(float x) { return std::min(x, 0.0F) - std::log1p(std::exp(-std::abs(x))); }

/// The ranking model's log probabilities of an event's candidates, asked for once.
class Answers {
 public:
  Answers(const Dataset& dataset, const PairScorer& ranker, const std::vector<std::string>& logits)
      : dataset_(dataset), ranker_(ranker), logits_(logits), assembler_(dataset) {}

  /// [logits][candidates]; the candidates of an event are the same at every call.
  const std::vector<std::vector<float>>& of(int64_t click, std::span<const int32_t> candidates) {
    const std::lock_guard lock(mutex_);  // a ranking model answers one caller at a time
    const auto [at, fresh] = known_.try_emplace(click);
    if (!fresh) return at->second;
    check_interrupt("choosing the target");
    const auto event = static_cast<size_t>(click);
    const PairGroup group{{dataset_.clicks().user[event], dataset_.clicks().time[event], -1},
                          candidates};
    assemble_pairs(assembler_, std::span(&group, 1), batch_);
    for (const std::string& logit : logits_) {
      std::vector<float>& values = at->second.emplace_back(candidates.size());
      ranker_.score(batch_, logit, values);
      for (float& value : values) value = log_sigmoid(value);
    }
    return at->second;
  }

 private:
  const Dataset& dataset_;
  const PairScorer& ranker_;
  const std::vector<std::string>& logits_;
  const Assembler assembler_;
  std::mutex mutex_;
  Batch batch_;
  std::map<int64_t, std::vector<std::vector<float>>> known_;  // by click
};

void check_metric(const std::string& metric) {
  for (const char* prefix : {"recall", "recall_click", "wrecall", "ndcg"})
    if (metric_k(metric, prefix) > 0) return;
  if (metric != "mrr")
    fail<ConfigError>("metric '{}': recall@K, recall_click@K, wrecall@K, ndcg@K or mrr is expected",
                      metric);
}

double unevenness(const std::vector<int32_t>& shares) {
  double sum = 0;
  for (const int32_t share : shares) sum += share * share;
  return sum;
}

}  // namespace

TargetChoice choose_target(const Dataset& dataset, const PairScorer& ranker,
                           TargetOptions options) {
  check_metric(options.metric);
  if (options.logits.size() < 2 || options.steps < 1)
    fail<ConfigError>("target: two logits or more and a step are expected, not {} and {}",
                      options.logits.size(), options.steps);
  options.catalogue.reads_only = !of_every_click(options.metric);
  std::vector<std::vector<int32_t>> grid;
  std::vector<int32_t> shares(options.logits.size());
  fill_grid(0, options.steps, shares, grid);
  Answers answers(dataset, ranker, options.logits);
  TargetChoice choice;
  Progress progress("weights of the target", std::ssize(grid), "points");
  for (const std::vector<int32_t>& point : grid) {
    const auto score = [&](int64_t click, std::span<const int32_t> candidates,
                           std::span<float> out) {
      const std::vector<std::vector<float>>& logs = answers.of(click, candidates);
      std::fill(out.begin(), out.end(), 0.0F);
      for (size_t logit = 0; logit < logs.size(); ++logit)
        for (size_t item = 0; item < out.size(); ++item)
          out[item] += static_cast<float>(point[logit]) * logs[logit][item];
    };
    choice.values.push_back(
        rank_metric(dataset, rank_catalogue(dataset, score, options.catalogue), options.metric));
    const double largest = *std::max_element(point.begin(), point.end());
    std::vector<double>& weights = choice.tried.emplace_back();
    for (const int32_t share : point) weights.push_back(share / largest);
    const size_t at = choice.values.size() - 1;
    if (choice.values[at] > choice.values[choice.best] ||
        (choice.values[at] == choice.values[choice.best] &&
         unevenness(point) < unevenness(grid[choice.best])))
      choice.best = at;
    progress.update(std::ssize(choice.values));
  }
  return choice;
}

std::string target_text(const std::vector<std::string>& logits,
                        const std::vector<double>& weights) {
  std::string text;
  for (size_t i = 0; i < logits.size(); ++i)
    text += fmt::format("{}{} = {:g}", i == 0 ? "{ " : ", ", logits[i], weights[i]);
  return text + " }";
}

}  // namespace retort
