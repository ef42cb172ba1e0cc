// The users and items of a dataset: the tables `users` and `items` in DuckDB, in the order of
// their keys, every entity of the events and of the feature tables in one row each.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "retort/dataset/builder_recipe.h"

namespace retort {

/// What the table of one side holds beside id and key.
struct EntityTable {
  std::string name;                  // "users" or "items"
  std::vector<std::string> filters;  // columns of the items table kept as f0, f1, ..
  std::vector<bool> filter_is_number;
  bool published = false;   // column `published`, microseconds or NULL
  bool candidates = false;  // column `is_candidate`
  std::map<std::string, int64_t> rejected;
};

/// Reads the feature table of a side, if the recipe has one, into SIDE_table(key, a0.., f0.., ..):
/// rows without key, with a key seen before or with a number that does not parse are rejects.
/// Sets `column` of the side's attribute features.
EntityTable read_entity_table(DuckDb& db, DataRecipe& recipe, Side side, const fs::path& from);

/// Numbers all entities: users(id, key, logged, ..) and items(id, key, logged, ..), ids by key;
/// `logged` is the key as the table `events` and the tables of streams have it, NULL where it does
/// not occur there. With the table SIDE_before(id, key), these keep their numbers and the others
/// come after them.
void number_entities(DuckDb& db, const EntityTable& table,
                     const std::vector<StreamSource>& streams);

/// Writes SIDE.key, items.published, items.candidate and items.attr.*. Throws DataError if no item
/// is a candidate.
void write_entities(DuckDb& db, const EntityTable& table, const fs::path& folder);

}  // namespace retort
