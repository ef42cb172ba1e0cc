// Softmax cross-entropy over a catalogue, forward and backward, beside eager PyTorch in fp32.
//   bench_softmax [ROUNDS = 3] [ROWS = 2048] [ITEMS = 50000] [DIM = 128] [PEER]
// Every round times fp32 and bf16 here on 1 and 2 threads and then the peer (a Python script run
// by RETORT_PYTHON or /usr/bin/python3; left out where that has no torch) on 1 and 2; medians
// over the rounds, and the ratio of the best of each. Memory: the kernel's own buffers, and how the
// peak of the process grew over inputs and outputs.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "retort/common/rng.h"
#include "retort/common/thread_pool.h"
#include "retort/kernel/catalogue_softmax.h"

namespace retort {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int64_t kRepeats = 3;  // steps a measurement; their median counts

struct Shape {
  int64_t rows, items, dim;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

std::vector<float> normal(int64_t size, std::string_view stream, int64_t dim) {
  const Rng rng(1, stream);
  std::vector<float> values(static_cast<size_t>(size));
  const double scale = 1 / std::pow(static_cast<double>(dim), 0.25);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(rng.normal(i) * scale);
  return values;
}

struct Data {
  explicit Data(const Shape& shape)
      : users(normal(shape.rows * shape.dim, "users", shape.dim)),
        items(normal(shape.items * shape.dim, "items", shape.dim)),
        weight(static_cast<size_t>(shape.rows), 1.0f / static_cast<float>(shape.rows)),
        loss(weight.size()),
        user_gradient(users.size()),
        item_gradient(items.size()) {
    const Rng rng(1, "targets");
    for (size_t r = 0; r < weight.size(); ++r)
      targets.push_back(static_cast<int32_t>(rng.below(static_cast<uint64_t>(shape.items), r)));
    input = {
        .dim = shape.dim, .users = users, .items = items, .targets = targets, .weight = weight};
  }
  std::vector<float> users, items, weight, loss, user_gradient, item_gradient;
  std::vector<int32_t> targets;
  CatalogueSoftmaxInput input;
  CatalogueSoftmaxState state;
};

struct Step {
  double forward, backward;
};

Step step(CatalogueSoftmax& softmax, Data& data) {
  const auto begin = Clock::now();
  softmax.forward(data.input, data.loss, data.state);
  const auto middle = Clock::now();
  softmax.backward(data.input, data.state, {}, data.user_gradient, data.item_gradient);
  const auto end = Clock::now();
  return {std::chrono::duration<double>(middle - begin).count(),
          std::chrono::duration<double>(end - middle).count()};
}

/// Peak resident memory of the process in bytes.
int64_t peak_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) return std::stoll(line.substr(6)) * 1024;
  return 0;
}

/// Seconds a step of the peer; nullopt where it does not run.
std::optional<double> peer_seconds(const std::string& script, int threads, const Shape& shape) {
  const char* python = std::getenv("RETORT_PYTHON");
  std::string command = std::string(python == nullptr ? "/usr/bin/python3" : python) + " " + script;
  for (const int64_t argument : {int64_t{threads}, shape.rows, shape.items, shape.dim, kRepeats})
    command += " " + std::to_string(argument);
  FILE* pipe = popen((command + " 2>/dev/null").c_str(), "r");
  if (pipe == nullptr) return std::nullopt;
  double seconds = 0;
  const int read = std::fscanf(pipe, "%lf", &seconds);
  return pclose(pipe) == 0 && read == 1 ? std::optional(seconds) : std::nullopt;
}

void run(int rounds, const Shape& shape, const std::string& peer) {
  Data data(shape);
  const int64_t before = peak_memory();
  std::map<std::pair<Precision, int>, std::vector<double>> ours, forwards;
  std::map<int, std::vector<double>> theirs;
  CatalogueSoftmax fp32(Precision::kFp32), best(Precision::kAuto);
  set_threads(2);
  step(best, data);
  const int64_t grown = peak_memory() - before;
  for (int round = 0; round < rounds; ++round) {
    for (const int threads : {1, 2}) {
      set_threads(threads);
      for (CatalogueSoftmax* softmax : {&fp32, &best}) {
        std::vector<double> all, forward;
        step(*softmax, data);
        for (int64_t i = 0; i < kRepeats; ++i) {
          const Step taken = step(*softmax, data);
          all.push_back(taken.forward + taken.backward);
          forward.push_back(taken.forward);
        }
        ours[{softmax->precision(), threads}].push_back(median(all));
        forwards[{softmax->precision(), threads}].push_back(median(forward));
      }
    }
    for (const int threads : {1, 2})
      if (const auto seconds = peer_seconds(peer, threads, shape))
        theirs[threads].push_back(*seconds);
  }
  const double flop = 8.0 * static_cast<double>(shape.rows) * static_cast<double>(shape.items) *
                      static_cast<double>(shape.dim);
  std::printf("rows %ld, items %ld, width %ld; medians of %d rounds\n", shape.rows, shape.items,
              shape.dim, rounds);
  double least = 1e30, least_fp32 = 1e30, peer_least = 1e30;
  for (const auto& [key, seconds] : ours) {
    const double middle = median(seconds);
    (key.first == Precision::kFp32 ? least_fp32 : least) =
        std::min(middle, key.first == Precision::kFp32 ? least_fp32 : least);
    std::printf("  retort %s, %d threads  %8.1f ms (forward %.1f), %.1f .. %.1f; %.0f GFLOP/s\n",
                precision_name(key.first), key.second, middle * 1e3, median(forwards[key]) * 1e3,
                *std::min_element(seconds.begin(), seconds.end()) * 1e3,
                *std::max_element(seconds.begin(), seconds.end()) * 1e3, flop / middle / 1e9);
  }
  least = std::min(least, least_fp32);
  for (const auto& [threads, seconds] : theirs) {
    peer_least = std::min(peer_least, median(seconds));
    std::printf("  torch fp32, %d threads   %8.1f ms, %.1f .. %.1f\n", threads,
                median(seconds) * 1e3, *std::min_element(seconds.begin(), seconds.end()) * 1e3,
                *std::max_element(seconds.begin(), seconds.end()) * 1e3);
  }
  if (!theirs.empty())
    std::printf("  best against best: %.2f x (fp32 against fp32: %.2f x)\n", peer_least / least,
                peer_least / least_fp32);
  std::printf("  memory beyond inputs and gradients: buffers %.1f MiB; peak of the process +%.1f\n",
              static_cast<double>(best.buffer_bytes()) / 1048576,
              static_cast<double>(grown) / 1048576);
}

}  // namespace
}  // namespace retort

int main(int argc, char** argv) {
  const auto number = [&](int at, int64_t otherwise) {
    return argc > at ? std::stoll(argv[at]) : otherwise;
  };
  retort::run(static_cast<int>(number(1, 3)), {number(2, 2048), number(3, 50'000), number(4, 128)},
              argc > 5 ? argv[5] : RETORT_SOURCE "/bench/peers/softmax_torch.py");
}
