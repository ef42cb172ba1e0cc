#include "retort/server/model_choice.h"

#define XXH_INLINE_ALL
#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include <xxhash.h>

namespace retort {

ModelChoice::ModelChoice(const ModelStore& models, std::vector<double> shares, std::string salt)
    : models_(models), names_(models.names()), salt_(std::move(salt)) {
  if (shares.empty()) {
    shares.assign(names_.size(), 0);
    shares.front() = 1;
  }
  if (shares.size() != names_.size())
    fail<ConfigError>("a traffic split of {} shares for {} models", shares.size(), names_.size());
  for (const double share : shares)
    if (!(share >= 0) || !std::isfinite(share))
      fail<ConfigError>("a traffic split's share is {}, expected 0 or more", share);
  const double sum = std::accumulate(shares.begin(), shares.end(), 0.0);
  if (!(sum > 0)) fail<ConfigError>("a traffic split's shares are all 0");
  double until = 0;
  for (const double share : shares) until_.push_back(until += share / sum);
  // Rounding must not leave a user without a model, nor give one to a share of 0.
  for (size_t i = until_.size(); i-- > 0;) {
    until_[i] = 1;
    if (shares[i] > 0) break;
  }
}

const std::string& ModelChoice::arm_of(std::string_view user) const {
  const std::string key = fmt::format("{}\n{}", salt_, user);
  const double place = static_cast<double>(XXH3_64bits(key.data(), key.size()) >> 11) * 0x1p-53;
  const auto arm = std::upper_bound(until_.begin(), until_.end(), place);
  return names_[static_cast<size_t>(arm - until_.begin())];
}

ModelStore::Served ModelChoice::choose(Body& body, std::string_view user) const {
  std::string name;
  if (!body.read("model", name)) name = arm_of(user);
  ModelStore::Served served = models_.find(name);
  if (served == nullptr)
    throw HttpError(404, fmt::format("there is no model '{}'; there are {}", name.substr(0, 64),
                                     fmt::join(names_, ", ")));
  int64_t version = 0;
  if (body.read("version", version) && version != served->version())
    throw HttpError(404, fmt::format("version {} of {} does not serve, version {} does", version,
                                     name, served->version()));
  return served;
}

}  // namespace retort
