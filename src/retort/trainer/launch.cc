#include "retort/trainer/launch.h"

#include <charconv>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "retort/common/error.h"

namespace retort {
namespace {

std::string_view variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

int number_of(const char* name, int least, int most) {
  const std::string_view text = variable(name);
  int value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || stop != text.data() + text.size() || value < least || value > most)
    fail<ConfigError>("environment variable {}: a number from {} to {} is expected, not '{}'", name,
                      least, most, text);
  return value;
}

void need(const char* name, const char* given) {
  if (variable(name).empty())
    fail<ConfigError>(
        "environment variable {} is missing, although {} is set: training over ranks needs RANK, "
        "WORLD_SIZE, MASTER_ADDR and MASTER_PORT; unset all four to train in one process",
        name, given);
}

/// The first of the names that is set, else nullptr.
const char* first_set(std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (!variable(name).empty()) return name;
  return nullptr;
}

}  // namespace

Launch Launch::from_environment() {
  constexpr int kMostRanks = 1 << 16, kMostPorts = (1 << 16) - 1;
  const char *rank = "RANK", *size = "WORLD_SIZE", *local = "LOCAL_RANK";
  if (first_set({rank, size}) == nullptr && first_set({"OMPI_COMM_WORLD_RANK"}) != nullptr) {
    rank = "OMPI_COMM_WORLD_RANK";
    size = "OMPI_COMM_WORLD_SIZE";
    local = "OMPI_COMM_WORLD_LOCAL_RANK";
  }
  Launch launch;
  const char* given = first_set({rank, size, "MASTER_ADDR", "MASTER_PORT"});
  if (given == nullptr) return launch;
  need(rank, given);
  need(size, given);
  launch.size = number_of(size, 1, kMostRanks);
  launch.rank = number_of(rank, 0, launch.size - 1);
  if (launch.size == 1) return launch;
  need("MASTER_ADDR", given);
  need("MASTER_PORT", given);
  launch.address = variable("MASTER_ADDR");
  launch.port = static_cast<uint16_t>(number_of("MASTER_PORT", 1, kMostPorts));
  if (!variable(local).empty()) launch.local_rank = number_of(local, 0, kMostRanks);
  launch.agent_store = variable("TORCHELASTIC_USE_AGENT_STORE") == "True";
  if (launch.agent_store && !variable("TORCHELASTIC_RESTART_COUNT").empty())
    launch.restarts = number_of("TORCHELASTIC_RESTART_COUNT", 0, 1 << 30);
  return launch;
}

}  // namespace retort
