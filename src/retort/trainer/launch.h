// What a launcher tells a process of a training job: which of how many ranks it is and where the
// ranks meet. Read from the environment.
#pragma once

#include <cstdint>
#include <string>

namespace retort {

struct Launch {
  int rank = 0;
  int size = 1;
  int local_rank = 0;   // among the ranks of this machine
  std::string address;  // where rank 0 listens; empty for one rank
  uint16_t port = 0;
  bool agent_store = false;  // torchrun's agent listens there, not rank 0
  int restarts = 0;          // torchrun's count; ranks of one attempt meet each other only

  /// RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT; where RANK and WORLD_SIZE are absent, Open
  /// MPI's OMPI_COMM_WORLD_RANK and OMPI_COMM_WORLD_SIZE. None of them: one rank. Throws
  /// ConfigError naming the variable that is missing or wrong.
  static Launch from_environment();
};

}  // namespace retort
