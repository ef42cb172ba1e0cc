// The parts of the HTTP API besides retrieval: each adds its routes to the router.
#pragma once

#include <atomic>

#include "retort/server/exposure_log.h"
#include "retort/server/feature_store.h"
#include "retort/server/live_items.h"
#include "retort/server/model_choice.h"
#include "retort/server/model_store.h"
#include "retort/server/router.h"
#include "retort/server/trailing_popularity.h"

namespace retort {

struct ApiLimits {
  int64_t rows = 1000;  // users, items or events of one request
};

/// GET /v1/models; POST /v1/models/{name}:pin {"version": 3 | null}.
void add_model_routes(Router& router, ModelStore& models);
/// POST /v1/embed/users, /v1/embed/items.
void add_embed_routes(Router& router, const ModelChoice& models, ApiLimits limits);
/// POST /v1/explain: the student's score of items for a user, what of it is whose, and the items of
/// the history that are nearest; the teacher's probabilities where the bundle carries it. `users`
/// may be null.
void add_explain_routes(Router& router, const ModelChoice& models, FeatureStore* users,
                        const LiveItems& items, ApiLimits limits);
/// PUT and DELETE /v1/items/{id}, POST /v1/items:bulk.
void add_item_routes(Router& router, LiveItems& items, ApiLimits limits);
/// Where events go.
struct EventSinks {
  FeatureStore* users = nullptr;  // null: later requests do not see them
  TrailingPopularity& popularity;
  ExposureLog* exposures = nullptr;  // null: they are not logged
};
/// POST and GET /v1/users/{id}/events, PUT /v1/users/{id}. Where there is no store of users (for
/// events: nor a log) they say how to have one.
void add_user_routes(Router& router, const EventSinks& sinks, ApiLimits limits);
/// GET /v1/users: ids that begin with a prefix; /v1/users/{id}: what a model knows of a user now.
/// `users` may be null.
void add_user_view_routes(Router& router, const ModelChoice& models, FeatureStore* users,
                          const LiveItems& items);
/// GET /, /page/{file}: the explorer, from the files of page/ that are part of the executable.
void add_page_routes(Router& router);
/// GET /healthz: the process answers; /readyz: it takes requests.
void add_health_routes(Router& router, const ModelStore& models, const std::atomic<bool>& draining);

}  // namespace retort
