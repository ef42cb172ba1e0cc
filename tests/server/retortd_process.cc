#include "tests/server/retortd_process.h"

#include <chrono>
#include <csignal>
#include <cstdio>
#include <thread>

#include <sys/wait.h>
#include <unistd.h>

namespace retort {

using namespace std::chrono_literals;

RetortdProcess::RetortdProcess(std::vector<std::string> arguments, const fs::path& log) {
  std::string executable = RETORT_BIN "/retortd", port = "--port", any = "0";
  std::vector<char*> argv{executable.data()};
  for (std::string& argument : arguments) argv.push_back(argument.data());
  for (std::string* last : {&port, &any}) argv.push_back(last->data());
  argv.push_back(nullptr);
  child_ = fork();
  if (child_ == 0) {
    if (std::freopen(log.c_str(), "w", stderr) == nullptr) _exit(126);
    execv(executable.c_str(), argv.data());
    _exit(127);
  }
  for (int i = 0; i < 500 && port_ == 0; ++i) {
    std::this_thread::sleep_for(20ms);
    const std::string text = fs::exists(log) ? read_file(log) : "";
    if (text.find("error:") != std::string::npos) return;
    const size_t at = text.find("127.0.0.1:");
    if (at != std::string::npos && text.find('\n', at) != std::string::npos)
      port_ = static_cast<uint16_t>(std::stoi(text.substr(at + 10)));
  }
}

RetortdProcess::~RetortdProcess() {
  if (child_ <= 0) return;
  kill(child_, SIGKILL);
  waitpid(child_, nullptr, 0);
}

void RetortdProcess::signal(int number) const { kill(child_, number); }

int RetortdProcess::wait() {
  for (int i = 0; i < 500; ++i) {
    int status = 0;
    if (waitpid(child_, &status, WNOHANG) == child_) {
      child_ = -1;
      return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
    std::this_thread::sleep_for(20ms);
  }
  return -1;
}

}  // namespace retort
