#include "retort/nn/mixed_input.h"

#include <algorithm>

#include <ATen/Parallel.h>

#include "retort/common/trace.h"
#include "retort/kernel/fused_dense.h"
#include "retort/nn/bf16_view.h"
#include "retort/nn/dense_layer.h"
#include "retort/nn/mixed_precision.h"

namespace retort {
namespace {

constexpr int64_t kRowGrain = 256;  // rows worth a thread

struct FieldsHolder : torch::CustomClassHolder {
  std::vector<MixedField> fields;
  int64_t width = 0;  // of the fields alone
};

/// Fills the field's columns of x, which begin at `x`. T: how the table is stored.
template <class T>
void gather_field(const MixedField& field, const T* weight, Bf16* x, int64_t rows, int64_t stride) {
  const int64_t dim = field.table->weight.size(1);
  const int64_t* ids = field.column.ids.data_ptr<int64_t>();
  const int64_t* offsets = field.column.single ? nullptr : field.column.offsets.data_ptr<int64_t>();
  const bool mean = field.pooling == Pooling::kMean;
  at::parallel_for(0, rows, kRowGrain, [&](int64_t begin, int64_t end) {
    constexpr int64_t kAhead = 8;
    for (int64_t row = begin; row < end; ++row) {
      const int64_t first = offsets != nullptr ? offsets[row] : row;
      const int64_t count = offsets != nullptr ? offsets[row + 1] - first : 1;
      if (offsets == nullptr && row + kAhead < end) {
        const T* next = weight + ids[row + kAhead] * dim;
        __builtin_prefetch(next);
        __builtin_prefetch(next + dim - 1);
      }
      sum_rows(weight, dim, ids + first, count,
               mean ? 1.0F / static_cast<float>(std::max<int64_t>(1, count)) : 1.0F,
               x + row * stride);
    }
  });
}

void round_dense(const torch::Tensor& dense, Bf16* x, int64_t stride) {
  const torch::Tensor from = dense.contiguous();
  const int64_t width = dense.size(1);
  for (int64_t row = 0; row < dense.size(0); ++row)
    to_bf16(from.data_ptr<float>() + row * width, 1, width, width, x + row * stride, width);
}

struct MixedInput : torch::autograd::Function<MixedInput> {
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor&,
                               const c10::intrusive_ptr<FieldsHolder>& holder,
                               const c10::optional<torch::Tensor>& maybe_dense, int64_t rows) {
    const torch::Tensor dense = maybe_dense.value_or(torch::Tensor());
    const TraceScope trace("embeddings: gather");
    context->saved_data["fields"] = c10::IValue::make_capsule(holder);
    const int64_t width = holder->width + (dense.defined() ? dense.size(1) : 0);
    const int64_t stride = padded_width(width);
    torch::Tensor out = torch::empty({rows, stride}, torch::kBFloat16);
    Bf16* x = bits(out);
    int64_t at = 0;
    for (const MixedField& field : holder->fields) {
      const torch::Tensor& weight = field.table->weight;
      if (weight.scalar_type() == torch::kBFloat16)
        gather_field(field, bits(weight), x + at, rows, stride);
      else
        gather_field(field, weight.data_ptr<float>(), x + at, rows, stride);
      at += field.table->weight.size(1);
    }
    if (dense.defined()) round_dense(dense, x + at, stride);
    for (int64_t row = 0; row < rows; ++row)
      std::fill(x + row * stride + width, x + (row + 1) * stride, Bf16{0});
    if (!all_finite(x, rows * stride)) MixedPrecision::report_nonfinite();
    return out;
  }

  static torch::autograd::tensor_list backward(torch::autograd::AutogradContext* context,
                                               torch::autograd::tensor_list grads) {
    const TraceScope trace("embeddings: gradients of rows");
    const auto capsule = context->saved_data["fields"].toCapsule();
    auto& holder = static_cast<FieldsHolder&>(*capsule);
    const torch::Tensor grad = grads[0].to(torch::kFloat32);
    int64_t at = 0;
    for (MixedField& field : holder.fields) {
      const int64_t dim = field.table->weight.size(1);
      if (field.column.ids.size(0) > 0)
        field.table->pending.push_back(
            unpool_rows(grad.narrow(1, at, dim), field.column, field.pooling, field.table->merger));
      at += dim;
    }
    return {torch::Tensor(), torch::Tensor(), torch::Tensor(), torch::Tensor()};
  }
};

/// On a GPU: the fp32 lookups, padded and rounded by libtorch.
torch::Tensor mixed_input_by_ops(std::vector<MixedField>& fields, const torch::Tensor& dense) {
  std::vector<torch::Tensor> parts;
  for (MixedField& field : fields)
    parts.push_back(field.table->lookup(field.column, field.pooling));
  if (dense.defined()) parts.push_back(dense);
  return to_padded_bf16(torch::cat(parts, 1));
}

}  // namespace

torch::Tensor mixed_input(std::vector<MixedField> fields, const torch::Tensor& dense,
                          int64_t rows) {
  const bool cpu = fields.empty() ? dense.is_cpu() : fields[0].table->weight.is_cpu();
  if (!cpu) return mixed_input_by_ops(fields, dense);
  auto holder = c10::make_intrusive<FieldsHolder>();
  for (const MixedField& field : fields) {
    field.table->check_ids(field.column);
    holder->width += field.table->weight.size(1);
  }
  holder->fields = std::move(fields);
  return MixedInput::apply(table_anchor(), holder,
                           dense.defined() ? c10::make_optional(dense) : c10::nullopt, rows);
}

}  // namespace retort
