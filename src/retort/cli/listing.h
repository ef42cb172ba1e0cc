// The tables that `list` prints: what there is of a kind, what it does and where it comes from.
#pragma once

#include <string_view>
#include <vector>

#include "retort/cli/command.h"

namespace retort {

struct ListedEntry {
  std::string_view name, summary, source;
};

/// {"KIND": [{"name", "summary", "source"}]} and the same as text.
Answer list_answer(std::string_view kind, const std::vector<ListedEntry>& entries);

}  // namespace retort
