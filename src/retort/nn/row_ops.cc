#include "retort/nn/row_ops.h"

#include <algorithm>
#include <string>
#include <utility>

#include "retort/common/error.h"
#include "retort/kernel/rows.h"
#include "retort/kernel/runs.h"
#include "retort/nn/bf16_view.h"

namespace retort {
namespace {

constexpr int64_t kElementGrain = 1 << 15;  // elements worth a thread

int64_t grain_rows(int64_t dim) {
  return std::max<int64_t>(1, kElementGrain / std::max<int64_t>(1, dim));
}

template <class T>
void add_row(T* out, const T* row, T scale, int64_t dim) {
  for (int64_t d = 0; d < dim; ++d) out[d] += scale * row[d];
}

template <class T>
void gather(const T* weight, const int64_t* ids, int64_t rows, int64_t dim, T* out) {
  in_runs(rows, grain_rows(dim), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      std::copy_n(weight + ids[row] * dim, dim, out + row * dim);
  });
}

template <class T>
void pool(const T* weight, const int64_t* ids, const int64_t* offsets, int64_t rows, int64_t dim,
          Pooling pooling, T* out) {
  in_runs(rows, grain_rows(dim * 4), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      T* sum = out + row * dim;
      std::fill_n(sum, dim, T(0));
      const int64_t count = offsets[row + 1] - offsets[row];
      for (int64_t at = offsets[row]; at < offsets[row + 1]; ++at)
        add_row(sum, weight + ids[at] * dim, T(1), dim);
      if (pooling == Pooling::kMean && count > 1)
        for (int64_t d = 0; d < dim; ++d) sum[d] /= static_cast<T>(count);
    }
  });
}

/// [nnz] the row each id belongs to.
torch::Tensor row_of_id(const SparseTensor& column) {
  const torch::Tensor counts = column.offsets.diff();
  return torch::repeat_interleave(torch::arange(column.rows(), counts.options()), counts);
}

/// [R, 1] what each row's ids are weighted with.
torch::Tensor row_scale(const SparseTensor& column, const torch::Tensor& like) {
  return column.offsets.diff().clamp_min(1).to(like.scalar_type()).reciprocal().unsqueeze(1);
}

/// Adds row r of x to row `owner[r]` of [groups, D], in the order of r whatever the number of
/// threads.
torch::Tensor add_up(const torch::Tensor& given, const torch::Tensor& owner, int64_t groups) {
  const torch::Tensor x = given.contiguous();
  torch::Tensor sum = torch::zeros({groups, x.size(1)}, x.options());
  if (!x.is_cpu()) return sum.index_add_(0, owner, x);
  const int64_t* row = owner.data_ptr<int64_t>();
  const int64_t rows = x.size(0), dim = x.size(1);
  AT_DISPATCH_FLOATING_TYPES(x.scalar_type(), "add_up", [&] {
    const auto* in = x.data_ptr<scalar_t>();
    auto* out = sum.data_ptr<scalar_t>();
    // Threads share the columns, so that each sum is made by one of them.
    in_runs(dim, grain_rows(rows), [&](int64_t begin, int64_t end) {
      for (int64_t r = 0; r < rows; ++r)
        add_row(out + row[r] * dim + begin, in + r * dim + begin, scalar_t(1), end - begin);
    });
  });
  return sum;
}

using Variables = torch::autograd::tensor_list;

struct ExpandRows : torch::autograd::Function<ExpandRows> {
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& source) {
    context->save_for_backward({source});
    context->saved_data["rows"] = x.size(0);
    return x.index_select(0, source);
  }
  static Variables backward(torch::autograd::AutogradContext* context, Variables grads) {
    const torch::Tensor source = context->get_saved_variables()[0];
    return {add_up(grads[0], source, context->saved_data["rows"].toInt()), torch::Tensor()};
  }
};

struct SumRows : torch::autograd::Function<SumRows> {
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& owner, int64_t groups) {
    context->save_for_backward({owner});
    return add_up(x, owner, groups);
  }
  static Variables backward(torch::autograd::AutogradContext* context, Variables grads) {
    const torch::Tensor owner = context->get_saved_variables()[0];
    return {grads[0].index_select(0, owner), torch::Tensor(), torch::Tensor()};
  }
};

}  // namespace

Pooling parse_pooling(std::string_view name) {
  if (name == "mean") return Pooling::kMean;
  if (name == "sum") return Pooling::kSum;
  fail<ConfigError>("pooling '{}' is unknown: use mean or sum", name);
}

