#include "retort/study/feed_test_recipe.h"

#include <algorithm>

#include "retort/common/error.h"
#include "retort/common/recipe.h"
#include "retort/common/text.h"

namespace retort {
namespace {

FeedArmRecipe read_feed_arm(const Json& entry, const fs::path& bundles) {
  FeedArmRecipe arm;
  Fields fields(Json{{"arms", entry}}, "arms");
  fields.read("name", arm.name);
  std::string bundle;
  fields.read("bundle", bundle);
  for (const char* key : {"fusion", "oracle", "published"}) fields.sub(key);
  if (fields.has("fusion")) fields.read("fusion", arm.fusion.emplace());
  if (fields.has("oracle")) fields.read_choice("oracle", arm.oracle, {"click", "value"});
  if (fields.has("published")) fields.read("published", arm.published.emplace());
  fields.finish();
  if (arm.name.empty()) fail<ConfigError>("recipe key 'arms.name': an arm has no name");
  if (bundle.empty() == arm.oracle.empty())
    fail<ConfigError>("arm '{}': give it bundle = \"BUNDLES\" or oracle = \"value\"", arm.name);
  if (arm.fusion && (bundle.empty() || !(*arm.fusion >= 0 && *arm.fusion <= 1)))
    fail<ConfigError>("arm '{}': fusion = {} is of a bundle, 0 to 1", arm.name, *arm.fusion);
  if (arm.published && !(*arm.published > 0))
    fail<ConfigError>("arm '{}': published = {}: seconds an impression, above 0", arm.name,
                      *arm.published);
  if (!bundle.empty())
    arm.bundle = fs::path(bundle).is_absolute() ? fs::path(bundle) : bundles / bundle;
  return arm;
}

void read_feed_arms(const Json& arms, const fs::path& bundles, FeedTestRecipe& recipe) {
  if (!arms.is_array() || arms.empty())
    fail<ConfigError>("recipe key 'arms': write tables [[arms]], the control first");
  for (const Json& entry : arms) {
    FeedArmRecipe arm = read_feed_arm(entry, bundles);
    for (const FeedArmRecipe& earlier : recipe.arms)
      if (earlier.name == arm.name)
        fail<ConfigError>("recipe key 'arms.name' = '{}': two arms have it", arm.name);
    if (!arm.oracle.empty() && recipe.world.empty())
      fail<ConfigError>("arm '{}': oracle = '{}' needs a world (--world); a log has no truth",
                        arm.name, arm.oracle);
    recipe.arms.push_back(std::move(arm));
  }
}

void read_feed_rankers(const Json& names, FeedTestRecipe& recipe) {
  if (names.is_null()) return;
  recipe.rankers.clear();
  if (!names.is_array()) fail<ConfigError>("recipe key 'rankers': write [\"none\", \"ctr\"]");
  for (const Json& name : names) {
    const auto* const at = std::find(std::begin(kFeedRankers), std::end(kFeedRankers),
                                     name.is_string() ? name.get<std::string>() : "");
    if (at == std::end(kFeedRankers))
      fail<ConfigError>("recipe key 'rankers': {} is none of none, ctr, ctr_dwell", name.dump());
    const auto ranker = static_cast<FeedRanker>(at - std::begin(kFeedRankers));
    if (std::find(recipe.rankers.begin(), recipe.rankers.end(), ranker) == recipe.rankers.end())
      recipe.rankers.push_back(ranker);
  }
  if (recipe.rankers.empty()) fail<ConfigError>("recipe key 'rankers': names none");
}

void check_feed_numbers(const FeedTestRecipe& recipe) {
  if (recipe.slots < 1 || recipe.slots > 1000)
    fail<ConfigError>("recipe key 'slots' = {}: expected 1 to 1000", recipe.slots);
  if (recipe.candidates && *recipe.candidates < 1)
    fail<ConfigError>("recipe key 'candidates' = {}: expected 1 or more", *recipe.candidates);
  if (!(recipe.read_seconds > 0))
    fail<ConfigError>("recipe key 'read_seconds' = {}: expected more than 0", recipe.read_seconds);
  if (recipe.bootstrap.resamples < 2)
    fail<ConfigError>("recipe key 'bootstrap.resamples' = {}: expected 2 or more",
                      recipe.bootstrap.resamples);
}

}  // namespace

bool is_feed_test(const Json& recipe) {
  const Json kind = recipe.value("kind", Json("long_video"));
  if (kind != "feed" && kind != "long_video")
    fail<ConfigError>("recipe key 'kind' = {}: expected \"feed\" or \"long_video\"", kind.dump());
  return kind == "feed";
}

FeedTestRecipe read_feed_test_recipe(const Json& recipe, const fs::path& bundles) {
  FeedTestRecipe read;
  Fields fields(recipe, "");
  fields.sub("kind");
  fields.read("name", read.name);
  std::string world, log;
  fields.read("world", world);
  fields.read("log", log);
  read.world = world;
  read.log = log;
  for (const char* key : {"day", "since", "candidates"}) fields.sub(key);
  if (fields.has("day")) fields.read("day", read.day.emplace());
  if (fields.has("since")) {
    std::string since;
    fields.read("since", since);
    read.since = parse_moment(since, "recipe key 'since'");
  }
  if (fields.has("candidates")) fields.read("candidates", read.candidates.emplace());
  fields.read("slots", read.slots);
  fields.read("exclude_seen", read.exclude_seen);
  fields.read("read_seconds", read.read_seconds);
  read_feed_rankers(fields.sub("rankers"), read);
  const Json& arms = fields.sub("arms");
  for (const char* table : {"counterfactual", "bootstrap"}) fields.sub(table);
  fields.finish();
  if (read.world.empty() && read.log.empty())
    fail<ConfigError>(
        "recipe key 'world' is missing: name the simulated feed or give --world; or --log for "
        "estimates from a log alone");
  if (!read.world.empty() && (!read.log.empty() || read.since))
    fail<ConfigError>("recipe key '{}' is of a log alone, and there is the world {}; leave one out",
                      read.log.empty() ? "since" : "log", read.world.string());
  if (read.world.empty() && read.day)
    fail<ConfigError>("recipe key 'day' is of a world; of a log alone set 'since'");
  read_feed_arms(arms, bundles, read);
  Fields counterfactual(recipe, "counterfactual");
  counterfactual.read("enabled", read.counterfactual);
  std::string match = "any";
  counterfactual.read_choice("slots", match, {"same", "any"});
  counterfactual.finish();
  if (read.world.empty() && !read.counterfactual)
    fail<ConfigError>(
        "recipe key 'counterfactual.enabled' = false: of a log alone nothing else can be said");
  read.match = match == "any" ? SlotMatch::kAny : SlotMatch::kSame;
  Fields bootstrap(recipe, "bootstrap");
  bootstrap.read("resamples", read.bootstrap.resamples);
  bootstrap.read("seed", read.bootstrap.seed);
  bootstrap.finish();
  check_feed_numbers(read);
  return read;
}

}  // namespace retort
