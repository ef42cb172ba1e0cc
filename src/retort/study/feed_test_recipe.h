// What `retort abtest` replays in a simulated feed: a recipe of recipes/abtest/ with kind = "feed".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "retort/common/file.h"
#include "retort/common/json.h"
#include "retort/metric/bootstrap.h"
#include "retort/study/off_policy.h"

namespace retort {

/// Who orders the candidates of every arm: nobody (their own order), expected clicks, or expected
/// clicks times seconds.
enum class FeedRanker : uint8_t { kNone, kCtr, kCtrDwell };
inline constexpr std::string_view kFeedRankers[] = {"none", "ctr", "ctr_dwell"};

/// Where an arm's candidates come from: a bundle, or the truth of the world.
struct FeedArmRecipe {
  std::string name;
  fs::path bundle{};                  // what `retort publish` filled, or one version of it
  std::optional<double> fusion{};     // instead of the bundle's own
  std::string oracle{};               // "click" | "value": by p_click, or p_click E[seconds]
  std::optional<double> published{};  // seconds an impression that a publication states
};

struct FeedTestRecipe {
  std::string name;
  fs::path world;  // what `retort simulate feed` wrote; empty: estimates from `log` alone
  fs::path log;    // see ImpressionLog; instead of a world
  std::optional<int32_t> day;         // of the world, from 0; absent: its last
  std::optional<int64_t> since;       // of a log alone: absent: the moment of the newest bundle
  std::optional<int32_t> candidates;  // K of an arm; absent: 2.5 % of the items, 2 slates at least
  int32_t slots = 10;                 // of a log alone; a world has its own
  bool exclude_seen = false;          // what a user has clicked before is no candidate
  double read_seconds = 50;           // a read is a click longer than this
  std::vector<FeedRanker> rankers{FeedRanker::kNone, FeedRanker::kCtr, FeedRanker::kCtrDwell};
  bool counterfactual = true;
  SlotMatch match = SlotMatch::kAny;
  BootstrapOptions bootstrap{.resamples = 1000};
  std::vector<FeedArmRecipe> arms;  // the first is the control
};

/// Whether a resolved recipe has kind = "feed". Throws ConfigError on another kind than "feed" and
/// "long_video", which is that of a recipe without the key.
bool is_feed_test(const Json& recipe);

/// Reads a resolved recipe (docs/abtest.md). Relative paths of bundles start at `bundles`. Throws
/// ConfigError naming key, value and remedy.
FeedTestRecipe read_feed_test_recipe(const Json& recipe, const fs::path& bundles = {});

}  // namespace retort
