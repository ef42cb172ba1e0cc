// Recall against latency of every index on given vectors, and the choice by a target. What
// `retort index tune` runs.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "retort/common/json.h"

namespace retort {

struct TuneOptions {
  int32_t k = 100;
  double recall = 0.98;  // what the choice has to reach
};
/// "recall 0.98", the form of --target. Throws ConfigError.
double parse_target(std::string_view target);

/// One index with one set of options, measured without a filter.
struct TunePoint {
  std::string index;     // name in indexes()
  Json options;          // what publish takes
  double recall = 0;     // @k against exact search; equal scores are no misses
  double median_ms = 0;  // one query at a time, the pool helping where the index uses it
  double p99_ms = 0;
  double queries_per_second = 0;  // all queries at once on the pool
  double build_seconds = 0;
  int64_t bytes = 0;      // beside the fp32 vectors
  bool on_front = false;  // no other point is both faster (median) and better in recall
};
Json to_json(const TunePoint& point);

/// Measures exact search, HNSW at several ef_search and Faiss IVF-PQ at several nprobe and refine
/// on vectors [items, dim] with queries [Q, dim], Q >= 1. HNSW is built with equal norms where
/// that finds more. Logs each build. Throws Interrupted on Ctrl-C.
std::vector<TunePoint> tune_indexes(std::span<const float> vectors, std::span<const float> queries,
                                    int32_t dim, const TuneOptions& options);

/// The point of the least median latency among those that reach the recall: there is one, as
/// exact search reaches every target. Throws ArgumentError if not.
const TunePoint& choose_point(std::span<const TunePoint> points, double recall);

/// A plot as one SVG file: median latency (logarithmic) against recall, a colour an index.
std::string tune_plot(std::span<const TunePoint> points, const TunePoint& chosen, int32_t k);

}  // namespace retort
