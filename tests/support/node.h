// Scripts of tests/node under Node, with the packages that scripts/install puts there.
#pragma once

#include <string>
#include <vector>

namespace retort {

/// Why such a script cannot run here, to skip with; empty if it can. `browser`: it starts Chromium.
std::string node_missing(bool browser);

struct NodeRun {
  int status = -1;     // of the process; 124: it took longer than `seconds`
  std::string output;  // of both streams
};
/// `script`: a file of tests/node.
NodeRun run_node(const std::string& script, const std::vector<std::string>& arguments,
                 int seconds = 120);

}  // namespace retort
