#include "retort/index/tune.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <functional>

#include "retort/common/error.h"
#include "retort/common/log.h"
#include "retort/common/progress.h"
#include "retort/index/exact_index.h"
#include "retort/index/faiss_index.h"
#include "retort/index/hnsw_index.h"

namespace retort {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

double quantile(const std::vector<double>& sorted, double share) {
  return sorted[static_cast<size_t>(std::lround(share * static_cast<double>(sorted.size() - 1)))];
}

class Tuner {
 public:
  Tuner(std::span<const float> vectors, std::span<const float> queries, int32_t dim,
        const TuneOptions& options)
      : vectors_(vectors), queries_(queries), dim_(dim), k_(options.k) {
    check(!queries.empty() && k_ > 0, "tuning with {} floats of queries and k = {}", queries.size(),
          k_);
  }

  std::vector<TunePoint> run() {
    tune_exact();
    tune_hnsw();
    tune_faiss();
    mark_front();
    return std::move(points_);
  }

 private:
  double build(const char* name, ItemIndex& index) {
    const auto begin = Clock::now();
    index.build(vectors_, dim_);
    const double seconds = seconds_since(begin);
    log_info("tune", "{} built in {:.1f} s", name, seconds);
    return seconds;
  }

  void tune_exact() {
    for (const char* storage : {"auto", "fp32"}) {
      ExactIndex index(storage == std::string_view("auto") ? Storage::kAuto : Storage::kFp32);
      const double seconds = build("exact", index);
      if (truth_.empty()) truth_ = index.search_many(queries_, dim_, k_, {});
      measure(index, {.index = "exact",
                      .options = {{"storage", storage}},
                      .build_seconds = seconds,
                      .bytes = index.compact_bytes()});
      if (index.storage() == "fp32") return;  // auto is fp32: once is enough
    }
  }

  void tune_hnsw() {
    constexpr double kGoodRecall = 0.95;
    HnswOptions options;
    HnswIndex plain(options);
    const double seconds = build("hnsw", plain);
    const double recall = recall_of(truth_, plain.search_many(queries_, dim_, k_, {}));
    if (recall >= kGoodRecall) {
      tune_ef(plain, options, seconds);
      return;
    }
    options.equal_norms = true;
    HnswIndex equal(options);
    const double more_seconds = build("hnsw with equal norms", equal);
    if (recall_of(truth_, equal.search_many(queries_, dim_, k_, {})) > recall) {
      tune_ef(equal, options, more_seconds);
    } else {
      options.equal_norms = false;
      tune_ef(plain, options, seconds);
    }
  }

  void tune_ef(HnswIndex& index, const HnswOptions& options, double seconds) {
    for (const int32_t factor : {5, 8, 16, 32, 64}) {  // quarters of k
      const int32_t ef = std::min(100'000, std::max(factor * k_ / 4, factor));
      index.set_ef_search(ef);
      measure(index, {.index = "hnsw",
                      .options = {{"M", options.M},
                                  {"ef_construction", options.ef_construction},
                                  {"ef_search", ef},
                                  {"equal_norms", options.equal_norms}},
                      .build_seconds = seconds,
                      .bytes = index.bytes()});
    }
  }

  void tune_faiss() {
    FaissIndex index;
    const double seconds = build("faiss", index);
    for (const int32_t refine : {2, 8})
      for (const int32_t nprobe : {4, 16, 64, 256}) {
        if (nprobe > std::max(index.lists(), int64_t{4})) break;
        index.set_search(nprobe, refine);
        measure(index,
                {.index = "faiss",
                 .options = {{"factory", index.factory()}, {"nprobe", nprobe}, {"refine", refine}},
                 .build_seconds = seconds,
                 .bytes = index.bytes()});
      }
  }

  void measure(const ItemIndex& index, TunePoint point) {
    const int64_t count = std::ssize(queries_) / dim_;
    const auto search = [&](int64_t q) {
      return index.search(
          queries_.subspan(static_cast<size_t>(q * dim_), static_cast<size_t>(dim_)), k_, {});
    };
    for (int64_t q = 0; q < std::min<int64_t>(count, 20); ++q) search(q);  // warm up
    std::vector<double> seconds;
    std::vector<std::vector<SearchHit>> found;
    for (int64_t q = 0; q < count; ++q) {
      check_interrupt("tuning");
      const auto begin = Clock::now();
      found.push_back(search(q));
      seconds.push_back(seconds_since(begin));
    }
    std::sort(seconds.begin(), seconds.end());
    point.median_ms = 1e3 * quantile(seconds, 0.5);
    point.p99_ms = 1e3 * quantile(seconds, 0.99);
    point.recall = recall_of(truth_, found);
    const auto begin = Clock::now();
    index.search_many(queries_, dim_, k_, {});
    point.queries_per_second = static_cast<double>(count) / seconds_since(begin);
    points_.push_back(std::move(point));
  }

  void mark_front() {
    for (TunePoint& one : points_)
      one.on_front = std::none_of(points_.begin(), points_.end(), [&](const TunePoint& other) {
        return other.recall >= one.recall && other.median_ms <= one.median_ms &&
               (other.recall > one.recall || other.median_ms < one.median_ms);
      });
  }

  std::span<const float> vectors_, queries_;
  int32_t dim_, k_;
  std::vector<std::vector<SearchHit>> truth_;
  std::vector<TunePoint> points_;
};

}  // namespace

double parse_target(std::string_view target) {
  constexpr std::string_view kWord = "recall";
  std::string_view number = target;
  const auto trim = [&] {
    while (!number.empty() && number.front() == ' ') number.remove_prefix(1);
  };
  trim();
  if (number.starts_with(kWord)) number.remove_prefix(kWord.size());
  trim();
  double recall = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), recall);
  if (error != std::errc() || end != number.data() + number.size() || !(recall > 0 && recall <= 1))
    fail<ConfigError>("--target '{}': expected a recall above 0 and up to 1, as in 'recall 0.98'",
                      target);
  return recall;
}

Json to_json(const TunePoint& point) {
  return {{"index", point.index},
          {"options", point.options},
          {"recall", point.recall},
          {"median_ms", point.median_ms},
          {"p99_ms", point.p99_ms},
          {"queries_per_second", point.queries_per_second},
          {"build_seconds", point.build_seconds},
          {"bytes", point.bytes},
          {"on_front", point.on_front}};
}

std::vector<TunePoint> tune_indexes(std::span<const float> vectors, std::span<const float> queries,
                                    int32_t dim, const TuneOptions& options) {
  return Tuner(vectors, queries, dim, options).run();
}

const TunePoint& choose_point(std::span<const TunePoint> points, double recall) {
  const TunePoint* best = nullptr;
  for (const TunePoint& one : points)
    if (one.recall >= recall && (best == nullptr || one.median_ms < best->median_ms)) best = &one;
  check(best != nullptr, "no index reaches recall {}", recall);
  return *best;
}

}  // namespace retort
