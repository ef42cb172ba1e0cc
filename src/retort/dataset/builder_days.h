// Adding days to a dataset: the log it keeps, and what it settles for the dataset that follows it.
// Numbers of users, items and rows of vocabularies stay, new ones come after them; the threshold of
// reads and the fitted transforms stay too, so that a model trained on it can go on learning.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "retort/dataset/builder_recipe.h"
#include "retort/dataset/builder_tables.h"

namespace retort {

/// A dataset with a kept log, to which days are added.
struct DatasetBefore {
  fs::path folder;
  Json manifest;
  Schema schema;
};
/// Throws DataError where the dataset keeps no log, ConfigError naming what in the recipe is
/// another than the dataset's.
DatasetBefore open_before(const fs::path& folder, const Json& recipe);

/// First and last day with an event, as days are told apart in UTC.
struct LogDays {
  DayRange all, added;  // added: all of them without a dataset before
  int64_t events_added = 0;
};
/// Throws DataError naming the day: one that is there already, one before the end of the log, or
/// days without data in between (unless `allow_gap`). nullopt for a log without time.
std::optional<LogDays> find_days(DuckDb& db, const Events& events, const DatasetBefore* before,
                                 bool allow_gap);

/// Writes log.events.parquet, log.stream_NAME.parquet: the good rows as `map_events` takes them
/// back.
void keep_events(DuckDb& db, const std::vector<StreamSource>& streams, const fs::path& folder);
/// Writes log.users.parquet and log.items.parquet: numbered entities with their attributes.
void keep_entities(DuckDb& db, const EntityTable& table, const fs::path& folder);
/// Rows of the kept tables whose keys are not in the new ones: what a day does not repeat stays.
void restore_entities(DuckDb& db, const EntityTable& table, const DatasetBefore& before);

/// Transforms as they were fitted then.
void keep_transforms(const DatasetBefore& before, std::vector<FeatureEntry>& entries);

/// [{"sha256", "users", "items", "trained_until", "days"}, ..]: the datasets it grew from, oldest
/// first. trained_until: the moment where the training rows of one ended.
Json lineage_after(const DatasetBefore& before);

}  // namespace retort
