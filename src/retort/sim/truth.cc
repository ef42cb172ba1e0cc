#include "retort/sim/truth.h"

#include <string>

#include <fmt/format.h>

#include "retort/common/error.h"
#include "retort/dataset/columns.h"
#include "retort/sim/world_folder.h"

namespace retort {
namespace {

constexpr int kVersion = 1;

/// Calls visit(column name, vector, elements it must have) for every column of the truth.
template <class Visit>
void visit_columns(World& world, Masses& masses, const Visit& visit) {
  const auto users = static_cast<size_t>(world.options.users);
  const auto items = static_cast<size_t>(world.options.items);
  const auto days = static_cast<size_t>(world.options.days);
  const auto dim = static_cast<size_t>(world.options.dimensions);
  visit("item.phi", world.phi, items * dim);
  visit("item.quality", world.quality, items);
  visit("item.title", world.title, items);
  visit("item.length", world.length, items);
  visit("item.log_popularity", world.log_popularity, items);
  visit("item.category", world.category, items);
  visit("item.author", world.author, items);
  visit("item.birth", world.birth, items);
  visit("item.title_style", world.title_style, items);
  visit("item.length_bucket", world.length_bucket, items);
  visit("item.published", world.published, items);
  visit("item.click_bait", world.click_bait, items);
  visit("day.alive", world.alive, days);
  visit("user.click_taste", world.click_taste, days * users * dim);
  visit("user.read_taste", world.read_taste, users * dim);
  visit("user.policy_noise", world.policy_noise, users * dim);
  visit("user.activity", world.activity, users);
  visit("user.title_taste", world.title_taste, users);
  visit("user.bias", world.user_bias, users);
  visit("user.patience", world.patience, users);
  visit("user.segment", world.segment, users);
  visit("user.region", world.region, users);
  visit("day.hotness", world.hotness, days * static_cast<size_t>(world.options.categories));
  visit("mass.normaliser", masses.normaliser, days * users);
  visit("mass.user", masses.user, days * users);
  visit("mass.item", masses.item, days * items);
  visit("mass.total", masses.total, days);
}

}  // namespace

void write_truth(const fs::path& folder, const World& world, const Masses& masses) {
  // The visitor only reads here; the same list of columns serves reading, which fills them.
  visit_columns(const_cast<World&>(world), const_cast<Masses&>(masses), column_writer(folder));
  write_manifest(folder, Json{{"format", "retort-truth"},
                              {"version", kVersion},
                              {"options", to_json(world.options)},
                              {"constants_sha256", constants_hash(world.options)},
                              {"click_bias", world.click_bias},
                              {"read_bias", world.read_bias},
                              {"read_noise", world.read_noise},
                              {"start", world.start}});
}

Truth read_truth(const fs::path& folder) {
  const Json manifest = read_manifest(folder);
  const std::string path = (folder / "manifest.json").string();
  if (manifest.value("format", "") != "retort-truth" || manifest.value("version", 0) != kVersion) {
    fail<DataError>(
        "{}: this is not the truth of a simulated world of version {}; give the folder "
        "that `retort simulate` wrote",
        path, kVersion);
  }
  Truth truth;
  World& world = truth.world;
  try {
    world.options = world_options_from_json(manifest.at("options"));
    world.click_bias = manifest.at("click_bias").get<double>();
    world.read_bias = manifest.at("read_bias").get<double>();
    world.read_noise = manifest.at("read_noise").get<double>();
    world.start = manifest.at("start").get<int64_t>();
  } catch (const nlohmann::json::exception& error) {
    fail<DataError>("{}: {}", path, error.what());
  }
  const Columns columns(folder);
  visit_columns(world, truth.masses, column_reader(columns, folder));
  return truth;
}

}  // namespace retort
