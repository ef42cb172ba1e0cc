// A log of several days, each with new users and items, that ingest reads and models can learn.
#pragma once

#include <string>

#include "retort/common/file.h"
#include "retort/common/json.h"

namespace retort {

/// Day number `day`, from 0: "2024-03-04", "2024-03-05", ..
std::string growing_day(int day);

/// Writes log.csv, `rows` clicks a day, and feed.toml, its data recipe, into the folder. Users
/// click the items of their own half (even or odd) four times in five and read them long.
void write_growing_feed(const fs::path& folder, int days, int rows = 200);

/// feed.toml, resolved.
Json growing_recipe(const fs::path& folder);

}  // namespace retort
