// What a server counts, in Prometheus' text format.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include "retort/server/router.h"

namespace retort {

/// Thread-safe. Times are in seconds.
class ServerMetrics {
 public:
  explicit ServerMetrics(const std::vector<Route>& routes);

  /// One answer; `route` null where the path was unknown.
  void answered(const Route* route, int status, double seconds);
  /// Where the time of a retrieval goes.
  prometheus::Histogram& tower_seconds() { return *tower_; }
  prometheus::Histogram& search_seconds() { return *search_; }
  prometheus::Histogram& batch_size() { return *batch_; }

  void swapped(const std::string& model, int64_t version);
  void refused(const std::string& model);
  prometheus::Counter& counter(const std::string& name, const std::string& help,
                               const std::map<std::string, std::string>& labels = {});
  /// `read` is asked at every scrape.
  void gauge(const std::string& name, const std::string& help, std::function<double()> read);
  /// The same of what only grows.
  void total(const std::string& name, const std::string& help, std::function<double()> read);
  std::string text() const;

 private:
  struct PerRoute {
    prometheus::Histogram* seconds;
    std::map<int, prometheus::Counter*> statuses;
  };
  struct Gauge {
    prometheus::Gauge* gauge;
    std::function<double()> read;
  };
  std::shared_ptr<prometheus::Registry> registry_;
  prometheus::Family<prometheus::Counter>* requests_;
  prometheus::Histogram *tower_, *search_, *batch_;
  std::map<const Route*, PerRoute> routes_;
  mutable std::mutex mutex_;  // of the maps of statuses and of what is made later
  struct Total {
    prometheus::Counter* counter;
    std::function<double()> read;
  };
  std::vector<Gauge> gauges_;
  std::vector<Total> totals_;
};

}  // namespace retort
