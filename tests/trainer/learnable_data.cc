#include "tests/trainer/learnable_data.h"

#include <sstream>

#include "retort/common/recipe.h"
#include "retort/common/rng.h"

namespace retort {

TinyDataset learnable_dataset(int32_t clicks) {
  TinyDataset data;
  data.users = 30;
  data.items = 40;
  auto& features = data.schema.features;
  features.push_back(
      {.name = "user_id", .column = "user", .vocabulary = "user_id", .rows = data.users + 1});
  features.push_back({.name = "item_id",
                      .side = Side::kItem,
                      .column = "item",
                      .vocabulary = "item_id",
                      .rows = data.items + 1});
  features.push_back(
      {.name = "quality", .side = Side::kItem, .kind = FeatureKind::kDense, .column = "quality"});
  const Rng rng(7, "learnable");
  for (int32_t i = 0; i < clicks; ++i) {
    const auto at = [&](uint64_t n, uint64_t draw) {
      return static_cast<int32_t>(rng.below(n, 8 * static_cast<uint64_t>(i) + draw));
    };
    TinyClick click;
    click.user = at(30, 0);
    const int32_t group = at(10, 1) > 0 ? click.user % 2 : 1 - click.user % 2;
    click.item = 2 * at(20, 2) + group;
    const bool liked = (click.user / 2) % 2 == (click.item / 2) % 2;
    click.seconds = static_cast<float>(liked ? 40 + at(60, 3) : 1 + at(25, 3));
    click.time = int64_t{1'000'000} * (1'700'000'000 + 60 * i);
    click.split = i < clicks * 7 / 10     ? Split::kTrain
                  : i < clicks * 85 / 100 ? Split::kValid
                                          : Split::kTest;
    data.clicks.push_back(click);
  }
  for (int32_t item = 0; item < data.items; ++item)
    data.values["item.quality"].push_back(static_cast<float>(rng.normal(1'000'000 + item)));
  return data;
}

FeatureSpec history_feature(const std::string& name, const std::string& with, int64_t rows) {
  return {.name = with.empty() ? name : name + '.' + with,
          .kind = FeatureKind::kSequence,
          .source = FeatureSource::kHistory,
          .vocabulary = with.empty() ? "item_id" : "",
          .rows = rows,
          .of = "item_id",
          .last = 6,
          .with = with};
}

Json tiny_recipe(const std::string& name, const std::vector<std::string>& sets) {
  return load_recipe(fs::path(RETORT_SOURCE) / "recipes" / (name + ".toml"), "tiny", sets);
}

std::vector<Json> metrics_of(const fs::path& run) {
  std::istringstream text(read_file(run / "metrics.jsonl"));
  std::vector<Json> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(Json::parse(line));
  return lines;
}

}  // namespace retort
