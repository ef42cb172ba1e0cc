// POST /v1/retrieve: requests in JSON to candidates, one user or many.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "retort/encoder/user_events.h"
#include "retort/server/feature_store.h"
#include "retort/server/live_items.h"
#include "retort/server/model_choice.h"
#include "retort/server/server_metrics.h"
#include "retort/server/work_queue.h"

namespace retort {

struct RetrieveLimits {
  int32_t k = 1000;      // items a user
  int64_t users = 1000;  // of one request
};

/// Thread-safe. What it is made of must outlive it.
class RetrieveApi {
 public:
  /// `users` may be null: then only the bundles know users.
  RetrieveApi(const ModelChoice& models, ServerMetrics& metrics, const LiveItems& items,
              FeatureStore* users, RetrieveLimits limits);

  /// Answers requests for one user each, their towers as one product for each model. Requests for
  /// many users are left unanswered and returned.
  std::vector<Work> answer_quick(std::span<Work> works) const;
  /// Answers a request for many users: {"users": [..], ..}. One user's mistake is that user's.
  HttpResponse answer_many(const HttpRequest& request) const;

 private:
  /// One user's candidates on their way from the request to the answer.
  struct Ask;
  Ask read(Body& body, std::string user, Json features) const;
  RetrieveOptions read_options(Body& body, const ServedModel& model) const;
  void find_users(std::span<Ask*> asks) const;
  ItemLookup live_features() const;
  void encode(std::span<Ask*> asks) const;
  void search(Ask& ask) const;
  void prepare(std::span<Ask> asks) const;

  const ModelChoice& models_;
  ServerMetrics& metrics_;
  const LiveItems& items_;
  FeatureStore* users_;
  RetrieveLimits limits_;
};

}  // namespace retort
