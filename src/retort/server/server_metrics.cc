#include "retort/server/server_metrics.h"

#include <prometheus/gauge.h>
#include <prometheus/text_serializer.h>

namespace retort {
namespace {

using Buckets = prometheus::Histogram::BucketBoundaries;

const Buckets kRequestSeconds{.0005, .001, .002, .003, .005, .0075, .01, .015, .02,
                              .03,   .05,  .1,   .25,  .5,   1,     2.5, 5};
const Buckets kStageSeconds{.00005, .0001, .0002, .0003, .0005, .001, .002, .005, .01, .05, .25};
const Buckets kBatchSizes{1, 2, 4, 8, 16, 32};

prometheus::Histogram& histogram(prometheus::Registry& registry, const char* name, const char* help,
                                 const Buckets& buckets) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry).Add({}, buckets);
}

}  // namespace

ServerMetrics::ServerMetrics(const std::vector<Route>& routes)
    : registry_(std::make_shared<prometheus::Registry>()) {
  requests_ = &prometheus::BuildCounter()
                   .Name("retort_requests_total")
                   .Help("answers by route and status")
                   .Register(*registry_);
  auto& seconds = prometheus::BuildHistogram()
                      .Name("retort_request_seconds")
                      .Help("from a request's last byte to its answer, by route")
                      .Register(*registry_);
  for (const Route& route : routes)
    routes_[&route] = {
        &seconds.Add({{"route", route.method + " " + route.pattern}}, kRequestSeconds), {}};
  routes_[nullptr] = {&seconds.Add({{"route", "unknown"}}, kRequestSeconds), {}};
  tower_ = &histogram(*registry_, "retort_tower_seconds", "user towers, a batch", kStageSeconds);
  search_ = &histogram(*registry_, "retort_search_seconds", "index search, a user", kStageSeconds);
  batch_ = &histogram(*registry_, "retort_batch_users", "users of a batch of towers", kBatchSizes);
}

void ServerMetrics::answered(const Route* route, int status, double seconds) {
  PerRoute& entry = routes_.at(route);
  entry.seconds->Observe(seconds);
  const std::lock_guard lock(mutex_);
  prometheus::Counter*& counter = entry.statuses[status];
  if (counter == nullptr)
    counter = &requests_->Add(
        {{"route", route == nullptr ? "unknown" : route->method + " " + route->pattern},
         {"status", std::to_string(status)}});
  counter->Increment();
}

void ServerMetrics::swapped(const std::string& model, int64_t version) {
  counter("retort_model_swaps_total", "versions swapped in", {{"model", model}}).Increment();
  prometheus::BuildGauge()
      .Name("retort_model_version")
      .Help("version that serves")
      .Register(*registry_)
      .Add({{"model", model}})
      .Set(static_cast<double>(version));
}

void ServerMetrics::refused(const std::string& model) {
  counter("retort_model_refused_total", "versions refused", {{"model", model}}).Increment();
}

prometheus::Counter& ServerMetrics::counter(const std::string& name, const std::string& help,
                                            const std::map<std::string, std::string>& labels) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(*registry_).Add(labels);
}

void ServerMetrics::gauge(const std::string& name, const std::string& help,
                          std::function<double()> read) {
  auto& made = prometheus::BuildGauge().Name(name).Help(help).Register(*registry_).Add({});
  const std::lock_guard lock(mutex_);
  gauges_.push_back({&made, std::move(read)});
}

void ServerMetrics::total(const std::string& name, const std::string& help,
                          std::function<double()> read) {
  prometheus::Counter& made = counter(name, help);
  const std::lock_guard lock(mutex_);
  totals_.push_back({&made, std::move(read)});
}

std::string ServerMetrics::text() const {
  {
    const std::lock_guard lock(mutex_);
    for (const Gauge& gauge : gauges_) gauge.gauge->Set(gauge.read());
    for (const Total& total : totals_)
      total.counter->Increment(total.read() - total.counter->Value());
  }
  return prometheus::TextSerializer().Serialize(registry_->Collect());
}

}  // namespace retort
