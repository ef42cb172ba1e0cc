#include <algorithm>

#include "retort/server/api.h"
#include "retort/server/body.h"

namespace retort {
namespace {

HttpResponse pin(ModelStore& models, const HttpRequest& request, const std::string& name) {
  const Json json = parse_object(request.body);
  Body body(json);
  int64_t number = 0;
  const bool given = body.read("version", number);
  body.finish();
  const auto known = models.names();
  if (std::find(known.begin(), known.end(), name) == known.end())
    throw HttpError(404, fmt::format("there is no model '{}'; there are {}", name.substr(0, 64),
                                     fmt::join(known, ", ")));
  const ModelStore::Served served = models.pin(name, given ? std::optional(number) : std::nullopt);
  return json_response({{"model", name}, {"version", served->version()}, {"pinned", given}});
}

}  // namespace

void add_model_routes(Router& router, ModelStore& models) {
  router.add({"GET", "/v1/models", Scope::kRetrieve, Lane::kSlow,
              [&models](const HttpRequest&, const PathValues&) {
                return json_response(models.describe());
              }});
  router.add({"POST", "/v1/models/{name}:pin", Scope::kAdmin, Lane::kSlow,
              [&models](const HttpRequest& request, const PathValues& values) {
                return pin(models, request, values.at("name"));
              }});
}

void add_health_routes(Router& router, const ModelStore& models,
                       const std::atomic<bool>& draining) {
  router.add(
      {"GET", "/healthz", Scope::kOpen, Lane::kInline, [](const HttpRequest&, const PathValues&) {
         return json_response({{"status", "ok"}});
       }});
  router.add(
      {"GET", "/readyz", Scope::kOpen, Lane::kInline, [&](const HttpRequest&, const PathValues&) {
         if (draining) return error_response(503, "the server is ending");
         return json_response({{"status", "ready"}, {"models", models.names()}});
       }});
}

}  // namespace retort
