// Parquet files of exposures and events: what their columns are, and how they come to be.
#pragma once

#include <deque>

#include "retort/server/exposure_log.h"

namespace retort {

/// Write a file whole or not at all: under another name, synced, renamed. Throw IoError or
/// DataError.
/// An answer a row: request_id, user_id (null where unknown), time, model, version, arm (null where
/// the request named its model) and, from the top position down, the lists items, channels (null:
/// all are personal), scores and propensities (of this item at this position). A row an item would
/// cost more than twice the time.
void write_parquet(const fs::path& path, const std::deque<Exposure>& exposures);
/// user_id, item_id, time, clicked, seconds (null where unknown), stream (null: the clicks).
void write_parquet(const fs::path& path, const std::deque<LoggedEvent>& events);

}  // namespace retort
