#include "retort/sim/long_video_truth.h"

#include "retort/common/error.h"
#include "retort/dataset/columns.h"
#include "retort/sim/world_folder.h"

namespace retort {
namespace {

constexpr const char* kFormat = "retort-long-video-truth";
constexpr int kVersion = 1;

/// Calls visit(column name, vector, elements it must have) for every column of the truth.
template <class Visit>
void visit_columns(LongVideoWorld& world, const Visit& visit) {
  const auto users = static_cast<size_t>(world.users());
  const auto items = static_cast<size_t>(world.items());
  const auto dim = static_cast<size_t>(world.dim());
  visit("item.phi", world.phi, items * dim);
  visit("item.quality", world.quality, items);
  visit("item.title", world.title, items);
  visit("item.log_popularity", world.log_popularity, items);
  visit("item.unit", world.unit, items);
  visit("item.episodes", world.episodes, items);
  visit("item.birth", world.birth, items);
  visit("item.released", world.released, items);
  visit("user.click_taste", world.click_taste, users * dim);
  visit("user.satisfaction_taste", world.satisfaction_taste, users * dim);
  visit("user.policy_noise", world.policy_noise, users * dim);
  visit("user.bias", world.user_bias, users);
  visit("user.open_rate", world.open_rate, users);
}

}  // namespace

void write_truth(const fs::path& folder, const LongVideoWorld& world) {
  // The visitor only reads here; the same list of columns serves reading, which fills them.
  visit_columns(const_cast<LongVideoWorld&>(world), column_writer(folder));
  write_manifest(folder, Json{{"format", kFormat},
                              {"version", kVersion},
                              {"options", to_json(world.options)},
                              {"constants_sha256", constants_hash(world.options)},
                              {"click_bias", world.click_bias},
                              {"satisfaction_scale", world.satisfaction_scale},
                              {"satisfaction_centre", world.satisfaction_centre},
                              {"start", world.start}});
}

bool has_long_video_truth(const fs::path& world) {
  const fs::path manifest = world / "truth" / "manifest.json";
  if (!fs::exists(manifest)) return false;
  const Json json = Json::parse(read_file(manifest), nullptr, false);
  return json.is_object() && json.value("format", "") == kFormat;
}

LongVideoWorld read_long_video_truth(const fs::path& folder) {
  const Json manifest = read_manifest(folder);
  const std::string path = (folder / "manifest.json").string();
  if (manifest.value("format", "") != kFormat || manifest.value("version", 0) != kVersion) {
    fail<DataError>(
        "{}: this is not the truth of a simulated world of long videos of version {}; give the "
        "folder that `retort simulate long_video` wrote",
        path, kVersion);
  }
  LongVideoWorld world;
  try {
    world.options = long_video_options_from_json(manifest.at("options"));
    world.click_bias = manifest.at("click_bias").get<double>();
    world.satisfaction_scale = manifest.at("satisfaction_scale").get<double>();
    world.satisfaction_centre = manifest.at("satisfaction_centre").get<double>();
    world.start = manifest.at("start").get<int64_t>();
  } catch (const nlohmann::json::exception& error) {
    fail<DataError>("{}: {}", path, error.what());
  }
  const Columns columns(folder);
  visit_columns(world, column_reader(columns, folder));
  return world;
}

}  // namespace retort
