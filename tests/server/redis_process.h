// A real redis-server for a test, on a port of its own, without files.
#pragma once

#include <memory>
#include <string>

#include "tests/support/child_process.h"
#include "tests/support/scratch_folder.h"

namespace retort {

class RedisProcess {
 public:
  static bool installed();
  /// Starts it (again on the same port) and waits until it answers. False if it does not come up.
  bool start();
  void stop();  // killed, as a machine that fails
  void signal(int number) const;
  /// Sends an inline command and returns the first line of the answer; "" if there is none.
  std::string command(const std::string& line) const;
  std::string url(const std::string& options = "") const;

 private:
  const ScratchFolder scratch_;
  int port_ = 0;
  std::unique_ptr<ChildProcess> server_;
};

}  // namespace retort
