// Features of a user who is not in the log, from a JSON object: what `--features FILE.json` and a
// server's request carry.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "retort/bundle/bundle.h"
#include "retort/common/json.h"
#include "retort/dataset/batch.h"

namespace retort {

struct RawUser {
  SideBatch features;         // one row, in the order of the bundle's schema
  std::vector<int32_t> seen;  // items named by sequences of item keys that count as seen, ascending
  std::vector<std::string> seen_others{};  // keys among these that are not the bundle's, ascending
};

/// {"user_id": "u7", "segment": "sports", "history": ["a1", "a2"], "history.seconds": [12, 80.5],
///  "hour": 7, "weekday": 0, "age": 31.5, "topics": ["x", "y"]}: keys are the names of the user
/// features. Texts (or whole numbers, read as their digits) are looked up in the feature's
/// vocabulary; unknown ones give row 0. Sequences are newest first, beyond the feature's length
/// they are cut; their side information is seconds read, or seconds since the click ("age"). hour
/// is 0 to 23, weekday 0 (Monday) to 6. Dense and bucketed features take raw numbers (a list if
/// the feature is several wide). Absent or null features are missing; beside a sequence that is
/// there, at each of its steps.
/// Throws DataError naming the feature: unknown (with the nearest name), of a wrong type or range,
/// or a side sequence of another length than its sequence.
RawUser raw_user(const Bundle& bundle, const Json& features);

/// Throws as raw_user for names the model does not have and side sequences of another length.
void check_user_features(const Schema& schema, const Json& features);
/// Whether the feature is a sequence of item keys.
bool lists_item_keys(const Schema& schema, const FeatureSpec& spec);
/// The fields of a model's sequence stand step by step beside each other: one that is absent is
/// missing (row 0) at every step. Throws DataError naming features of different lengths.
void align_sequences(const TowerSpec& tower, SideBatch& user);
/// Adds an item to those seen; sort_seen makes them ascending and unique afterwards.
void add_seen(const Bundle& bundle, std::string_view key, RawUser& user);
void sort_seen(RawUser& user);

/// The row of `one` below those of `all`, which has none at first.
void append_row(SideBatch& all, const SideBatch& one);

}  // namespace retort
