#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "retort/cli/command.h"
#include "retort/trainer/torch_info.h"

namespace retort {
namespace {

Answer run() {
  const TorchInfo info = torch_info();
  Answer answer;
  answer.json = {{"libtorch", info.version}, {"threads", info.threads}, {"cuda", info.cuda}};
  answer.text = fmt::format("libtorch {}, {} threads, CUDA {}\n", info.version, info.threads,
                            info.cuda ? "seen" : "not seen");
  return answer;
}

Action add(CLI::App&, const CommonFlags&) {
  return [] { return run(); };
}

}  // namespace

Command doctor_torch_command() {
  return {{.name = "doctor",
           .summary = "what libtorch offers here",
           .examples = "  retort-train doctor\n"},
          &add};
}

}  // namespace retort
