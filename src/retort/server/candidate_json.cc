#include "retort/server/candidate_json.h"

#include <algorithm>
#include <charconv>

#include "retort/common/json.h"

namespace retort {
namespace {

void append_number(std::string& json, float value) {
  char number[32];
  json.append(number, std::to_chars(number, number + sizeof(number), value).ptr);
}

void append_channels(std::string& json, const Candidate& item) {
  const auto own = static_cast<size_t>(item.channel);
  json.append(",\"channels\":[\"").append(kChannelNames[own]).append(1, '"');
  for (size_t other = 0; other < kChannels; ++other)
    if (other != own && ((item.found_by >> other) & 1) != 0)
      json.append(",\"").append(kChannelNames[other]).append(1, '"');
  json += ']';
}

}  // namespace

void append_text(std::string& json, std::string_view text) {
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) {
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
  });
  if (plain)
    json.append(1, '"').append(text).append(1, '"');
  else
    json += Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

void append_items(std::string& json, const std::vector<Candidate>& items, CandidateKeys keys) {
  json += "\"items\":[";
  for (const Candidate& item : items) {
    if (&item != items.data()) json += ',';
    json += "{\"id\":";
    append_text(json, item.id);
    json += ",\"score\":";
    append_number(json, item.score);
    if (keys.channels) append_channels(json, item);
    if (keys.propensity) {
      json += ",\"propensity\":";
      append_number(json, item.propensity);
    }
    json += '}';
  }
  json += ']';
}

}  // namespace retort
