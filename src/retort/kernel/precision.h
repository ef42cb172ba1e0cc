// The arithmetic of matrix products: bf16 inputs with fp32 accumulation, or fp32 throughout.
#pragma once

#include <string_view>

namespace retort {

/// kAuto: bf16 where the processor executes it natively, else fp32.
enum class Precision { kAuto, kFp32, kBf16 };

/// Whether oneDNN reports avx512_core_bf16 or a newer instruction set (AMX).
bool has_native_bf16();

/// kFp32 or kBf16, whichever products run in on this processor. Asking for bf16 where it is not
/// native gives fp32: emulated bf16 is slower and less exact.
Precision resolve(Precision precision);

/// "auto", "fp32" or "bf16".
const char* precision_name(Precision precision);
/// The reverse. Throws ConfigError naming the known ones.
Precision precision_from_name(std::string_view name);

}  // namespace retort
