// Where a step's time goes, on request: a table and a Chrome trace of some steps after the first.
#pragma once

#include <optional>

#include "retort/common/file.h"
#include "retort/common/trace.h"

namespace retort {

/// Records kSteps steps after kWarmup; then writes `trace` and logs the table.
class StepProfile {
 public:
  static constexpr int kWarmup = 20, kSteps = 200;

  /// Without `trace`: does nothing.
  explicit StepProfile(std::optional<fs::path> trace) : trace_(std::move(trace)) {}
  /// A run that ends before its last step keeps what was recorded.
  ~StepProfile();
  /// After each step.
  void step_done();

 private:
  void write() noexcept;
  std::optional<fs::path> trace_;
  std::optional<TraceRecorder> recorder_;
  int steps_ = 0;
};

}  // namespace retort
