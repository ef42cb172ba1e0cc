// Runs the built executables as a user would and catches what they print.
#pragma once

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <sys/wait.h>
#include <unistd.h>

#include "retort/common/file.h"
#include "retort/common/json.h"

namespace retort {

struct Outcome {
  int code = -1;
  std::string out, err;
  Json json() const { return Json::parse(out); }
};

/// A folder of the test's own that vanishes with it.
class TestFolder {
 public:
  TestFolder() {
    std::string name = (fs::temp_directory_path() / "retort-cli-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~TestFolder() { fs::remove_all(path_); }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

/// Runs `program` (of the build's folder unless a path) with shell-quoted `arguments`.
inline Outcome run_program(const fs::path& program, const std::string& arguments) {
  static std::atomic<int> count{0};
  const fs::path errors =
      fs::temp_directory_path() /
      ("retort-cli-stderr-" + std::to_string(::getpid()) + "-" + std::to_string(count++));
  const std::string command = "'" + (fs::path(RETORT_BIN) / program).string() + "' " + arguments +
                              " 2>'" + errors.string() + "'";
  Outcome outcome;
  FILE* pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return outcome;
  std::array<char, 4096> buffer{};
  for (size_t read = 0; (read = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;)
    outcome.out.append(buffer.data(), read);
  const int status = ::pclose(pipe);
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  outcome.err = read_file(errors);
  fs::remove(errors);
  return outcome;
}

inline Outcome retort_command(const std::string& arguments) {
  return run_program("retort", arguments);
}

}  // namespace retort
