// The parts of a bundle that are copied or computed from the dataset: keys, vocabularies, user
// features as of the moment, seen items, item attributes, which items may be
// recommended and which are alive.
#pragma once

#include <cstdint>
#include <vector>

#include "retort/common/file.h"
#include "retort/common/json.h"
#include "retort/dataset/assembler.h"
#include "retort/dataset/dataset.h"

namespace retort {

void write_keys(const Dataset& dataset, const fs::path& folder);
/// Writes the texts of the vocabularies that the schema names; returns the manifest's table
/// {name: {"rows", "hashed_rows"}}.
Json write_vocabularies(const Dataset& dataset, const fs::path& folder);
/// Ids and dense values of every user at the moment, streamed.
void write_user_features(const Dataset& dataset, const Assembler& assembler, int64_t moment,
                         const fs::path& folder);
/// Distinct items each user clicked before the moment, or has an event of in the protocol's
/// exclude_streams, ascending.
void write_seen_items(const Dataset& dataset, int64_t moment, const fs::path& folder);
/// Columns items.attr.* of the dataset, and its categorical and bag item features with texts that
/// none of those is named like. Returns the manifest's table {name: "text" | "number"}.
Json write_attributes(const Dataset& dataset, const fs::path& folder);
/// One byte an item: 1 where it may be recommended at all.
void write_candidates(const Dataset& dataset, const fs::path& folder);
/// One byte an item: 1 where anyone clicked it in the alive window before the moment.
void write_alive(const Dataset& dataset, int64_t moment, const fs::path& folder);
/// Clicks of each item in the alive window before the moment. [items]
std::vector<int64_t> alive_clicks(const Dataset& dataset, int64_t moment);

}  // namespace retort
