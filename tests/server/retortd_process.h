// The executable `retortd` as a child; its port is what its log says.
#pragma once

#include <string>
#include <vector>

#include "tests/support/child_process.h"

namespace retort {

class RetortdProcess {
 public:
  /// Waits until it listens or ends. `arguments`: bundles and flags beside --port.
  RetortdProcess(std::vector<std::string> arguments, const fs::path& log);
  uint16_t port() const { return port_; }  // 0: it does not listen
  void signal(int number) const { process_.signal(number); }
  /// Exit code; -1 if it has not ended by itself within ten seconds.
  int wait() { return process_.wait(); }

 private:
  ChildProcess process_;
  uint16_t port_ = 0;
};

}  // namespace retort
