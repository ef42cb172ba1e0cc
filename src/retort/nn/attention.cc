#include "retort/nn/attention.h"

#include <cmath>
#include <span>

#include "retort/common/error.h"
#include "retort/kernel/attention.h"
#include "retort/kernel/products.h"
#include "retort/kernel/runs.h"

namespace retort {
namespace {

constexpr int64_t kGrainRows = 32;  // users worth a thread

using Variables = torch::autograd::tensor_list;

bool in_loops(const torch::Tensor& x) { return x.is_cpu() && x.scalar_type() == torch::kFloat32; }

std::span<float> floats(const torch::Tensor& x) {
  return {x.data_ptr<float>(), static_cast<size_t>(x.numel())};
}

/// Calls body(offsets of some rows), the rows shared among threads.
void for_rows(const torch::Tensor& offsets, const auto& body) {
  const std::span all(offsets.data_ptr<int32_t>(), static_cast<size_t>(offsets.size(0)));
  in_runs(offsets.size(0) - 1, kGrainRows, [&](int64_t begin, int64_t end) {
    body(all.subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin + 1)));
  });
}

struct SelfAttention : torch::autograd::Function<SelfAttention> {
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& qkv,
                               const torch::Tensor& offsets, int64_t heads) {
    context->save_for_backward({qkv, offsets});
    context->saved_data["heads"] = heads;
    const int64_t dim = qkv.size(1) / 3;
    torch::Tensor out = torch::zeros({qkv.size(0), dim}, qkv.options());
    for_rows(offsets, [&](std::span<const int32_t> rows) {
      retort::self_attention(floats(qkv), rows, dim, heads, floats(out));
    });
    return out;
  }
  static Variables backward(torch::autograd::AutogradContext* context, Variables grads) {
    const Variables saved = context->get_saved_variables();
    const torch::Tensor &qkv = saved[0], &offsets = saved[1], grad = grads[0].contiguous();
    const int64_t heads = context->saved_data["heads"].toInt();
    torch::Tensor d_qkv = torch::zeros_like(qkv);
    for_rows(offsets, [&](std::span<const int32_t> rows) {
      self_attention_gradient(floats(qkv), rows, qkv.size(1) / 3, heads, floats(grad),
                              floats(d_qkv));
    });
    return {d_qkv, torch::Tensor(), torch::Tensor()};
  }
};

struct PairProducts : torch::autograd::Function<PairProducts> {
  /// @param fields [F, R, D]
  static torch::Tensor forward(torch::autograd::AutogradContext* context,
                               const torch::Tensor& fields) {
    context->save_for_backward({fields});
    const int64_t count = fields.size(0), pairs = count * (count - 1) / 2;
    torch::Tensor out = torch::empty({fields.size(1), pairs}, fields.options());
    retort::pair_products(floats(fields), count, fields.size(2), floats(out), pairs);
    return out;
  }
  static Variables backward(torch::autograd::AutogradContext* context, Variables grads) {
    const torch::Tensor fields = context->get_saved_variables()[0], grad = grads[0].contiguous();
    torch::Tensor d_fields = torch::empty_like(fields);
    pair_products_gradient(floats(fields), fields.size(0), fields.size(2), floats(grad),
                           floats(d_fields));
    return {d_fields};
  }
};

}  // namespace

StepLayout make_steps(const SparseTensor& column, int64_t length) {
  StepLayout steps;
  steps.rows = column.rows();
  const torch::Tensor counts = column.offsets.diff();
  steps.longest = steps.rows > 0 ? counts.max().item<int64_t>() : 0;
  check(steps.longest <= length, "sequence: a row of {} steps, at most {} are known", steps.longest,
        length);
  steps.offsets = column.offsets.to(torch::kInt32).contiguous();
  steps.row = torch::repeat_interleave(torch::arange(steps.rows, counts.options()), counts);
  steps.position = torch::arange(column.ids.size(0), counts.options()) -
                   column.offsets.index_select(0, steps.row);
  return steps;
}

torch::Tensor self_attention(const torch::Tensor& qkv, const StepLayout& layout, int64_t heads) {
  if (!in_loops(qkv)) return self_attention_by_ops(qkv, layout, heads);
  return SelfAttention::apply(qkv.contiguous(), layout.offsets, heads);
}

torch::Tensor self_attention_by_ops(const torch::Tensor& qkv, const StepLayout& layout,
                                    int64_t heads) {
  const int64_t dim = qkv.size(1) / 3, each = dim / heads, steps = layout.row.size(0);
  const torch::Tensor offsets = layout.offsets.to(torch::kInt64), counts = offsets.diff();
  const torch::Tensor place = torch::arange(layout.longest, counts.options()).unsqueeze(0);
  const torch::Tensor within = place < counts.unsqueeze(1);
  // Behind a row's end stands its last step (of an empty row, the step before it).
  const torch::Tensor source = (torch::minimum(place, (counts - 1).unsqueeze(1)) +
                                offsets.narrow(0, 0, layout.rows).unsqueeze(1))
                                   .clamp_min(0)
                                   .reshape(-1);
  const torch::Tensor padding = within.logical_not().to(qkv.scalar_type()) * -1e9F;
  const torch::Tensor parts = qkv.index_select(0, source)
                                  .view({layout.rows, layout.longest, 3, heads, each})
                                  .permute({2, 0, 3, 1, 4});  // [3, G, heads, L, each]
  const torch::Tensor query = parts[0] / std::sqrt(static_cast<double>(each));
  const torch::Tensor scores = torch::matmul(query, parts[1].transpose(-2, -1)) +
                               padding.view({layout.rows, 1, 1, layout.longest});
  const torch::Tensor mixed = torch::matmul(torch::softmax(scores, -1), parts[2])
                                  .permute({0, 2, 1, 3})
                                  .reshape({layout.rows * layout.longest, dim});
  const torch::Tensor out = mixed.index_select(0, layout.row * layout.longest + layout.position);
  return torch::constant_pad_nd(out, {0, 0, 0, qkv.size(0) - steps});
}

torch::Tensor pair_products(const std::vector<torch::Tensor>& fields) {
  if (!in_loops(fields[0])) return pair_products_by_ops(fields);
  return PairProducts::apply(torch::stack(fields, 0));
}

torch::Tensor pair_products_by_ops(const std::vector<torch::Tensor>& fields) {
  const auto count = static_cast<int64_t>(fields.size());
  const torch::Tensor stacked = torch::stack(fields, 1);  // [R, F, D]
  const torch::Tensor all = torch::matmul(stacked, stacked.transpose(1, 2));
  const torch::Tensor pairs =
      torch::triu_indices(count, count, 1, all.options().dtype(torch::kLong));
  return all.reshape({-1, count * count}).index_select(1, pairs[0] * count + pairs[1]);
}

}  // namespace retort
