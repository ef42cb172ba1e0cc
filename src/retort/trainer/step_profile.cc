#include "retort/trainer/step_profile.h"

#include "retort/common/error.h"
#include "retort/common/log.h"

namespace retort {

StepProfile::~StepProfile() {
  if (recorder_) write();
}

void StepProfile::step_done() {
  if (!trace_) return;
  ++steps_;
  if (steps_ == kWarmup) recorder_.emplace();
  if (steps_ != kWarmup + kSteps) return;
  write();
  trace_.reset();
}

void StepProfile::write() noexcept {
  try {
    recorder_->write_chrome_trace(*trace_);
    log_info("train", "{} steps were profiled; {} opens in chrome://tracing or Perfetto\n{}",
             steps_ - kWarmup, trace_->string(), recorder_->table());
  } catch (const std::exception& error) {
    log_warning("train", "the profile was not written: {}", error.what());
  }
  recorder_.reset();
}

}  // namespace retort
