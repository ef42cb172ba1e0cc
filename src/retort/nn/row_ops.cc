#include "retort/nn/row_ops.h"

#include <algorithm>
#include <string>

#include <ATen/Parallel.h>

#include "retort/common/error.h"

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
  at::parallel_for(0, rows, grain_rows(dim), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      std::copy_n(weight + ids[row] * dim, dim, out + row * dim);
  });
}

template <class T>
void pool(const T* weight, const int64_t* ids, const int64_t* offsets, int64_t rows, int64_t dim,
          Pooling pooling, T* out) {
  at::parallel_for(0, rows, grain_rows(dim * 4), [&](int64_t begin, int64_t end) {
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
    at::parallel_for(0, dim, grain_rows(rows), [&](int64_t begin, int64_t end) {
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

RowGradients RowMerger::merge(const torch::Tensor& ids, const torch::Tensor& grads,
                              const std::vector<int32_t>& source, const std::vector<float>& scale) {
  const int64_t n = ids.size(0), dim = grads.size(1);
  const int64_t* id = ids.data_ptr<int64_t>();
  if (slot_.empty()) slot_.assign(rows_, -1);
  // Counting sort of the positions by distinct id, both in order of first appearance.
  std::vector<int32_t> slot_of(n), begin;
  std::vector<int64_t> distinct;
  for (int64_t p = 0; p < n; ++p) {
    int32_t& slot = slot_[id[p]];
    if (slot < 0) {
      slot = static_cast<int32_t>(distinct.size());
      distinct.push_back(id[p]);
      begin.push_back(0);
    }
    slot_of[p] = slot;
    ++begin[slot];
  }
  for (const int64_t used : distinct) slot_[used] = -1;
  int32_t total = 0;
  for (int32_t& count : begin) count = std::exchange(total, total + count);
  begin.push_back(total);
  std::vector<int32_t> place(begin), order(n);
  for (int64_t p = 0; p < n; ++p) order[place[slot_of[p]]++] = static_cast<int32_t>(p);

  const auto slots = static_cast<int64_t>(distinct.size());
  RowGradients out;
  out.unique = true;
  out.ids = torch::empty({slots}, torch::kInt64);
  std::copy(distinct.begin(), distinct.end(), out.ids.data_ptr<int64_t>());
  const torch::Tensor rows = grads.stride(1) == 1 ? grads : grads.contiguous();
  out.grads = torch::zeros({slots, dim}, grads.options());
  AT_DISPATCH_FLOATING_TYPES(rows.scalar_type(), "merge_rows", [&] {
    const auto* in = rows.data_ptr<scalar_t>();
    auto* sum = out.grads.data_ptr<scalar_t>();
    const int64_t stride = rows.stride(0);
    at::parallel_for(0, slots, grain_rows(dim), [&](int64_t first, int64_t last) {
      for (int64_t slot = first; slot < last; ++slot) {
        for (int32_t at = begin[slot]; at < begin[slot + 1]; ++at) {
          const int32_t p = order[at];
          const scalar_t factor = scale.empty() ? scalar_t(1) : static_cast<scalar_t>(scale[p]);
          add_row(sum + slot * dim, in + (source.empty() ? p : source[p]) * stride, factor, dim);
        }
      }
    });
  });
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

RowGradients unpool_rows(const torch::Tensor& grad, const SparseTensor& column, Pooling pooling,
                         RowMerger& merger) {
  if (!grad.is_cpu()) return unpool_rows_by_ops(grad, column, pooling);
  const torch::Tensor ids = column.ids.contiguous(), offsets = column.offsets.contiguous();
  if (column.single) return merger.merge(ids, grad, {}, {});
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
  return merger.merge(ids, grad, source, scale);
}

RowGradients unpool_rows_by_ops(const torch::Tensor& grad, const SparseTensor& column,
                                Pooling pooling) {
  if (column.single) return {column.ids, grad.contiguous(), false};
  const torch::Tensor scaled = pooling == Pooling::kMean ? grad * row_scale(column, grad) : grad;
  return {column.ids, scaled.index_select(0, row_of_id(column)), false};
}

RowGradients merge_rows(const std::vector<RowGradients>& parts, RowMerger& merger) {
  if (parts.size() == 1 && parts[0].unique) return parts[0];
  if (!parts.at(0).grads.is_cpu()) return merge_rows_by_ops(parts);
  std::vector<torch::Tensor> ids, grads;
  for (const RowGradients& part : parts) {
    ids.push_back(part.ids);
    grads.push_back(part.grads);
  }
  return merger.merge(torch::cat(ids), torch::cat(grads), {}, {});
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
