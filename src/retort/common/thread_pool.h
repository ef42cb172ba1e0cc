// The threads of the process: one pool, sized by `--threads`, used by every room without torch.
#pragma once

#include <cstdint>
#include <functional>

namespace retort {

/// Threads that parallel_for uses, the calling one included; 0 means one a core.
void set_threads(int threads);
int threads();

/// Calls `body(begin, end)` on pieces of [begin, end) of at least `grain` elements, on the pool,
/// and returns when all are done. The first exception of a piece is rethrown here. A call made
/// from inside a piece runs on the calling thread alone.
void parallel_for(int64_t begin, int64_t end, int64_t grain,
                  const std::function<void(int64_t, int64_t)>& body);

}  // namespace retort
