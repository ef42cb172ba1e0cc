// Items of a tiny dataset as the raw features that describe them, from the log by plain loops.
#pragma once

#include <cmath>

#include "tests/support/tiny_dataset.h"

#include "retort/common/json.h"

namespace retort {

/// What a PUT of the item would say at the moment: attributes, moment of publication and the
/// aggregates of clicks strictly before it.
inline Json spelt_out_item(const TinyDataset& data, int32_t item, int64_t moment) {
  constexpr int64_t kSpan = 3'600'000'000;
  const auto at = static_cast<size_t>(item);
  Json json{{"item_id", "i" + std::to_string(item)}};
  const int32_t category = data.ids.at("item.category")[at];
  if (category > 0) json["category"] = data.vocabularies.at("category")[size_t(category)];
  json["tags"] = Json::array();
  const auto& tags = data.offsets.at("item.tags");
  for (int64_t tag = tags[at]; tag < tags[at + 1]; ++tag)
    json["tags"].push_back(
        data.vocabularies.at("tags")[size_t(data.ids.at("item.tags")[size_t(tag)])]);
  const float length = data.values.at("item.length")[at];
  if (!std::isnan(length)) json["length"] = length;

  int64_t first = INT64_MAX;
  int hour = 0, day = 0, ever = 0, reads = 0, training = 0, of_category = 0;
  double log_seconds = 0;
  for (const TinyClick& click : data.clicks) {
    const int64_t ago = moment - click.time;
    if (data.ids.at("item.category")[size_t(click.item)] == category && ago > 0 && ago <= 3 * kSpan)
      ++of_category;
    if (click.item != item) continue;
    training += click.split == Split::kTrain ? 1 : 0;
    if (ago <= 0) continue;
    first = std::min(first, click.time);
    ++ever;
    hour += ago <= kSpan ? 1 : 0;
    if (ago > 24 * kSpan) continue;
    ++day;
    reads += click.seconds > data.read_threshold ? 1 : 0;
    log_seconds += std::isnan(click.seconds) ? 0 : std::log1p(click.seconds);
  }
  json["clicks_1h"] = hour;
  json["clicks_ever"] = ever;
  json["reads_1d"] = reads;
  json["mean_1d"] = day == 0 ? 0 : log_seconds / day;
  if (first < moment) json["since_first"] = static_cast<double>(moment - first) / 1e6;
  if (category > 0) json["category_clicks"] = of_category;
  json["popularity_clicks"] = training;
  if (data.published[at] != INT64_MIN && data.published[at] < moment)
    json["published"] = data.published[at];
  else if (first < moment)
    json["age"] = static_cast<double>(moment - first) / 1e6;
  return json;
}

}  // namespace retort
