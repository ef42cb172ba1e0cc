#include "tests/server/retortd_process.h"

#include <cstdlib>

namespace retort {
namespace {

std::vector<std::string> command(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), RETORT_BIN "/retortd");
  arguments.insert(arguments.end(), {"--port", "0"});
  return arguments;
}

}  // namespace

RetortdProcess::RetortdProcess(std::vector<std::string> arguments, const fs::path& log)
    : process_(command(std::move(arguments)), log),
      port_(static_cast<uint16_t>(std::atoi(process_.line_after("127.0.0.1:").c_str()))) {}

}  // namespace retort
