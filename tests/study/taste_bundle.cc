#include "tests/study/taste_bundle.h"

#include <algorithm>

#include "tests/bundle/tiny_bundle.h"

#include "retort/dataset/assembler.h"
#include "retort/encoder/tower_encoder.h"

namespace retort {
namespace {

/// Copies rows of 16 into the rows of a table that the dataset's features look up.
template <class Find>
void fill_table(const SideBatch& batch, const Strings& keys, const Find& find, const float* from,
                std::vector<float>& table) {
  for (int64_t row = 0; row < keys.size(); ++row)
    std::copy_n(from + int64_t{*find(keys[row])} * 16, 16,
                table.begin() + batch.sparse[0].ids[static_cast<size_t>(row)] * 16);
}

void put_tastes(const Dataset& dataset, const TasteVectors& taste, Weights& weights) {
  std::vector<UserMoment> users;
  std::vector<ItemMoment> items;
  for (int32_t user = 0; user < dataset.users(); ++user) users.push_back({user, 0, -1});
  for (int32_t item = 0; item < dataset.items(); ++item) items.push_back({item, 0});
  SideBatch user_rows, item_rows;
  const Assembler assembler(dataset);
  assembler.users(users, user_rows);
  assembler.items(items, item_rows);
  fill_table(user_rows, dataset.user_keys(), taste.find_user, taste.users,
             weights.at("user.user_id.weight"));
  fill_table(item_rows, dataset.item_keys(), taste.find_item, taste.items,
             weights.at("item.item_id.weight"));
}

}  // namespace

Json id_features() {
  Json features = Json::array();
  for (const char* side : {"user", "item"})
    features.push_back({{"name", std::string(side) + "_id"},
                        {"side", side},
                        {"kind", "categorical"},
                        {"column", side},
                        {"min_count", 0}});
  return features;
}

void publish_taste(const Dataset& dataset, const fs::path& scratch, const std::string& name,
                   const TasteVectors* taste, std::optional<int64_t> moment,
                   std::optional<int64_t> trained_until) {
  ModelSpec spec;
  spec.user = {"user", make_input(dataset.schema(), Side::kUser, "user", 16, false)};
  spec.item = {"item", make_input(dataset.schema(), Side::kItem, "item", 16, false)};
  Weights weights = random_weights(spec, 5);
  if (taste != nullptr) put_tastes(dataset, *taste, weights);
  BundleContents contents;
  contents.model = name;
  contents.spec = spec;
  contents.weights = scratch / (name + ".safetensors");
  save_weights(spec, weights, contents.weights);
  const TowerEncoder towers(spec, std::make_shared<SafetensorsFile>(contents.weights));
  contents.dataset = &dataset;
  contents.towers = &towers;
  contents.moment = moment;
  contents.trained_until = trained_until;
  publish_bundle(contents, scratch / name);
}

}  // namespace retort
