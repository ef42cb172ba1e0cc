#include "retort/trainer/catalogue_rows.h"

#include "retort/common/error.h"
#include "retort/dataset/assembler.h"
#include "retort/metric/catalogue.h"

namespace retort {
namespace {

/// Training rows of each candidate.
std::vector<int64_t> training_counts(const Dataset& dataset, bool impressions) {
  std::vector<int64_t> of_item(static_cast<size_t>(dataset.items()));
  if (impressions) {
    const Impressions& shown = dataset.impressions();
    for (int64_t row = 0; row < shown.size(); ++row)
      if (shown.split[static_cast<size_t>(row)] == static_cast<uint8_t>(Split::kTrain))
        ++of_item[static_cast<size_t>(shown.item[static_cast<size_t>(row)])];
  } else {
    of_item.assign(dataset.train_clicks().begin(), dataset.train_clicks().end());
  }
  std::vector<int64_t> counts;
  for (const int32_t item : dataset.candidates())
    counts.push_back(of_item[static_cast<size_t>(item)]);
  return counts;
}

}  // namespace

CatalogueRows::CatalogueRows(const Dataset& dataset, bool impressions, torch::Device device)
    : moving_(has_moving_items(dataset.schema())),
      place_(static_cast<size_t>(dataset.items()), -1),
      device_(device) {
  std::vector<ItemMoment> moments;
  for (const int32_t item : dataset.candidates()) {
    place_[static_cast<size_t>(item)] = static_cast<int64_t>(moments.size());
    moments.push_back({item, dataset.end_time()});
  }
  if (!moving_) {
    SideBatch features;
    Assembler(dataset).items(moments, features);
    items_ = to_tensors(features, dataset.schema().dense_width(Side::kItem), device);
  }
  const std::vector<float> shares = log_share(training_counts(dataset, impressions));
  log_q_ = torch::tensor(shares, torch::kFloat32).to(device);
}

torch::Tensor CatalogueRows::places(const std::vector<int32_t>& items) const {
  torch::Tensor places = torch::empty({static_cast<int64_t>(items.size())}, torch::kInt64);
  auto* to = places.data_ptr<int64_t>();
  for (const int32_t item : items) *to++ = place_[static_cast<size_t>(item)];
  return places.to(device_);
}

}  // namespace retort
