#include "tests/study/abtest_platform.h"

#include "tests/study/taste_bundle.h"

#include "retort/common/recipe.h"
#include "retort/dataset/builder.h"
#include "retort/sim/simulate.h"

namespace retort {
namespace {

/// The dataset of a row, with nothing but ids as features.
void ingest_ids(const std::string& row, const fs::path& world, const fs::path& out) {
  Json recipe = load_recipe(find_recipe("long_video_" + row, "data"), "", {});
  recipe["attribution"]["cut"] = "paper";  // six days leave no window of seven before the test
  recipe["features"] = id_features();
  ingest(recipe, {.from = world, .out = out, .seed = {}});
}

}  // namespace

const Platform& Platform::get() {
  static const Platform platform;
  return platform;
}

Platform::Platform() {
  const Json world{{"kind", "long_video"},  {"users", 300},  {"tv", 100},
                   {"movies", 120},         {"days", kDays}, {"seed", 11},
                   {"births_per_day", 0.02}};
  simulate(Json{{"world", world}}, {.out = scratch_ / "world", .seed = {}});
  oracle_ = std::make_unique<LongVideoOracle>(scratch_ / "world");
  const int64_t midnight = oracle_->world().start + kTestDay * kMicrosADay;
  for (const std::string row : {"tv", "movies"}) {
    ingest_ids(row, scratch_ / "world", scratch_ / ("dataset_" + row));
    const Dataset dataset(scratch_ / ("dataset_" + row));
    publish(dataset, "taste_" + row, true, midnight);
    publish(dataset, "random_" + row, false, midnight);
    if (row == "tv") publish(dataset, "late_tv", false, {});
  }
}

void Platform::publish(const Dataset& dataset, const std::string& name, bool taste,
                       std::optional<int64_t> moment) const {
  const TasteVectors vectors{[&](std::string_view key) { return oracle_->find_user(key); },
                             [&](std::string_view key) { return oracle_->find_item(key); },
                             oracle_->world().click_taste.data(), oracle_->world().phi.data()};
  publish_taste(dataset, scratch_.path(), name, taste ? &vectors : nullptr, moment);
}

/// A recipe of two arms; bundles by name, "" for none.
Json two_arms(const std::string& control, const std::string& treatment, bool movies) {
  const auto arm = [&](const std::string& name, const std::string& bundle) {
    Json json{{"name", name}, {"tv", Platform::get().bundle(bundle + "_tv")}};
    if (movies) json["movies"] = Platform::get().bundle(bundle + "_movies");
    return json;
  };
  return Json{{"name", "test"},
              {"world", Platform::get().world().string()},
              {"channels", {{"personalised", 15}, {"popular", 6}, {"co_play", 6}, {"new", 3}}},
              {"bootstrap", {{"resamples", 200}}},
              {"nktd_at", 30},
              {"arms", {arm("control", control), arm("treatment", treatment)}}};
}

}  // namespace retort
