// Loops on OpenMP's threads, which oneDNN's and libtorch's operations run on too, for rooms that
// are compiled without OpenMP (libtorch's own parallel_for runs serially there).
#pragma once

#include <cstdint>
#include <functional>

namespace retort {

/// work(begin, end) over [0, count), in as many contiguous runs as there are threads, but none of
/// fewer than `grain`. Inside another such loop it is one run. Rethrows the first exception.
void in_runs(int64_t count, int64_t grain, const std::function<void(int64_t, int64_t)>& work);

}  // namespace retort
