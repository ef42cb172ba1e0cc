// Which model answers a request: the one it names, or one by the traffic split, the same for a user
// every time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "retort/server/body.h"
#include "retort/server/model_store.h"

namespace retort {

class ModelChoice {
 public:
  /// shares: one a model in the order of `models.names()`, or none: the first model gets all.
  /// `salt` deals users anew. Throws ConfigError unless there are as many and all are 0 or more,
  /// not all 0.
  ModelChoice(const ModelStore& models, std::vector<double> shares, std::string salt);

  /// Reads "model" and "version" of a body. Throws HttpError 404 for a model that is not there or
  /// a version that does not serve.
  ModelStore::Served choose(Body& body, std::string_view user) const;
  /// The name that the split gives a user. Source: hashing users to arms, Tang et al., KDD 2010.
  const std::string& arm_of(std::string_view user) const;

 private:
  const ModelStore& models_;
  std::vector<std::string> names_;
  std::vector<double> until_;  // [names] cumulative, the last 1
  std::string salt_;
};

}  // namespace retort
