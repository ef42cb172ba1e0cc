// POST /v1/retrieve: requests in JSON to candidates, one user or many.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "retort/encoder/user_events.h"
#include "retort/server/exposure_log.h"
#include "retort/server/feature_store.h"
#include "retort/server/live_items.h"
#include "retort/server/model_choice.h"
#include "retort/server/retrieve_request.h"
#include "retort/server/server_metrics.h"
#include "retort/server/trailing_popularity.h"
#include "retort/server/work_queue.h"

namespace retort {

/// What answers are made of; all of it must outlive the API.
struct RetrieveParts {
  const ModelChoice& models;
  ServerMetrics& metrics;
  const LiveItems& items;
  TrailingPopularity& popularity;
  FeatureStore* users = nullptr;     // null: only the bundles know users
  ExposureLog* exposures = nullptr;  // null: answers are not logged
};

/// Thread-safe.
class RetrieveApi {
 public:
  RetrieveApi(const RetrieveParts& parts, RetrieveLimits limits, RetrieveDefaults defaults);

  /// Answers requests for one user each, their towers as one product for each model. Requests for
  /// many users are left unanswered and returned.
  std::vector<Work> answer_quick(std::span<Work> works) const;
  /// Answers a request for many users: {"users": [..], ..}. One user's mistake is that user's.
  HttpResponse answer_many(const HttpRequest& request) const;

 private:
  /// One user's candidates on their way from the request to the answer.
  struct Ask;
  Ask read(Body& body, std::string user, Json features) const;
  void find_users(std::span<Ask*> asks) const;
  RawUser known_user(const Ask& ask, const StoredUser* stored) const;
  ItemLookup live_features() const;
  void encode(std::span<Ask*> asks) const;
  void prepare(std::span<Ask> asks) const;
  ChannelLists channels_of(Ask& ask) const;
  void search(Ask& ask) const;
  void append_answer(std::string& json, const Ask& ask, const std::string& user) const;
  void log(Ask& ask) const;
  std::string next_id() const;

  RetrieveParts parts_;
  RetrieveLimits limits_;
  RetrieveDefaults defaults_;
  Rng ids_;
  mutable std::atomic<uint64_t> asked_{0};
  std::array<prometheus::Counter*, kChannels> items_, short_;
  prometheus::Counter* explored_;
};

}  // namespace retort
