// What `retort abtest` replays: a recipe of recipes/abtest/ names the arms, the quotas of the
// channels and, beside them, what a publication measured.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "retort/common/file.h"
#include "retort/common/json.h"
#include "retort/metric/bootstrap.h"
#include "retort/sim/long_video_world.h"

namespace retort {

/// The rows of the home page by ShowType, as recipes and results call them.
inline constexpr std::string_view kAbTestRows[] = {"tv", "movies"};

/// Where candidates come from. Only the first differs between arms.
enum class Channel : uint8_t { kPersonalised, kPopular, kCoPlay, kNew };
inline constexpr std::string_view kChannelNames[] = {"personalised", "popular", "co_play", "new"};
inline constexpr size_t kChannels = std::size(kChannelNames);

struct ChannelOptions {
  std::array<int32_t, kChannels> quota{40, 20, 20, 5};  // candidates of a request, by Channel
  int64_t trailing = 86'400'000'000;  // of popularity: microseconds before the test day
  int32_t last_played = 20;           // shows of the user that co-play starts from
};

/// The personalised channel of one row in one arm: a bundle or an oracle.
struct ArmSource {
  fs::path bundle{};               // what `retort publish` filled, or one version of it
  std::optional<double> fusion{};  // instead of the bundle's own
  std::string oracle{};  // "click" | "minutes": by p_click, or p_click E[DWM], of the world
};
struct AbTestArm {
  std::string name;
  std::array<std::optional<ArmSource>, 2> rows;  // by ShowType
};

struct AbTestRecipe {
  std::string name;
  fs::path world;              // what `retort simulate` wrote
  std::optional<int32_t> day;  // of the world, from 0; absent: the first that no bundle has seen
  ChannelOptions channels;
  int32_t nktd_at = 300;
  BootstrapOptions bootstrap{.resamples = 1000};
  std::vector<AbTestArm> arms;  // the first is the control
  /// Relative differences from the control that a publication states, by row ("tv", "movies",
  /// "platform") and metric.
  std::map<std::string, std::map<std::string, double>> published;

  /// The rows that are replayed, of every arm alike.
  bool has_row(ShowType type) const;
};

/// Reads a resolved recipe (docs/abtest.md). Relative paths of bundles start at `bundles`. Throws
/// ConfigError naming key, value and remedy.
AbTestRecipe read_abtest_recipe(const Json& recipe, const fs::path& bundles = {});

}  // namespace retort
