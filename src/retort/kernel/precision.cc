#include "retort/kernel/precision.h"

#include <dnnl.hpp>

#include "retort/common/error.h"

namespace retort {

bool has_native_bf16() {
  // Instruction sets are bit masks: a newer one contains the bits of those it builds on.
  constexpr auto kBits = static_cast<unsigned>(dnnl_cpu_isa_avx512_core_bf16);
  static const bool native =
      (static_cast<unsigned>(dnnl::get_effective_cpu_isa()) & kBits) == kBits;
  return native;
}

Precision resolve(Precision precision) {
  return precision != Precision::kFp32 && has_native_bf16() ? Precision::kBf16 : Precision::kFp32;
}

const char* precision_name(Precision precision) {
  switch (precision) {
    case Precision::kAuto:
      return "auto";
    case Precision::kFp32:
      return "fp32";
    case Precision::kBf16:
      return "bf16";
  }
  return "auto";
}

Precision precision_from_name(std::string_view name) {
  for (const Precision precision : {Precision::kAuto, Precision::kFp32, Precision::kBf16})
    if (name == precision_name(precision)) return precision;
  fail<ConfigError>("precision '{}' is not known; write auto, fp32 or bf16", name);
}

}  // namespace retort
