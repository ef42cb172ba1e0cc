// A client that asks at a given rate, whatever the server does: what `retort bench-serve` runs.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace retort {

struct LoadTarget {
  std::string host, port;  // of http://HOST:PORT
};
/// Throws ConfigError unless it reads http://HOST[:PORT][/].
LoadTarget parse_load_target(const std::string& url);

struct LoadPlan {
  std::string path = "/v1/retrieve";
  std::string bearer;  // empty: none is sent
  double rate = 1000;  // requests a second
  double seconds = 10;
  int connections = 16;  // at once; a request beyond waits for one and its wait counts
  uint64_t seed = 1;     // of the moments and of the bodies' order
  std::chrono::milliseconds timeout{10000};
};

struct LoadResult {
  int64_t sent = 0, answered = 0;  // answered: with 200
  double seconds = 0;              // from the first moment to the last answer
  /// Of each answer with 200, in seconds, ascending: from the moment that the schedule named, not
  /// from the one at which the request could be sent, so that a server which stalls is seen to
  /// (Tene, "How NOT to measure latency", 2013: no coordinated omission).
  std::vector<double> latencies;
  std::map<std::string, int64_t> errors;  // "status 429", "Connection refused"

  /// Of the latencies, in seconds; 0 without any. share in [0, 1]: 0.99 is the 99th percentile.
  double percentile(double share) const;
};

/// Asks with the bodies in a random order at the moments of a Poisson process (open loop), on one
/// thread. `progress` is told the requests done so far; it may throw to stop. Throws ConfigError on
/// a plan without bodies, rate, time or connections, IoError if the server cannot be reached at
/// all.
LoadResult generate_load(const LoadTarget& target, const LoadPlan& plan,
                         const std::vector<std::string>& bodies,
                         const std::function<void(int64_t done)>& progress = {});

}  // namespace retort
