// The requests of a split's impressions, and how an epoch packs them into batches of bounded size
// whose number does not depend on the order. Used by the loader.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "retort/common/rng.h"
#include "retort/dataset/dataset.h"

namespace retort {

/// Thread-safe. The dataset must outlive it.
class RequestOrder {
 public:
  /// The impressions of one user, moment and request number: positions [begin, begin + size) of
  /// Dataset::impressions(), `rows` of them of the split.
  struct Request {
    int64_t begin = 0;
    int32_t size = 0, rows = 0;
  };
  /// The places [begin, end) of an epoch's order that one batch holds, and their rows.
  struct Packed {
    int64_t begin = 0, end = 0, rows = 0;
  };

  /// Requests of [since, until) alone.
  struct Moments {
    int64_t since = std::numeric_limits<int64_t>::min();
    int64_t until = std::numeric_limits<int64_t>::max();
  };

  /// At most `limit` requests, evenly spaced; 0 = all. Throws ConfigError where `batch` rows cannot
  /// hold three of the longest requests.
  RequestOrder(const Dataset& dataset, Split split, int64_t limit, int64_t batch, Moments moments);

  int64_t requests() const { return count_; }
  int64_t rows() const { return rows_; }
  int64_t clicks() const { return clicks_; }
  int64_t batches() const { return batches_; }
  /// The request at a place of an epoch's order; without `shuffle` that of the file.
  const Request& at(int64_t place, const std::optional<Permutation>& shuffle) const;
  /// Batch number `index` of an epoch whose order is `shuffle`: each holds at least one request and
  /// at most `batch` rows.
  Packed packed(int64_t epoch, int64_t index, const std::optional<Permutation>& shuffle) const;

 private:
  /// First place and first row of every batch, and of the one behind the last.
  struct Bounds {
    std::vector<int64_t> place, row;
  };
  std::shared_ptr<const Bounds> bounds(int64_t epoch,
                                       const std::optional<Permutation>& shuffle) const;

  std::vector<Request> requests_;
  int64_t count_ = 0, rows_ = 0, clicks_ = 0, batches_ = 0;
  mutable std::mutex mutex_;
  mutable std::map<int64_t, std::shared_ptr<const Bounds>> bounds_;  // by epoch, few at a time
};

}  // namespace retort
