#include "tests/study/abtest_platform.h"

#include <algorithm>

#include "tests/bundle/tiny_bundle.h"

#include "retort/common/recipe.h"
#include "retort/dataset/assembler.h"
#include "retort/dataset/builder.h"
#include "retort/encoder/tower_encoder.h"
#include "retort/sim/simulate.h"

namespace retort {
namespace {

/// The dataset of a row, with nothing but ids as features.
void ingest_ids(const std::string& row, const fs::path& world, const fs::path& out) {
  Json recipe = load_recipe(find_recipe("long_video_" + row, "data"), "", {});
  recipe["attribution"]["cut"] = "paper";  // six days leave no window of seven before the test
  recipe["features"] = Json::array();
  for (const char* side : {"user", "item"})
    recipe["features"].push_back({{"name", std::string(side) + "_id"},
                                  {"side", side},
                                  {"kind", "categorical"},
                                  {"column", side},
                                  {"min_count", 0}});
  ingest(recipe, {.from = world, .out = out, .seed = {}});
}

/// Copies rows of 16 into the rows of a table that the dataset's features look up.
template <class Find>
void fill_table(const SideBatch& batch, const Strings& keys, const Find& find,
                const std::vector<float>& from, std::vector<float>& table) {
  for (int64_t row = 0; row < keys.size(); ++row)
    std::copy_n(from.begin() + *find(keys[row]) * 16, 16,
                table.begin() + batch.sparse[0].ids[static_cast<size_t>(row)] * 16);
}

void put_tastes(const Dataset& dataset, const LongVideoOracle& oracle, Weights& weights) {
  std::vector<UserMoment> users;
  std::vector<ItemMoment> items;
  for (int32_t user = 0; user < dataset.users(); ++user) users.push_back({user, 0, -1});
  for (int32_t item = 0; item < dataset.items(); ++item) items.push_back({item, 0});
  SideBatch user_rows, item_rows;
  const Assembler assembler(dataset);
  assembler.users(users, user_rows);
  assembler.items(items, item_rows);
  fill_table(
      user_rows, dataset.user_keys(), [&](std::string_view key) { return oracle.find_user(key); },
      oracle.world().click_taste, weights.at("user.user_id.weight"));
  fill_table(
      item_rows, dataset.item_keys(), [&](std::string_view key) { return oracle.find_item(key); },
      oracle.world().phi, weights.at("item.item_id.weight"));
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
  ModelSpec spec;
  spec.user = {"user", make_input(dataset.schema(), Side::kUser, "user", 16, false)};
  spec.item = {"item", make_input(dataset.schema(), Side::kItem, "item", 16, false)};
  Weights weights = random_weights(spec, 5);
  if (taste) put_tastes(dataset, *oracle_, weights);
  BundleContents contents;
  contents.model = name;
  contents.spec = spec;
  contents.weights = scratch_ / (name + ".safetensors");
  save_weights(spec, weights, contents.weights);
  const TowerEncoder towers(spec, std::make_shared<SafetensorsFile>(contents.weights));
  contents.dataset = &dataset;
  contents.towers = &towers;
  contents.moment = moment;
  publish_bundle(contents, scratch_ / name);
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
