// How the mix of a student's two tasks trades recall of clicks for recall of watching minutes.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "retort/common/json.h"
#include "retort/dataset/dataset.h"
#include "retort/metric/catalogue.h"
#include "retort/metric/towers.h"

namespace retort {

class TrainedModel;

/// RRA eq. 8 with one w. Source of the metrics: RRA sec. 5.1.2.
struct FusionPoint {
  double fusion = 0;   // w
  double recall = 0;   // recall_click@K
  double wrecall = 0;  // wrecall@K
};
Json to_json(const FusionPoint& point);

/// sum: the largest recall + wrecall. recall, wrecall: the largest of it. Of equals the w nearest
/// to 1/2, then the smaller. Throws ConfigError on another rule, ArgumentError without points.
const FusionPoint& choose_fusion_point(std::span<const FusionPoint> points,
                                       const std::string& rule);

/// One point a w of `grid`, over the clicks that `options` select. Leaves the model with the last
/// w. Throws ConfigError for a student of one vector. Needs libtorch.
std::vector<FusionPoint> fusion_curve(const Dataset& dataset, TrainedModel& model,
                                      CatalogueOptions options, std::span<const double> grid,
                                      int32_t k);

/// wrecall against recall, the chosen point ringed, as SVG.
std::string fusion_plot(std::span<const FusionPoint> points, const FusionPoint& chosen, int32_t k);

}  // namespace retort
