// The executable `retortd` as a child; its port is what its log says.
#pragma once

#include <string>
#include <vector>

#include <sys/types.h>

#include "retort/common/file.h"

namespace retort {

class RetortdProcess {
 public:
  /// Waits up to ten seconds until it listens. `arguments`: bundles and flags beside --port.
  RetortdProcess(std::vector<std::string> arguments, const fs::path& log);
  ~RetortdProcess();
  RetortdProcess(const RetortdProcess&) = delete;
  RetortdProcess& operator=(const RetortdProcess&) = delete;
  uint16_t port() const { return port_; }  // 0: it does not listen
  void signal(int number) const;
  /// Exit code; -1 if it has not ended by itself within ten seconds.
  int wait();

 private:
  pid_t child_;
  uint16_t port_ = 0;
};

}  // namespace retort
