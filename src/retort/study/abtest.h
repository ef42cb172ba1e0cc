// `retort abtest`: the online test of retrieval models, replayed in a simulated platform of series
// and movies. Arms differ in their personalised channel alone and meet the same luck.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "retort/common/json.h"
#include "retort/study/abtest_recipe.h"
#include "retort/study/abtest_section.h"

namespace retort {

struct AbTestResult {
  std::string name, world;
  int32_t day = 0;
  int64_t midnight = 0;  // of the day, microseconds since 1970
  int64_t users = 0;     // who opened the platform on it
  Json arms;             // [{"name", "tv": {"bundle", "model", "version", "moment", "fusion"}}]
  std::vector<AbSection> sections;  // rows of the home page, and "platform": all viewing
  std::vector<std::string> notes;
};

/// Replays the day for every user who opens the platform on it. All that arms, channels and ranker
/// know is the log before the day; the ranker sees no arm's output. Metrics of a row, per user who
/// opened unless said otherwise; "expected_" before the first three: free of the luck of clicks and
/// watching, given the slates:
///   local_minutes  first playbacks inside the row     dwm  minutes of its discoveries in 7 days
///   ctr  clicks / impressions                         nktd@N  of the arm's own top N and the
///   ranker exposure_CHANNEL  share of impressions whose show the channel offered
/// platform: platform_minutes (all viewing within seven days of the opening), dwm of all rows, and
/// both expected. Source: RRA sec. 5.4; methods B8, E3 (principles), E4 (laws).
/// Throws ConfigError, DataError, Interrupted.
AbTestResult run_abtest(const AbTestRecipe& recipe);

/// {"name", "world", "day", "date", "users", "arms", "sections": {NAME: {"models": {ARM: {METRIC:
/// {"value", "low", "high"}}}, "differences": [{"metric", "arm", "value", "low", "high",
/// "relative": {..}, "verdict", "published", "claim"}]}}, "notes"}
Json to_json(const AbTestResult& result);
/// One table a section and arm against the control.
std::string table(const AbTestResult& result);

}  // namespace retort
