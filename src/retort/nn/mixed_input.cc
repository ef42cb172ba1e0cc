#include "retort/nn/mixed_input.h"

#include <algorithm>
#include <atomic>

#include "retort/common/trace.h"
#include "retort/kernel/fused_dense.h"
#include "retort/kernel/rows.h"
#include "retort/kernel/runs.h"
#include "retort/nn/bf16_view.h"
#include "retort/nn/dense_layer.h"
#include "retort/nn/mixed_precision.h"

namespace retort {
namespace {

constexpr int64_t kGatherGrain = 256;  // rows worth a thread

struct PartsHolder : torch::CustomClassHolder {
  std::vector<MixedPart> parts;
  int64_t width = 0;
};

/// Fills the field's columns of rows [begin, end) of x, which begin at `x`. T: how the table is
/// stored.
template <class T>
void gather_field(const MixedField& field, const T* weight, Bf16* x, int64_t begin, int64_t end,
                  int64_t stride) {
  constexpr int64_t kAhead = 8;
  const int64_t dim = field.table->weight.size(1);
  const int64_t* ids = field.column.ids.data_ptr<int64_t>();
  const int64_t* offsets = field.column.single ? nullptr : field.column.offsets.data_ptr<int64_t>();
  const bool mean = field.pooling == Pooling::kMean;
  const int64_t last = offsets != nullptr ? offsets[end] : end;
  const auto fetch = [&](int64_t at) {
    if (at < last) fetch_row(weight + ids[at] * dim, dim * int64_t{sizeof(T)}, false);
  };
  const int64_t from = offsets != nullptr ? offsets[begin] : begin;
  for (int64_t at = from; at < from + kAhead; ++at) fetch(at);
  for (int64_t row = begin; row < end; ++row) {
    const int64_t first = offsets != nullptr ? offsets[row] : row;
    const int64_t count = offsets != nullptr ? offsets[row + 1] - first : 1;
    for (int64_t at = first; at < first + count; ++at) fetch(at + kAhead);
    sum_rows(weight, dim, ids + first, count,
             mean ? 1.0F / static_cast<float>(std::max<int64_t>(1, count)) : 1.0F,
             x + row * stride);
  }
}

/// Rows [begin, end) of x [rows, stride], of whose columns the first `width` have values.
void gather_rows(const std::vector<MixedPart>& parts, int64_t width, int64_t stride, int64_t begin,
                 int64_t end, Bf16* x) {
  int64_t at = 0;
  for (const MixedPart& part : parts) {
    for (const MixedField& field : part.fields) {
      const torch::Tensor& weight = field.table->weight;
      if (weight.scalar_type() == torch::kBFloat16)
        gather_field(field, bits(weight), x + at, begin, end, stride);
      else
        gather_field(field, weight.data_ptr<float>(), x + at, begin, end, stride);
      at += weight.size(1);
    }
    if (!part.dense.defined()) continue;
    const int64_t values = part.dense.size(1);
    const float* from = part.dense.data_ptr<float>();
    for (int64_t row = begin; row < end; ++row)
      to_bf16(from + row * values, 1, values, values, x + row * stride + at, values);
    at += values;
  }
  for (int64_t row = begin; row < end; ++row)
    std::fill(x + row * stride + width, x + (row + 1) * stride, Bf16{0});
}

struct MixedInput : torch::autograd::Function<MixedInput> {
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor&,
                               const c10::intrusive_ptr<PartsHolder>& holder, int64_t rows) {
    const TraceScope trace("embeddings: gather");
    context->saved_data["parts"] = c10::IValue::make_capsule(holder);
    const int64_t width = holder->width, stride = padded_width(width);
    torch::Tensor out = torch::empty({rows, stride}, torch::kBFloat16);
    Bf16* x = bits(out);
    std::atomic<bool> finite = true;
    // Table after table: the pages of few are in use at a time.
    in_runs(rows, kGatherGrain, [&](int64_t begin, int64_t end) {
      gather_rows(holder->parts, width, stride, begin, end, x);
      if (!all_finite(x + begin * stride, (end - begin) * stride)) finite = false;
    });
    if (!finite) MixedPrecision::report_nonfinite();
    return out;
  }

  static torch::autograd::tensor_list backward(torch::autograd::AutogradContext* context,
                                               torch::autograd::tensor_list grads) {
    const TraceScope trace("embeddings: gradients of rows");
    const auto capsule = context->saved_data["parts"].toCapsule();
    auto& holder = static_cast<PartsHolder&>(*capsule);
    struct Job {
      MixedField* field;
      torch::Tensor grad;
      RowGradients rows{};
    };
    std::vector<Job> jobs;
    int64_t at = 0;
    for (MixedPart& part : holder.parts) {
      for (MixedField& field : part.fields) {
        const int64_t dim = field.table->weight.size(1);
        if (field.column.ids.size(0) > 0) jobs.push_back({&field, grads[0].narrow(1, at, dim)});
        at += dim;
      }
      if (part.dense.defined()) at += part.dense.size(1);
    }
    in_runs(std::ssize(jobs), 1, [&](int64_t begin, int64_t end) {
      const torch::NoGradGuard no_grad;
      for (int64_t i = begin; i < end; ++i) {
        Job& job = jobs[static_cast<size_t>(i)];
        job.rows = unpool_rows(job.grad, job.field->column, job.field->pooling);
      }
    });
    // Two fields may share a table.
    for (Job& job : jobs) job.field->table->pending.push_back(std::move(job.rows));
    return {torch::Tensor(), torch::Tensor(), torch::Tensor()};
  }
};

/// On a GPU: the fp32 lookups, padded and rounded by libtorch.
torch::Tensor mixed_input_by_ops(std::vector<MixedPart>& parts) {
  std::vector<torch::Tensor> columns;
  for (MixedPart& part : parts) {
    for (MixedField& field : part.fields)
      columns.push_back(field.table->lookup(field.column, field.pooling));
    if (part.dense.defined()) columns.push_back(part.dense);
  }
  return to_padded_bf16(torch::cat(columns, 1));
}

bool on_cpu(const std::vector<MixedPart>& parts) {
  for (const MixedPart& part : parts) {
    if (!part.fields.empty()) return part.fields[0].table->weight.is_cpu();
    if (part.dense.defined()) return part.dense.is_cpu();
  }
  return true;
}

}  // namespace

torch::Tensor mixed_input(std::vector<MixedPart> parts, int64_t rows) {
  if (!on_cpu(parts)) return mixed_input_by_ops(parts);
  auto holder = c10::make_intrusive<PartsHolder>();
  for (MixedPart& part : parts) {
    for (const MixedField& field : part.fields) {
      field.table->check_ids(field.column);
      holder->width += field.table->weight.size(1);
    }
    if (!part.dense.defined()) continue;
    part.dense = part.dense.contiguous();
    holder->width += part.dense.size(1);
  }
  holder->parts = std::move(parts);
  return MixedInput::apply(table_anchor(), holder, rows);
}

}  // namespace retort
