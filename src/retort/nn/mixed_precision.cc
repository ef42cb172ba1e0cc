#include "retort/nn/mixed_precision.h"

namespace retort {
namespace {

thread_local bool mixed = false, finite_inputs = true;

}  // namespace

MixedPrecision::MixedPrecision(bool on) : before_(mixed), finite_before_(finite_inputs) {
  mixed = on;
  finite_inputs = true;
}

MixedPrecision::~MixedPrecision() {
  mixed = before_;
  finite_inputs = finite_before_;
}

void MixedPrecision::report_nonfinite() { finite_inputs = false; }
bool MixedPrecision::finite() const { return finite_inputs; }
bool MixedPrecision::active() { return mixed; }

}  // namespace retort
