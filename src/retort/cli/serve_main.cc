// `retortd`: the server, without libtorch. `retort serve` starts it; `retortd BUNDLES ..` is the
// same as `retort serve BUNDLES ..`.
#include <string_view>
#include <vector>

#include "retort/cli/frame.h"

int main(int argc, char** argv) {
  using namespace retort;
  const std::vector<Command> commands{serve_command()};
  std::vector<const char*> arguments(argv, argv + argc);
  const std::string_view first = argc > 1 ? argv[1] : "";
  if (first != "serve" && first != "--version") arguments.insert(arguments.begin() + 1, "serve");
  return run_command_line("retort", commands, static_cast<int>(arguments.size()), arguments.data());
}
