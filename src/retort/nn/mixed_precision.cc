#include "retort/nn/mixed_precision.h"

namespace retort {
namespace {

thread_local bool mixed = false;

}  // namespace

MixedPrecision::MixedPrecision(bool on) : before_(mixed) { mixed = on; }
MixedPrecision::~MixedPrecision() { mixed = before_; }
bool MixedPrecision::active() { return mixed; }

}  // namespace retort
