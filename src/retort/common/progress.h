// A progress bar with rate and time left on a terminal, a plain line now and then elsewhere.
// Written to standard error. Also the flag that Ctrl-C sets.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace retort {

class Progress {
 public:
  /// `total` units of `unit` ("rows"); 0 when unknown. Shows nothing before half a second.
  Progress(std::string label, int64_t total, std::string unit);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Sets the units done; cheap enough for every batch. Not thread-safe.
  void update(int64_t done, const std::string& note = {});
  void add(int64_t units) { update(done_ + units); }
  double seconds() const;

  static void set_enabled(bool enabled);
  /// Removes a bar from the terminal's line so that a log line can be written.
  static void clear_line();

 private:
  void show(bool last);
  std::string label_, unit_, note_;
  int64_t total_, done_ = 0;
  std::chrono::steady_clock::time_point start_, shown_;
  bool ever_shown_ = false;
};

/// Installs a handler of SIGINT and SIGTERM: the first sets the flag, a second ends the process.
void catch_interrupts();
bool interrupted();
/// Throws Interrupted("... interrupted") if the flag is set.
void check_interrupt(const char* what);

}  // namespace retort
