// A program that a test starts and that ends with the test.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include <sys/types.h>

#include "retort/common/file.h"

namespace retort {

class ChildProcess {
 public:
  /// Starts arguments[0], looked for in PATH; what it prints goes to the file `log`.
  ChildProcess(const std::vector<std::string>& arguments, fs::path log);
  ~ChildProcess();  // killed
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return child_; }
  void signal(int number) const;
  bool ended();
  /// Its exit code; -1 if it has not ended by itself within the time, or by a signal.
  int wait(std::chrono::seconds patience = std::chrono::seconds(10));
  /// What follows `text` in its log, up to the end of the line, once that line is whole; "" if it
  /// ends before, or after twenty seconds.
  std::string line_after(const std::string& text);
  std::string log() const;

 private:
  pid_t child_;
  int code_ = -1;
  fs::path log_;
};

/// A port of 127.0.0.1 that nobody listens on at this moment; 0 if there is none.
int free_port();
/// Whether a shell finds the program.
bool installed(const std::string& program);

}  // namespace retort
