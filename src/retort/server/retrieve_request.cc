#include "retort/server/retrieve_request.h"

#include <algorithm>
#include <utility>

#include "retort/common/text.h"
#include "retort/server/trailing_popularity.h"

namespace retort {
namespace {

constexpr size_t kLongestRequestId = 128;

RetrieveOptions read_options(Body& body, const ServedModel& model, const RetrieveLimits& limits) {
  RetrieveOptions options;
  body.read("k", options.k);
  if (options.k < 1 || options.k > limits.k)
    throw HttpError(400, fmt::format("'k' is {}, expected 1 to {}", options.k, limits.k));
  body.read("exclude_seen", options.exclude_seen);
  body.read("exclude", options.exclude);
  body.read("where", options.where);
  bool all_items = false;
  body.read("all_items", all_items);
  options.prefer_alive = !all_items;
  body.read("fusion", options.shares);
  if (!options.shares.empty()) {
    ModelSpec spec = model.bundle().spec();
    set_shares(spec, options.shares, "'fusion'");
  }
  options.overlay = model.overlay();
  return options;
}

/// {"slots": 2, "from": 50}; null where the body says nothing.
void read_exploration(Body& body, RetrieveRequest& request, const RetrieveLimits& limits,
                      const RetrieveDefaults& defaults) {
  Json json;
  if (!body.read("explore", json)) {
    if (!request.logged) return;
    request.exploration = defaults.exploration;
    request.exploration.slots = std::min(request.exploration.slots, request.options.k);
    return;
  }
  if (!json.is_object())
    throw HttpError(400, "'explore' must be an object such as {\"slots\": 2, \"from\": 50}");
  Body inner(json);
  inner.read("slots", request.exploration.slots);
  if (!inner.read("from", request.exploration.from))
    request.exploration.from = default_pool(request.exploration.slots, limits);
  inner.finish();
  check_exploration(request.exploration, limits);
  if (request.exploration.slots > request.options.k)
    throw HttpError(400, fmt::format("'explore': {} slots of k = {}", request.exploration.slots,
                                     request.options.k));
}

}  // namespace

RetrieveRequest read_request(Body& body, std::string user, Json features, const ModelChoice& models,
                             const RetrieveLimits& limits, const RetrieveDefaults& defaults) {
  RetrieveRequest request;
  request.model = models.choose(body, user);
  if (!body.has("model")) request.arm = request.model->name();
  request.options = read_options(body, *request.model, limits);
  request.user = std::move(user);
  request.features = std::move(features);
  Json channels;
  if (body.read("channels", channels)) request.quotas = read_quotas(channels);
  std::string window;
  request.window = body.read("window", window) ? parse_window(window, "'window'") : defaults.window;
  if (body.read("request_id", request.id) &&
      (request.id.empty() || request.id.size() > kLongestRequestId))
    throw HttpError(400, fmt::format("'request_id' must have 1 to {} bytes", kLongestRequestId));
  body.read("log", request.logged);
  read_exploration(body, request, limits, defaults);
  return request;
}

int32_t default_pool(int32_t slots, const RetrieveLimits& limits) {
  return slots < 0 || slots > limits.k ? slots : std::min(10 * slots, limits.k);
}

void check_exploration(const Exploration& exploration, const RetrieveLimits& limits) {
  if (exploration.slots < 0 || exploration.from < exploration.slots || exploration.from > limits.k)
    fail<ConfigError>("explore: {} slots from {} candidates; expected 0 <= slots <= from <= {}",
                      exploration.slots, exploration.from, limits.k);
}

int64_t parse_window(const std::string& text, const std::string& where) {
  const int64_t window = parse_duration(text, where);
  if (window < TrailingPopularity::kShortest || window > TrailingPopularity::kLongest)
    fail<ConfigError>("{}: a window of {}, expected {} to {}", where, text,
                      format_duration(TrailingPopularity::kShortest),
                      format_duration(TrailingPopularity::kLongest));
  return window;
}

}  // namespace retort
