// docs/openapi.yaml against a running server: the same routes, scopes and answers.
#include <map>
#include <set>

#include "tests/bundle/tiny_ranker.h"
#include "tests/server/running_server.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

namespace retort {
namespace {

Json to_json(const YAML::Node& node) {
  if (node.IsMap()) {
    Json json = Json::object();
    for (const auto& entry : node) json[entry.first.as<std::string>()] = to_json(entry.second);
    return json;
  }
  if (node.IsSequence()) {
    Json json = Json::array();
    for (const auto& entry : node) json.push_back(to_json(entry));
    return json;
  }
  if (node.IsNull()) return nullptr;
  if (node.Tag() != "!") {  // not quoted
    bool truth = false;
    double number = 0;
    if (YAML::convert<bool>::decode(node, truth)) return truth;
    if (YAML::convert<double>::decode(node, number)) return number;
  }
  return node.as<std::string>();
}

/// The part of JSON Schema that the description uses.
class Schemas {
 public:
  explicit Schemas(const Json& description) : description_(description) {}

  const Json& resolve(const Json& node) const {
    if (!node.contains("$ref")) return node;
    return resolve(description_.at(Json::json_pointer(node["$ref"].get<std::string>().substr(1))));
  }

  /// Empty if the value fits, else where it does not and why.
  std::string mistake(const Json& value, const Json& reference, const std::string& at = "") const {
    const Json& schema = resolve(reference);
    if (schema.contains("oneOf")) {
      std::string all;
      for (const Json& one : schema["oneOf"]) {
        const std::string why = mistake(value, one, at);
        if (why.empty()) return "";
        all += why + "; ";
      }
      return all;
    }
    const std::string type = schema.value("type", "");
    if (value.is_null() && schema.value("nullable", false)) return "";
    const std::map<std::string, bool> types{{"object", value.is_object()},
                                            {"array", value.is_array()},
                                            {"string", value.is_string()},
                                            {"boolean", value.is_boolean()},
                                            {"integer", value.is_number_integer()},
                                            {"number", value.is_number()},
                                            {"", true}};
    if (!types.at(type)) return at + " is no " + type + ": " + value.dump();
    if (value.is_object()) return mistake_in_object(value, schema, at);
    if (value.is_array() && schema.contains("items"))
      for (const Json& entry : value)
        if (std::string why = mistake(entry, schema["items"], at + "[]"); !why.empty()) return why;
    return "";
  }

 private:
  std::string mistake_in_object(const Json& value, const Json& schema,
                                const std::string& at) const {
    for (const Json& key : schema.value("required", Json::array()))
      if (!value.contains(key.get<std::string>())) return at + " lacks " + key.dump();
    const Json properties = schema.value("properties", Json::object());
    for (const auto& [key, entry] : value.items()) {
      if (!properties.contains(key)) {
        if (schema.contains("additionalProperties") && schema["additionalProperties"] == false)
          return at + " must not have " + key;
        continue;
      }
      if (std::string why = mistake(entry, properties[key], at + "." + key); !why.empty())
        return why;
    }
    return "";
  }

  const Json& description_;
};

class OpenApi : public testing::Test {
 protected:
  OpenApi()
      : tiny_(random_tiny_dataset(3)),
        bundle_(publish_with_ranker(tiny_).path),
        description_(to_json(YAML::LoadFile(RETORT_SOURCE "/docs/openapi.yaml"))),
        schemas_(description_),
        server_(options()) {}

  ServerOptions options() const {
    ServerOptions options = RunningServer::of(tiny_.bundles());
    options.users = "lmdb:" + (tiny_.scratch / "users").string();
    return options;
  }

  /// Asks, and holds question (if it is to be answered well) and answer against the description.
  RawAnswer ask(const std::string& method, const std::string& pattern, const std::string& path,
                const Json& body, int status) {
    std::string key = method;
    std::transform(key.begin(), key.end(), key.begin(), ::tolower);
    const Json& operation = description_.at("paths").at(pattern).at(key);
    if (status < 300 && operation.contains("requestBody")) {
      EXPECT_EQ(schemas_.mistake(body, content(operation["requestBody"])["schema"]), "");
    }
    RawAnswer answer = server_.ask(method, path, body.is_null() ? "" : body.dump());
    EXPECT_EQ(answer.status, status) << method << " " << path << answer.body;
    const Json& responses = operation.at("responses");
    const std::string code = std::to_string(answer.status);
    EXPECT_TRUE(responses.contains(code)) << method << " " << pattern << " gives " << code;
    if (responses.contains(code) && content(responses[code]).contains("schema") &&
        answer.header("Content-Type") == "application/json") {
      EXPECT_EQ(schemas_.mistake(answer.json(), content(responses[code])["schema"]), "");
    }
    asked_.insert(method + " " + pattern);
    return answer;
  }
  Json content(const Json& holder) const {
    const Json media = schemas_.resolve(holder).value("content", Json::object());
    return media.empty() ? Json::object() : media.begin().value();
  }

