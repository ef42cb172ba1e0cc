// Area under the ROC curve: global, split by kind of negative, per user, and under row weights
// (for the bootstrap). Used by study/ and by the validation of the trainer.
// Ties count one half (midranks). A class without rows gives NaN: there is no such area.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace retort {

/// What a judged row is: a sampled negative, a click that was not read, a click that was read.
enum class RowKind : uint8_t { kSampled = 0, kShortClick = 1, kRead = 2 };

/// P(score of a positive > score of a negative) + 1/2 P(equal); NaN if a class is empty.
/// O(n log n), exact in double up to 2^52 pairs. Throws ArgumentError on a NaN score.
/// Source: Hanley & McNeil, "The meaning and use of the area under a ROC curve", Radiology 1982.
/// @param scores [N]  @param labels [N] 0 or 1
double auc(std::span<const float> scores, std::span<const uint8_t> labels);

/// The paper's AUC and its exact split:
/// auc_read = omega * auc_read_given_click + (1 - omega) * auc_read_vs_sampled.
/// Source: DMTL section 3.1.3 (positives = read, negatives = the rest); the split is linearity of
/// the AUC in the mixture of negatives.
struct AucSplit {
  double auc_read = 0;              // read against short clicks and sampled negatives
  double auc_click = 0;             // clicks against sampled negatives
  double auc_read_given_click = 0;  // read against short clicks (AUC_short)
  double auc_read_vs_sampled = 0;   // read against sampled negatives (AUC_rand)
  double omega = 0;                 // short clicks / (short clicks + sampled negatives)
};

/// Rows sorted by score once, so that the areas under any weights of their users are one pass.
/// Source: midrank AUC of Hanley & McNeil 1982, with frequency weights.
class SortedRows {
 public:
  /// @param scores [N] no NaN  @param kinds [N]  @param users [N] index into later weights
  SortedRows(std::span<const float> scores, std::span<const RowKind> kinds,
             std::span<const int32_t> users);
  /// All rows of weight 1.
  AucSplit split() const;
  /// Row r has weight user_weights[users[r]], a count of repetitions. O(N).
  AucSplit split(std::span<const uint8_t> user_weights) const;

 private:
  template <class Weight>
  AucSplit pass(Weight weight) const;
  struct Row {
    int32_t user;
    uint8_t kind;
    bool last_of_tie;
  };
  std::vector<Row> rows_;
};

/// GAUC, the mean of the users' AUCs weighted by their rows. Users without both classes have no
/// AUC: they are left out and counted.
/// Source: Zhou et al., "Deep Interest Network", KDD 2018, eq. 7 (rows in place of impressions).
struct Gauc {
  double value = 0;              // NaN if no user has both classes
  int64_t users = 0;             // users with both classes
  int64_t left_out = 0;          // users without
  std::vector<double> weighted;  // [user_count] rows * AUC, 0 for those left out
  std::vector<double> rows;      // [user_count] rows, 0 for those left out
};
/// @param scores [N]  @param labels [N] 0 or 1  @param users [N] in {0, .., user_count - 1}
Gauc gauc(std::span<const float> scores, std::span<const uint8_t> labels,
          std::span<const int32_t> users, int64_t user_count);

}  // namespace retort
