// The items that can still be among the k best of one query while compact vectors are scanned;
// scored in fp32 at the end. Used by the exact index.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "retort/kernel/quantised.h"
#include "retort/kernel/top_k.h"

namespace retort {

/// Keeps every item whose upper bound reaches the k-th best lower bound seen: no item of the true
/// k best is ever dropped. Reusable by `start`, so that its memory is.
class Shortlist {
 public:
  /// `matrix` must outlive the list; `query.bounded` must hold.
  void start(const QuantisedMatrix& matrix, QuantisedQuery query, int32_t k);
  /// What the scan needs; `out` has room for the rows of one call.
  ScanQuery scan_query(Survivor* out) const;
  /// Takes the survivors of a scan of rows not seen before.
  void add(std::span<const Survivor> survivors);
  /// Takes what another list of the same query has.
  void merge(const Shortlist& other);
  /// True once bounds rule out so little that scoring all in fp32 is cheaper; `seen` rows scanned.
  bool hopeless(int64_t seen) const;
  /// The k best by fp32 product, best first. `vectors`: the rows the matrix was made of.
  std::vector<ScoredItem> take(std::span<const float> query, std::span<const float> vectors);
  bool active() const { return matrix_ != nullptr; }
  void stop() { matrix_ = nullptr; }

 private:
  struct Candidate {
    int32_t row;
    float upper, lower;
  };
  void prune();

  const QuantisedMatrix* matrix_ = nullptr;
  QuantisedQuery query_;
  int64_t k_ = 0, prune_at_ = 0;
  float threshold_ = 0;  // upper bounds below it rule out
  std::vector<Candidate> candidates_;
  std::vector<float> lower_;
};

}  // namespace retort
