#include "retort/dataset/sampler/alias_table.h"

#include <cmath>

#include "retort/common/error.h"

namespace retort {

AliasTable::AliasTable(std::span<const double> weights)
    : keep_(weights.size(), 1.0), alias_(weights.size()) {
  double sum = 0;
  for (const double weight : weights) {
    check(std::isfinite(weight) && weight >= 0, "AliasTable: weight {}", weight);
    sum += weight;
  }
  check(sum > 0 && std::isfinite(sum), "AliasTable: the weights sum to {}", sum);
  const auto columns = static_cast<double>(weights.size());
  std::vector<int32_t> small, large;
  for (size_t i = 0; i < weights.size(); ++i) {
    keep_[i] = weights[i] * columns / sum;
    alias_[i] = static_cast<int32_t>(i);
    (keep_[i] < 1.0 ? small : large).push_back(static_cast<int32_t>(i));
  }
  // A full column gives to a poor one what that lacks, until one kind has run out.
  while (!small.empty() && !large.empty()) {
    const auto poor = static_cast<size_t>(small.back()), rich = static_cast<size_t>(large.back());
    small.pop_back();
    alias_[poor] = large.back();
    keep_[rich] -= 1.0 - keep_[poor];
    if (keep_[rich] >= 1.0) continue;
    small.push_back(large.back());
    large.pop_back();
  }
  // What is left is full up to rounding; a weight of 0 is never left but by rounding, and must
  // point elsewhere even then.
  for (const int32_t i : large) keep_[static_cast<size_t>(i)] = 1.0;
  int32_t heaviest = 0;
  for (size_t i = 0; i < weights.size(); ++i)
    if (weights[i] > weights[static_cast<size_t>(heaviest)]) heaviest = static_cast<int32_t>(i);
  for (const int32_t i : small) {
    const auto at = static_cast<size_t>(i);
    keep_[at] = weights[at] > 0 ? 1.0 : 0.0;
    if (weights[at] <= 0) alias_[at] = heaviest;
  }
}

int32_t AliasTable::draw(const Rng& rng, uint64_t position) const {
  const auto block = rng.block(position);
  const uint64_t low = (static_cast<uint64_t>(block[1]) << 32) | block[0];
  const uint64_t high = (static_cast<uint64_t>(block[3]) << 32) | block[2];
  __extension__ using uint128 = unsigned __int128;
  const auto column = static_cast<size_t>((static_cast<uint128>(low) * keep_.size()) >> 64);
  const double coin = static_cast<double>(high >> 11) * 0x1.0p-53;
  return coin < keep_[column] ? static_cast<int32_t>(column) : alias_[column];
}

}  // namespace retort
