#include "tests/study/feed_platform.h"

#include "tests/study/taste_bundle.h"

#include "retort/common/recipe.h"
#include "retort/dataset/builder.h"
#include "retort/log/days.h"
#include "retort/sim/simulate.h"

namespace retort {

const FeedPlatform& FeedPlatform::get() {
  static const FeedPlatform platform;
  return platform;
}

int64_t FeedPlatform::midnight() const { return oracle_->world().start + kLastDay * kDay; }

FeedPlatform::FeedPlatform() {
  Json world{{"users", 200}, {"items", 120}, {"days", 4}, {"seed", 3}, {"read_noise", 1.0}};
  simulate(Json{{"world", world}}, {.out = scratch_ / "world", .seed = {}});
  world["variant"] = "null";
  world.erase("read_noise");
  simulate(Json{{"world", world}}, {.out = scratch_ / "null", .seed = {}});
  oracle_ = std::make_unique<Oracle>(scratch_ / "world");

  Json recipe = load_recipe(find_recipe("feed", "data"), "", {});
  recipe["features"] = id_features();
  ingest(recipe, {.from = scratch_ / "world", .out = scratch_ / "dataset", .seed = {}});
  const Dataset dataset(scratch_ / "dataset");
  const World& truth = oracle_->world();
  const TasteVectors vectors{[&](std::string_view key) { return oracle_->find_user(key); },
                             [&](std::string_view key) { return oracle_->find_item(key); },
                             truth.click_taste_of(0, kLastDay), truth.phi.data()};
  publish_taste(dataset, scratch_.path(), "taste", &vectors, midnight());
  publish_taste(dataset, scratch_.path(), "random", nullptr, midnight());
  publish_taste(dataset, scratch_.path(), "late", nullptr, {});
  publish_taste(dataset, scratch_.path(), "late_weights", nullptr, midnight(), midnight() + 1);
}

Json feed_arms(const std::vector<std::pair<std::string, std::string>>& arms) {
  Json json{{"name", "test"},
            {"kind", "feed"},
            {"world", FeedPlatform::get().world().string()},
            {"candidates", 25},
            {"counterfactual", {{"enabled", false}}},
            {"bootstrap", {{"resamples", 200}}},
            {"arms", Json::array()}};
  for (const auto& [name, source] : arms) {
    if (source.starts_with("oracle:"))
      json["arms"].push_back({{"name", name}, {"oracle", source.substr(7)}});
    else
      json["arms"].push_back({{"name", name}, {"bundle", source}});
  }
  return json;
}

}  // namespace retort
