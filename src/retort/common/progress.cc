#include "retort/common/progress.h"

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <utility>

#include <unistd.h>

#include "retort/common/error.h"
#include "retort/common/text.h"

namespace retort {
namespace {

bool g_enabled = true;
bool g_bar_on_line = false;
std::atomic<bool> g_interrupted = false;  // lock-free, so that a handler may set it

bool on_terminal() {
  static const bool terminal = ::isatty(STDERR_FILENO) == 1;
  return terminal;
}

void on_signal(int signal) {
  if (g_interrupted.exchange(true)) {
    std::signal(signal, SIG_DFL);
    std::raise(signal);
  }
}

}  // namespace

Progress::Progress(std::string label, int64_t total, std::string unit)
    : label_(std::move(label)),
      unit_(std::move(unit)),
      total_(total),
      start_(std::chrono::steady_clock::now()),
      shown_(start_) {}

Progress::~Progress() {
  if (ever_shown_) show(true);
}

double Progress::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

void Progress::update(int64_t done, const std::string& note) {
  done_ = done;
  if (!g_enabled) return;
  if (!note.empty()) note_ = note;
  const auto now = std::chrono::steady_clock::now();
  const double pause = on_terminal() ? (ever_shown_ ? 0.1 : 0.5) : 10.0;
  if (std::chrono::duration<double>(now - shown_).count() < pause) return;
  shown_ = now;
  show(false);
}

void Progress::show(bool last) {
  if (!g_enabled) return;
  ever_shown_ = true;
  const double elapsed = std::max(seconds(), 1e-9);
  const double rate = static_cast<double>(done_) / elapsed;
  std::string line = label_ + ' ';
  if (total_ > 0) {
    const double share = std::min(1.0, static_cast<double>(done_) / static_cast<double>(total_));
    if (on_terminal()) {
      const auto filled = static_cast<size_t>(share * 24);
      line += '[' + std::string(filled, '#') + std::string(24 - filled, '.') + "] ";
    }
    line += fmt::format("{:3.0f}% ", share * 100);
  }
  line += fmt::format("{} {}, {}/s", with_thousands(done_), unit_,
                      with_thousands(static_cast<int64_t>(rate)));
  if (last)
    line += ", took " + format_seconds(elapsed);
  else if (total_ > 0 && rate > 0)
    line += ", " + format_seconds(static_cast<double>(total_ - done_) / rate) + " left";
  if (!note_.empty()) line += ", " + note_;
  if (on_terminal()) {
    std::fprintf(stderr, "\r\033[K%s%s", line.c_str(), last ? "\n" : "");
    g_bar_on_line = !last;
  } else {
    std::fprintf(stderr, "%s\n", line.c_str());
  }
  std::fflush(stderr);
}

void Progress::set_enabled(bool enabled) { g_enabled = enabled; }

void Progress::clear_line() {
  if (!g_bar_on_line) return;
  std::fputs("\r\033[K", stderr);
  g_bar_on_line = false;
}

void catch_interrupts() {
  std::signal(SIGINT, on_signal);
  std::signal(SIGTERM, on_signal);
}

bool interrupted() { return g_interrupted; }

void check_interrupt(const char* what) {
  if (interrupted()) fail<Interrupted>("{}: interrupted", what);
}

}  // namespace retort
