#include "retort/cli/listing.h"

#include <algorithm>
#include <string>

#include <fmt/format.h>

namespace retort {

Answer list_answer(std::string_view kind, const std::vector<ListedEntry>& entries) {
  size_t width = 0;
  for (const ListedEntry& entry : entries) width = std::max(width, entry.name.size());
  Answer answer;
  Json rows = Json::array();
  for (const ListedEntry& entry : entries) {
    rows.push_back({{"name", entry.name}, {"summary", entry.summary}, {"source", entry.source}});
    answer.text += fmt::format("{:<{}}  {}\n{:<{}}  Source: {}\n", entry.name, width, entry.summary,
                               "", width, entry.source);
  }
  answer.json[std::string(kind)] = std::move(rows);
  return answer;
}

}  // namespace retort
