#include "tests/support/node.h"

#include <array>
#include <cstdio>
#include <cstdlib>

#include "tests/support/child_process.h"
#include <sys/wait.h>

#include "retort/common/file.h"

namespace retort {
namespace {

std::string quoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? "'\\''" : std::string(1, c);
  return quoted + "'";
}

}  // namespace

std::string node_missing(bool browser) {
  if (!installed("node")) return "no node here: scripts/install brings it";
  if (!fs::exists(RETORT_TESTS "/node/node_modules/.retort-lock"))
    return "the packages of tests/node are not installed: run scripts/install";
  const char* chromium = std::getenv("CHROMIUM");
  if (browser && !installed(chromium == nullptr ? "chromium" : chromium))
    return "no chromium here: scripts/install brings it";
  return "";
}

NodeRun run_node(const std::string& script, const std::vector<std::string>& arguments,
                 int seconds) {
  std::string command =
      "timeout " + std::to_string(seconds) + " node " + quoted(RETORT_TESTS "/node/" + script);
  for (const std::string& argument : arguments) command += " " + quoted(argument);
  NodeRun run;
  std::FILE* const pipe = popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) return run;
  std::array<char, 4096> part{};
  while (const size_t bytes = std::fread(part.data(), 1, part.size(), pipe))
    run.output.append(part.data(), bytes);
  const int status = pclose(pipe);
  run.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return run;
}

}  // namespace retort
