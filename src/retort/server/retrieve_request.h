// What a body of POST /v1/retrieve asks for, for one user.
#pragma once

#include <cstdint>
#include <string>

#include "retort/encoder/retriever.h"
#include "retort/server/body.h"
#include "retort/server/channels.h"
#include "retort/server/exploration.h"
#include "retort/server/model_choice.h"

namespace retort {

struct RetrieveLimits {
  int32_t k = 1000;      // items a user
  int64_t users = 1000;  // of one request
};

/// What holds where a request says nothing else.
struct RetrieveDefaults {
  int64_t window = int64_t{24} * 3600 * 1'000'000;  // of the popular channel, microseconds
  Exploration exploration{};                        // of requests that may be logged
};

struct RetrieveRequest {
  ModelStore::Served model;
  std::string arm;   // the model that the split gave; empty: the request names one
  std::string user;  // empty: described by features alone, or nobody
  Json features;     // null: none
  RetrieveOptions options;
  ChannelQuotas quotas;
  int64_t window = 0;
  Exploration exploration;
  std::string id;      // as the request gives it; empty: none
  bool logged = true;  // may be

  /// Candidates that the answer is drawn from.
  int32_t depth() const { return depth_of(options.k, exploration); }
  bool wants(Channel channel) const { return quotas.of(channel) > 0; }
};

/// Reads all keys of a body but those that say who it is for. Throws HttpError 400 or 404.
RetrieveRequest read_request(Body& body, std::string user, Json features, const ModelChoice& models,
                             const RetrieveLimits& limits, const RetrieveDefaults& defaults);

/// Candidates that so many slots are drawn from where nobody says: 10 a slot.
int32_t default_pool(int32_t slots, const RetrieveLimits& limits);
/// Throws ConfigError unless 0 <= slots <= from <= limits.k.
void check_exploration(const Exploration& exploration, const RetrieveLimits& limits);
/// "1h", "1d" as microseconds. Throws ConfigError naming `where` unless it is from 1m to 7d.
int64_t parse_window(const std::string& text, const std::string& where);

}  // namespace retort
