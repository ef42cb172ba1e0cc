// The most memory that this process has held, for what a training costs.
#pragma once

#include <cstdint>

namespace retort {

/// From here on the peak counts anew, where the kernel lets a process say so; else it goes on.
void reset_peak_memory();
/// Resident bytes, mapped files included; 0 where the system does not tell.
int64_t peak_memory();

}  // namespace retort
