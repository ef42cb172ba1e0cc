#include <span>

#include "retort/common/embedded_file.h"
#include "retort/server/api.h"

namespace retort {

std::span<const EmbeddedFile> page_files();  // of the folder page/

namespace {

/// Nothing but what this server serves, no code inside the page, no frame around it.
constexpr const char* kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

std::string type_of(std::string_view name) {
  if (name.ends_with(".html")) return "text/html; charset=utf-8";
  if (name.ends_with(".css")) return "text/css; charset=utf-8";
  if (name.ends_with(".js")) return "text/javascript; charset=utf-8";
  return "image/svg+xml";
}

/// Whether a list of entity tags holds the tag, weak or not.
bool names_tag(std::string_view list, std::string_view tag) {
  return list == "*" || list.find(tag) != std::string_view::npos;
}

HttpResponse page_response(const EmbeddedFile& file, const HttpRequest& request) {
  const std::string tag = '"' + std::string(file.sha256.substr(0, 32)) + '"';
  HttpResponse response;
  response.content_type = type_of(file.name);
  response.headers = {{"ETag", tag},
                      {"Cache-Control", "no-cache"},
                      {"Content-Security-Policy", kPolicy},
                      {"Referrer-Policy", "no-referrer"}};
  if (names_tag(request.if_none_match, tag))
    response.status = 304;
  else
    response.body = file.content;
  return response;
}

HttpResponse page_file(std::string_view name, const HttpRequest& request) {
  for (const EmbeddedFile& file : page_files())
    if (file.name == name) return page_response(file, request);
  throw HttpError(404, "the page has no such file");
}

}  // namespace

void add_page_routes(Router& router) {
  router.add(
      {"GET", "/", Scope::kOpen, Lane::kInline, [](const HttpRequest& request, const PathValues&) {
         return page_file("index.html", request);
       }});
  router.add({"GET", "/page/{file}", Scope::kOpen, Lane::kInline,
              [](const HttpRequest& request, const PathValues& values) {
                return page_file(values.at("file"), request);
              }});
}

}  // namespace retort