RowGradients merge_gradients(const torch::Tensor& ids, const torch::Tensor& grads,
                             const std::vector<int32_t>& source, const std::vector<float>& scale) {
  thread_local GroupedIds scratch;
  GroupedIds& grouped = scratch;  // this thread's, also for those who help
  grouped.group({ids.data_ptr<int64_t>(), static_cast<size_t>(ids.size(0))});
  const auto slots = std::ssize(grouped.distinct());
  const int64_t dim = grads.size(1);
  const bool narrow = grads.scalar_type() == torch::kBFloat16;
  RowGradients out;
  out.unique = true;
  out.ids = torch::empty({slots}, torch::kInt64);
  std::copy(grouped.distinct().begin(), grouped.distinct().end(), out.ids.data_ptr<int64_t>());
  const torch::Tensor rows = grads.stride(1) == 1 ? grads : grads.contiguous();
  out.grads =
      torch::empty({slots, dim}, narrow ? grads.options().dtype(torch::kFloat32) : grads.options());
  const int64_t stride = rows.stride(0);
  const auto sum_up = [&](const auto* in, auto* sum) {
    in_runs(slots, grain_rows(dim), [&](int64_t first, int64_t last) {
      for (int64_t slot = first; slot < last; ++slot) {
        bool more = false;
        for (const int32_t p : grouped.places(slot)) {
          const auto at = static_cast<size_t>(p);
          take_row(in + (source.empty() ? p : source[at]) * stride, dim,
                   scale.empty() ? 1.0F : scale[at], std::exchange(more, true), sum + slot * dim);
        }
      }
    });
  };
  if (narrow)
    sum_up(bits(rows), out.grads.data_ptr<float>());
  else if (rows.scalar_type() == torch::kFloat64)
    sum_up(rows.data_ptr<double>(), out.grads.data_ptr<double>());
  else
    sum_up(rows.data_ptr<float>(), out.grads.data_ptr<float>());
  return out;
}

torch::Tensor pool_rows(const torch::Tensor& weight, const SparseTensor& column, Pooling pooling) {
  if (!weight.is_cpu() || weight.scalar_type() == torch::kBFloat16)
    return pool_rows_by_ops(weight, column, pooling);
  const int64_t rows = column.rows(), dim = weight.size(1);
  torch::Tensor out = torch::empty({rows, dim}, weight.options());
  const torch::Tensor ids = column.ids.contiguous(), offsets = column.offsets.contiguous();
  AT_DISPATCH_FLOATING_TYPES(weight.scalar_type(), "pool_rows", [&] {
    const auto* from = weight.data_ptr<scalar_t>();
    auto* to = out.data_ptr<scalar_t>();
    if (column.single)
      gather(from, ids.data_ptr<int64_t>(), rows, dim, to);
    else
      pool(from, ids.data_ptr<int64_t>(), offsets.data_ptr<int64_t>(), rows, dim, pooling, to);
  });
  return out;
}

torch::Tensor pool_rows_by_ops(const torch::Tensor& weight, const SparseTensor& column,
                               Pooling pooling) {
  torch::Tensor gathered = weight.index_select(0, column.ids);
  if (gathered.scalar_type() == torch::kBFloat16) gathered = gathered.to(torch::kFloat32);
  if (column.single) return gathered;
  torch::Tensor out = torch::zeros({column.rows(), weight.size(1)}, gathered.options());
  out.index_add_(0, row_of_id(column), gathered);
  return pooling == Pooling::kMean ? out.mul_(row_scale(column, out)) : out;
}

RowGradients unpool_rows(const torch::Tensor& grad, const SparseTensor& column, Pooling pooling) {
  if (!grad.is_cpu()) return unpool_rows_by_ops(grad, column, pooling);
  const torch::Tensor ids = column.ids.contiguous(), offsets = column.offsets.contiguous();
  if (column.single) return merge_gradients(ids, grad, {}, {});
  std::vector<int32_t> source(ids.size(0));
  std::vector<float> scale(pooling == Pooling::kMean ? ids.size(0) : 0);
  const int64_t* offset = offsets.data_ptr<int64_t>();
  for (int64_t row = 0; row < column.rows(); ++row) {
    const float share =
        1.0F / static_cast<float>(std::max<int64_t>(1, offset[row + 1] - offset[row]));
    for (int64_t at = offset[row]; at < offset[row + 1]; ++at) {
      source[at] = static_cast<int32_t>(row);
      if (!scale.empty()) scale[at] = share;
    }
  }
  return merge_gradients(ids, grad, source, scale);
}

RowGradients unpool_rows_by_ops(const torch::Tensor& grad, const SparseTensor& column,
                                Pooling pooling) {
  if (column.single) return {column.ids, grad.contiguous(), false};
  const torch::Tensor scaled = pooling == Pooling::kMean ? grad * row_scale(column, grad) : grad;
  return {column.ids, scaled.index_select(0, row_of_id(column)), false};
}

RowGradients merge_rows(const std::vector<RowGradients>& parts) {
  if (parts.size() == 1 && parts[0].unique) return parts[0];
  if (!parts.at(0).grads.is_cpu()) return merge_rows_by_ops(parts);
  std::vector<torch::Tensor> ids, grads;
  for (const RowGradients& part : parts) {
    ids.push_back(part.ids);
    grads.push_back(part.grads);
  }
  return merge_gradients(torch::cat(ids), torch::cat(grads), {}, {});
}

RowGradients merge_rows_by_ops(const std::vector<RowGradients>& parts) {
  std::vector<torch::Tensor> ids, grads;
  for (const RowGradients& part : parts) {
    ids.push_back(part.ids);
    grads.push_back(part.grads);
  }
  const auto [distinct, place, counts] = torch::unique_dim(torch::cat(ids), 0, true, true);
  const torch::Tensor all = torch::cat(grads);
  torch::Tensor sum = torch::zeros({distinct.size(0), all.size(1)}, all.options());
  sum.index_add_(0, place, all);
  return {distinct, sum, true};
}

torch::Tensor sum_rows(const torch::Tensor& x, const torch::Tensor& owner, int64_t groups) {
  return SumRows::apply(x, owner, groups);
}

torch::Tensor expand_rows(const torch::Tensor& x, const torch::Tensor& source) {
  return ExpandRows::apply(x, source);
}

}  // namespace retort
