#include "retort/sim/oracle_scorer.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "retort/common/error.h"
#include "retort/common/thread_pool.h"
#include "retort/sim/law.h"
#include "retort/sim/world_keys.h"

namespace retort {
namespace {

constexpr double kFinite = 1e6;

}  // namespace

OracleScorer::OracleScorer(const Oracle& oracle, const Dataset& dataset)
    : oracle_(oracle), dataset_(dataset) {
  const Protocol& protocol = dataset.protocol();
  negatives_ = make_sampler(protocol.sampler, dataset,
                            {.exponent = protocol.exponent,
                             .window = protocol.window,
                             .uniform_share = protocol.uniform_share});
  user_ = numbers_of(dataset.user_keys(), "user", dataset,
                     [&](std::string_view key) { return oracle.find_user(key); });
  item_ = numbers_of(dataset.item_keys(), "item", dataset,
                     [&](std::string_view key) { return oracle.find_item(key); });
}

double OracleScorer::pmi(int32_t user, int32_t item, int64_t time) const {
  const int32_t u = user_[static_cast<size_t>(user)], i = item_[static_cast<size_t>(item)];
  const int32_t day = oracle_.day_of(time);
  if (!oracle_.alive(i, day)) return -kFinite;
  const double log_q = negatives_->log_q(item, time);
  return std::clamp(oracle_.log_click_share(u, i, day) - log_q, -kFinite, kFinite);
}

double OracleScorer::p_long(int32_t user, int32_t item, int64_t time) const {
  return oracle_.p_long(user_[static_cast<size_t>(user)], item_[static_cast<size_t>(item)],
                        oracle_.day_of(time), dataset_.read_threshold());
}

double OracleScorer::best_read(int32_t user, int32_t item, int64_t time) const {
  const double log_n = std::log(std::max(1, dataset_.protocol().negatives_per_click));
  return sigmoid(pmi(user, item, time) - log_n) * p_long(user, item, time);
}

double OracleScorer::click_mass(int32_t user, int32_t item, int64_t time) const {
  return oracle_.click_mass(user_[static_cast<size_t>(user)], item_[static_cast<size_t>(item)],
                            oracle_.day_of(time));
}

double OracleScorer::read_mass(int32_t user, int32_t item, int64_t time) const {
  return click_mass(user, item, time) * p_long(user, item, time);
}

void OracleScorer::score(const Batch& batch, std::string_view task, std::span<float> out) const {
  check(static_cast<int64_t>(out.size()) == batch.rows(), "OracleScorer: {} scores for {} rows",
        out.size(), batch.rows());
  const auto law = task == "click"  ? &OracleScorer::pmi
                   : task == "read" ? &OracleScorer::best_read
                                    : &OracleScorer::p_long;
  check(law != &OracleScorer::p_long || task == "read_given_click",
        "OracleScorer: task '{}': give click, read or read_given_click", task);
  parallel_for(0, batch.rows(), 256, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const auto row = static_cast<size_t>(r);
      out[row] =
          static_cast<float>((this->*law)(batch.user[row], batch.item[row], batch.time[row]));
    }
  });
}

CandidateScorer OracleScorer::candidates(OracleRanking ranking) const {
  const auto law = ranking == OracleRanking::kBestRead    ? &OracleScorer::best_read
                   : ranking == OracleRanking::kClickMass ? &OracleScorer::click_mass
                                                          : &OracleScorer::read_mass;
  return [this, law](int64_t event, std::span<const int32_t> items, std::span<float> out) {
    const auto at = static_cast<size_t>(event);
    const int32_t user = dataset_.clicks().user[at];
    const int64_t time = dataset_.clicks().time[at];
    for (size_t k = 0; k < items.size(); ++k) {
      out[k] = static_cast<float>((this->*law)(user, items[k], time));
    }
  };
}

}  // namespace retort
