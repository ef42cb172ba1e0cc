// The part of fusion.h that needs libtorch.
#include <fmt/format.h>

#include "retort/metric/rank_metric.h"
#include "retort/study/fusion.h"
#include "retort/trainer/trained_model.h"

namespace retort {

std::vector<FusionPoint> fusion_curve(const Dataset& dataset, TrainedModel& model,
                                      CatalogueOptions options, std::span<const double> grid,
                                      int32_t k) {
  options.reads_only = false;
  std::vector<FusionPoint> points;
  for (const double w : grid) {
    model.set_fusion(w);
    const CatalogueRanks ranks = rank_catalogue(dataset, model.student(), options);
    points.push_back({w, rank_metric(dataset, ranks, fmt::format("recall_click@{}", k)),
                      rank_metric(dataset, ranks, fmt::format("wrecall@{}", k))});
  }
  return points;
}

}  // namespace retort
