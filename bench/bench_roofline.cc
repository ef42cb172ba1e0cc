// What oneDNN alone reaches at the shapes of DMTL's joint step (bench_training): every product of
// the dense layers, forward and both backward ones, one after another on zeros, nothing else.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <unordered_map>
#include <vector>

#include <CLI/CLI.hpp>
#include <dnnl.hpp>
#include <omp.h>

namespace {

using dnnl::memory;
using Type = memory::data_type;
using Layout = memory::format_tag;
using Seconds = std::chrono::duration<double>;

struct Shape {
  int64_t in, out;
};

/// Layers of both experts, both task towers, the user and the item tower; inputs padded to 64.
constexpr Shape kLayers[] = {
    {448, 1024}, {1024, 512}, {512, 256}, {448, 1024}, {1024, 512}, {512, 256},
    {256, 256},  {256, 256},  {256, 256}, {256, 256},  {256, 512},  {512, 256},
    {256, 128},  {192, 512},  {512, 256}, {256, 128},
};

/// One product with its buffers.
struct Product {
  dnnl::primitive primitive;
  std::unordered_map<int, memory> arguments;
};

memory zeros(const memory::desc& desc, const dnnl::engine& cpu) {
  memory made(desc, cpu);
  std::memset(made.get_data_handle(), 0, desc.get_size());
  return made;
}

std::vector<Product> products_of(const Shape& shape, int64_t rows, Type type,
                                 const dnnl::engine& cpu) {
  const memory::desc x({rows, shape.in}, type, Layout::ab), y({rows, shape.out}, type, Layout::ab);
  const memory::desc any({shape.out, shape.in}, type, Layout::any);
  const memory::desc bias({shape.out}, Type::f32, Layout::x);
  const dnnl::inner_product_forward::primitive_desc forward(
      {dnnl::prop_kind::forward_training, x, any, bias, y}, cpu);
  const dnnl::inner_product_backward_data::primitive_desc data({x, any, y}, cpu, forward);
  const memory::desc turned({shape.out, rows}, type, Layout::ba);
  const memory::desc gradient({shape.out, shape.in}, Type::f32, Layout::ab);
  const dnnl::matmul::primitive_desc weights({turned, x, gradient}, cpu);
  const memory xm = zeros(x, cpu), ym = zeros(y, cpu);
  return {{dnnl::inner_product_forward(forward),
           {{DNNL_ARG_SRC, xm},
            {DNNL_ARG_WEIGHTS, zeros(forward.weights_desc(), cpu)},
            {DNNL_ARG_BIAS, zeros(bias, cpu)},
            {DNNL_ARG_DST, ym}}},
          {dnnl::inner_product_backward_data(data),
           {{DNNL_ARG_DIFF_DST, ym},
            {DNNL_ARG_WEIGHTS, zeros(data.weights_desc(), cpu)},
            {DNNL_ARG_DIFF_SRC, xm}}},
          {dnnl::matmul(weights),
           {{DNNL_ARG_SRC, zeros(turned, cpu)},
            {DNNL_ARG_WEIGHTS, xm},
            {DNNL_ARG_DST, zeros(gradient, cpu)}}}};
}

}  // namespace

int main(int argc, char** argv) {
  int threads = 1, rounds = 20;
  int64_t rows = 2048;
  std::string precision = "bf16";
  CLI::App app("oneDNN at the shapes of the joint training step");
  app.add_option("--threads", threads);
  app.add_option("--batch", rows);
  app.add_option("--rounds", rounds)->check(CLI::PositiveNumber);
  app.add_option("--precision", precision)->check(CLI::IsMember({"fp32", "bf16"}));
  CLI11_PARSE(app, argc, argv);
  omp_set_num_threads(threads);
  const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  dnnl::stream stream(cpu);
  std::vector<Product> products;
  double flops = 0;
  for (const Shape& shape : kLayers) {
    for (Product& product :
         products_of(shape, rows, precision == "bf16" ? Type::bf16 : Type::f32, cpu))
      products.push_back(std::move(product));
    flops += 6.0 * static_cast<double>(rows * shape.in * shape.out);
  }
  std::vector<double> seconds;
  for (int round = 0; round < rounds + 2; ++round) {
    const auto begin = std::chrono::steady_clock::now();
    for (const Product& product : products) product.primitive.execute(stream, product.arguments);
    stream.wait();
    if (round >= 2) seconds.push_back(Seconds(std::chrono::steady_clock::now() - begin).count());
  }
  std::sort(seconds.begin(), seconds.end());
  const double median = seconds[seconds.size() / 2];
  std::printf("roofline precision=%s threads=%d batch=%ld step_ms=%.1f dense_gflops=%.1f\n",
              precision.c_str(), threads, rows, median * 1e3, flops / median / 1e9);
  return 0;
}
