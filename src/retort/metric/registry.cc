#include "retort/metric/registry.h"

#include <array>

namespace retort {
namespace {

constexpr std::array kMetrics{
    MetricEntry{"auc_read", "reads against short clicks and sampled negatives, ties half",
                "DMTL section 3.1.3"},
    MetricEntry{"auc_click", "clicks against sampled negatives", "Hanley & McNeil 1982"},
    MetricEntry{"auc_read_given_click", "reads against short clicks (AUC_short of the split)",
                "DMTL section 3.1.3"},
    MetricEntry{"auc_read_vs_sampled", "reads against sampled negatives (AUC_rand of the split)",
                "DMTL section 3.1.3"},
    MetricEntry{"omega", "share of short clicks among the negatives: the weight of AUC_short",
                "linearity of the AUC in the negatives"},
    MetricEntry{"gauc", "mean of the users' auc_read, weighted by rows", "Zhou et al., KDD 2018"},
    MetricEntry{"recall@K", "share of read items ranked among the first K of the catalogue",
                "Deshpande & Karypis 2004"},
    MetricEntry{"recall_click@K", "the same for every clicked item", "Deshpande & Karypis 2004"},
    MetricEntry{"wrecall@K",
                "share of the watching time of clicked items that stand among the first K",
                "RRA section 5.1.2"},
    MetricEntry{"nktd@N",
                "pairs of the first N that retrieval and ranking order differently, ties half",
                "RRA eq. 9"},
    MetricEntry{"ndcg@K", "recall@K discounted by 1 / log2(1 + rank)",
                "Jarvelin & Kekalainen 2002"},
    MetricEntry{"mrr", "mean reciprocal rank of the read item", "Voorhees 1999"},
    MetricEntry{"coverage@K", "share of the catalogue that stands in any list of K",
                "Ge et al., RecSys 2010"},
    MetricEntry{"ece",
                "expected calibration error of sigmoid(score) against read, bins of equal "
                "mass",
                "Naeini et al., AAAI 2015"},
};

}  // namespace

std::span<const MetricEntry> metrics() { return kMetrics; }

}  // namespace retort
