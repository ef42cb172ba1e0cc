// The counters of a feature store while it runs.
#pragma once

#include <atomic>
#include <cstdint>

#include "retort/server/feature_store.h"

namespace retort {

struct StoreCounts {
  std::atomic<uint64_t> reads = 0, writes = 0, unavailable = 0, failures = 0, reconnects = 0,
                        bad_values = 0;
  StoreCounters read(bool up) const {
    return {.reads = reads,
            .writes = writes,
            .unavailable = unavailable,
            .failures = failures,
            .reconnects = reconnects,
            .bad_values = bad_values,
            .up = up};
  }
};

}  // namespace retort
