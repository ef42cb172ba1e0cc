#include "retort/nn/init.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "retort/common/error.h"
#include "retort/kernel/runs.h"
#include "retort/nn/bf16_view.h"
#include "retort/nn/embedding.h"

namespace retort {

Rng parameter_stream(const Rng& init, std::string_view name) {
  uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return init.fork(hash);
}

void fill_normal(torch::Tensor tensor, const Rng& init, std::string_view name, double deviation) {
  check(tensor.is_cpu() && tensor.is_contiguous() && tensor.scalar_type() == torch::kFloat32,
        "init: '{}' must be a contiguous float tensor on the CPU", name);
  const Rng stream = parameter_stream(init, name);
  float* values = tensor.data_ptr<float>();
  in_runs(tensor.numel(), 1 << 12, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      values[i] = static_cast<float>(deviation * stream.normal(static_cast<uint64_t>(i)));
  });
}

namespace {

/// A bf16 table, by runs of fp32 values.
void fill_rounded(const torch::Tensor& table, const Rng& init, const std::string& name,
                  double deviation) {
  const Rng stream = parameter_stream(init, name);
  Bf16* to = bits(table);
  constexpr int64_t kRun = 1 << 12;
  in_runs(table.numel(), kRun, [&](int64_t begin, int64_t end) {
    std::vector<float> run(kRun);
    for (int64_t first = begin; first < end; first += kRun) {
      const int64_t count = std::min(kRun, end - first);
      for (int64_t i = 0; i < count; ++i)
        run[static_cast<size_t>(i)] =
            static_cast<float>(deviation * stream.normal(static_cast<uint64_t>(first + i)));
      to_bf16(run.data(), 1, count, count, to + first, count);
    }
  });
}

}  // namespace

void initialise(torch::nn::LinearImpl& layer, const Rng& init, const std::string& name,
                Followed followed) {
  const torch::NoGradGuard no_grad;
  const auto in = static_cast<double>(layer.weight.size(1));
  const auto out = static_cast<double>(layer.weight.size(0));
  const double deviation = std::sqrt(2 / (followed == Followed::kByRelu ? in : in + out));
  fill_normal(layer.weight.detach(), init, name + ".weight", deviation);
  if (layer.bias.defined()) layer.bias.zero_();
}

void initialise_tables(torch::nn::Module& module, const Rng& init, double deviation) {
  for (auto& [name, table] : embedding_tables(module)) {
    if (table->weight.scalar_type() == torch::kFloat32)
      fill_normal(table->weight, init, name + ".weight", deviation);
    else
      fill_rounded(table->weight, init, name + ".weight", deviation);
  }
}

}  // namespace retort