  TinyPublication tiny_;
  Bundle bundle_;
  Json description_;
  Schemas schemas_;
  RunningServer server_;
  std::set<std::string> asked_;
};

TEST_F(OpenApi, RoutesAndScopesAreThoseOfTheServer) {
  std::map<std::string, std::string> described, served;
  for (const auto& [path, operations] : description_["paths"].items())
    for (const auto& [method, operation] : operations.items()) {
      std::string name = method;
      std::transform(name.begin(), name.end(), name.begin(), ::toupper);
      described[name + " " + path] = operation.value("x-scope", "open");
    }
  const std::map<Scope, std::string> names{{Scope::kOpen, "open"},
                                           {Scope::kRetrieve, "retrieve"},
                                           {Scope::kEvents, "events"},
                                           {Scope::kAdmin, "admin"}};
  for (const Route& route : server_.server().routes())
    served[route.method + " " + route.pattern] = names.at(route.scope);
  EXPECT_EQ(described, served);
}

TEST_F(OpenApi, QuestionsAndAnswersAreAsDescribed) {
  const std::string user(bundle_.user_keys()[0]), item(bundle_.item_keys()[0]);
  const auto retrieve = [&](const Json& body, int status) {
    return ask("POST", "/v1/retrieve", "/v1/retrieve", body, status);
  };
  retrieve({{"user", user}, {"k", 3}, {"exclude", {item}}}, 200);
  retrieve({{"users", {user, "nobody"}}, {"k", 3}, {"all_items", true}}, 200);
  retrieve({{"features", {{"user_id", user}}}, {"model", "m"}, {"version", 1}}, 200);
  retrieve({{"user", user},
            {"k", 4},
            {"channels", {{"personal", 2}, {"popular", 1}, {"similar", 1}}},
            {"window", "1h"},
            {"explore", {{"slots", 1}, {"from", 2}}},
            {"request_id", "r1"},
            {"log", false}},
           200);
  retrieve({{"users", {user, "nobody"}}, {"channels", {{"popular", 1}}}, {"request_id", "r2"}},
           200);
  retrieve({{"user", user}, {"channels", {{"popular", 0}}}}, 400);
  retrieve({{"user", user}, {"k", -1}}, 400);
  retrieve({{"user", "nobody"}}, 404);
  retrieve({{"features", {{"x", 1}}}}, 422);
  ask("POST", "/v1/embed/users", "/v1/embed/users", {{"users", {user}}}, 200);
  ask("POST", "/v1/embed/items", "/v1/embed/items", {{"items", {item}}}, 200);
  const Json explained =
      ask("POST", "/v1/explain", "/v1/explain", {{"user", user}, {"items", {item}}}, 200).json();
  const Json found = retrieve({{"user", user}, {"k", 1000}}, 200).json();
  for (const Json& hit : found["items"])
    if (hit["id"] == item) {
      EXPECT_NEAR(hit["score"].get<double>(), explained["items"][0]["score"].get<double>(), 1e-5);
    }
  ask("POST", "/v1/explain", "/v1/explain", {{"user", user}, {"items", {"none"}}}, 404);
  ask("GET", "/v1/models", "/v1/models", nullptr, 200);
  ask("POST", "/v1/models/{name}:pin", "/v1/models/m:pin", {{"version", 1}}, 200);
  ask("POST", "/v1/models/{name}:pin", "/v1/models/none:pin", {{"version", 1}}, 404);
  ask("PUT", "/v1/items/{id}", "/v1/items/new", {{"features", Json::object()}}, 200);
  ask("DELETE", "/v1/items/{id}", "/v1/items/new", nullptr, 200);
  ask("DELETE", "/v1/items/{id}", "/v1/items/never", nullptr, 404);
  ask("POST", "/v1/items:bulk", "/v1/items:bulk", {{"put", {{{"id", "b"}}}}}, 200);
  ask("PUT", "/v1/users/{id}", "/v1/users/u", {{"features", {{"user_id", user}}}}, 200);
  ask("GET", "/v1/users", "/v1/users?prefix=u1&limit=3", nullptr, 200);
  ask("GET", "/v1/users", "/v1/users?limit=none", nullptr, 400);
  ask("GET", "/v1/users", "/v1/users?model=none", nullptr, 404);
  ask("GET", "/v1/users/{id}", "/v1/users/" + user + "?model=m", nullptr, 200);
  ask("GET", "/v1/users/{id}", "/v1/users/nobody", nullptr, 404);
  ask("GET", "/", "/", nullptr, 200);
  ask("GET", "/page/{file}", "/page/page.css", nullptr, 200);
  ask("GET", "/page/{file}", "/page/none", nullptr, 404);
  ask("POST", "/v1/users/{id}/events", "/v1/users/u/events", {{"item", item}, {"seconds", 30}},
      202);
  ask("POST", "/v1/users/{id}/events", "/v1/users/u/events", {{"events", {{{"item", item}}}}}, 202);
  ask("GET", "/v1/users/{id}/events", "/v1/users/u/events", nullptr, 200);
  retrieve({{"user", "u"}, {"k", 2}}, 200);  // known by what they did
  ask("GET", "/healthz", "/healthz", nullptr, 200);
  ask("GET", "/readyz", "/readyz", nullptr, 200);
  ask("GET", "/metrics", "/metrics", nullptr, 200);
  for (const Route& route : server_.server().routes())
    EXPECT_TRUE(asked_.contains(route.method + " " + route.pattern)) << route.pattern;
}

}  // namespace
}  // namespace retort
