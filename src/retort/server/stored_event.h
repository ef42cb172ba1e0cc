// Events of users as the texts that stores keep.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "retort/common/json.h"
#include "retort/encoder/user_events.h"

namespace retort {

/// {"item", "time"} and, where they are not the default, "clicked", "seconds", "stream".
Json to_json(const UserEvent& event);
/// nullopt for anything else.
std::optional<UserEvent> event_from_json(const Json& json);
std::optional<UserEvent> event_from_text(std::string_view text);

}  // namespace retort
