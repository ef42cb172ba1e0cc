#include "retort/server/stored_event.h"

#include <cmath>

namespace retort {

Json to_json(const UserEvent& event) {
  Json json{{"item", event.item}, {"time", event.time}};
  if (!event.clicked) json["clicked"] = false;
  if (!std::isnan(event.seconds)) json["seconds"] = event.seconds;
  if (!event.stream.empty()) json["stream"] = event.stream;
  return json;
}

std::optional<UserEvent> event_from_json(const Json& json) {
  try {
    UserEvent event;
    event.item = json.at("item").get<std::string>();
    event.time = json.at("time").get<int64_t>();
    event.clicked = json.value("clicked", true);
    event.seconds = json.value("seconds", event.seconds);
    event.stream = json.value("stream", "");
    return event;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

std::optional<UserEvent> event_from_text(std::string_view text) {
  return event_from_json(Json::parse(text, nullptr, /*allow_exceptions=*/false));
}

}  // namespace retort
