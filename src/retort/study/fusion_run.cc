// The part of fusion.h that needs libtorch.
#include "retort/metric/ranking.h"
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
    std::vector<float> seconds;
    std::vector<int32_t> users;
    double hits = 0;
    for (size_t at = 0; at < ranks.click.size(); ++at) {
      seconds.push_back(dataset.clicks().seconds[ranks.click[at]]);
      users.push_back(dataset.clicks().user[ranks.click[at]]);
      hits += recall_of_rank(ranks.rank[at], k);
    }
    points.push_back({w, hits / static_cast<double>(ranks.rank.size()),
                      weighted_recall(ranks.rank, seconds, users, dataset.users(), k).value()});
  }
  return points;
}

}  // namespace retort
