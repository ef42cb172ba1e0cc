// OpenMP as ThreadSanitizer has to see it. GCC's libgomp is compiled without it: that a region
// begins after what stands before it, that a barrier separates the loops at its sides, and that
// only one thread is in a critical section would all look like races. These functions stand in
// front of libgomp's own and tell. Part of a build with RETORT_SANITIZE=thread alone.

#include <cstdint>
#include <utility>

#include <dlfcn.h>
#include <sanitizer/tsan_interface.h>

namespace {

/// A parallel region. Its members' addresses stand for its events, a separate one for each, so that
/// nothing is ordered that OpenMP leaves unordered.
struct Region {
  void (*body)(void*);
  void* data;
  int64_t begin = 0, end = 0;
  int64_t barriers[2] = {};  // no thread is two barriers ahead of another
};

thread_local Region* t_region = nullptr;
thread_local unsigned t_barrier = 0;  // the next one's place in barriers
char g_critical = 0;                  // all unnamed critical sections are one

template <class Function>
Function* in_libgomp(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

void run(void* argument) {
  auto* const region = static_cast<Region*>(argument);
  __tsan_acquire(&region->begin);
  Region* const outer_region = std::exchange(t_region, region);
  const unsigned outer_barrier = std::exchange(t_barrier, 0);
  region->body(region->data);
  t_region = outer_region;
  t_barrier = outer_barrier;
  __tsan_release(&region->end);
}

}  // namespace

extern "C" {

void GOMP_parallel(void (*body)(void*), void* data, unsigned threads, unsigned flags) {
  static auto* const real = in_libgomp<decltype(GOMP_parallel)>("GOMP_parallel");
  Region region{body, data};
  __tsan_release(&region.begin);
  real(run, &region, threads, flags);
  __tsan_acquire(&region.end);
}

void GOMP_barrier() {
  static auto* const real = in_libgomp<decltype(GOMP_barrier)>("GOMP_barrier");
  if (t_region == nullptr) return real();  // of a region that began in libgomp itself
  int64_t* const barrier = &t_region->barriers[t_barrier];
  t_barrier = 1 - t_barrier;
  __tsan_release(barrier);
  real();
  __tsan_acquire(barrier);
}

void GOMP_critical_start() {
  static auto* const real = in_libgomp<decltype(GOMP_critical_start)>("GOMP_critical_start");
  real();
  __tsan_acquire(&g_critical);
}

void GOMP_critical_end() {
  static auto* const real = in_libgomp<decltype(GOMP_critical_end)>("GOMP_critical_end");
  __tsan_release(&g_critical);
  real();
}

}  // extern "C"
