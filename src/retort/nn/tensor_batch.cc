#include "retort/nn/tensor_batch.h"

#include <algorithm>
#include <charconv>

#include "retort/common/error.h"

namespace retort {
namespace {

torch::Tensor int64_tensor(const std::vector<int32_t>& values, torch::Device device) {
  const auto size = static_cast<int64_t>(values.size());
  torch::Tensor host = torch::empty({size}, torch::kInt64);
  std::copy(values.begin(), values.end(), host.data_ptr<int64_t>());
  return host.to(device);
}

torch::Tensor float_tensor(const std::vector<float>& values, torch::IntArrayRef shape,
                           torch::Device device) {
  torch::Tensor host = torch::empty(shape, torch::kFloat32);
  check(host.numel() == static_cast<int64_t>(values.size()),
        "to_tensors: {} values for a tensor of {}", values.size(), host.numel());
  std::copy(values.begin(), values.end(), host.data_ptr<float>());
  return host.to(device);
}

/// Checks that the offsets of `rows` rows run from 0 to the number of ids without falling.
void check_offsets(const SparseColumn& column, int64_t rows) {
  check(static_cast<int64_t>(column.offsets.size()) == rows + 1,
        "to_tensors: {} offsets for {} rows", column.offsets.size(), rows);
  check(column.offsets.front() == 0 &&
            static_cast<size_t>(column.offsets.back()) == column.ids.size(),
        "to_tensors: offsets run from {} to {}, not from 0 to {}", column.offsets.front(),
        column.offsets.back(), column.ids.size());
  check(std::is_sorted(column.offsets.begin(), column.offsets.end()),
        "to_tensors: offsets of {} rows fall somewhere", rows);
}

SparseTensor to_tensor(const SparseColumn& column, int64_t rows, torch::Device device) {
  check_offsets(column, rows);
  SparseTensor out;
  if (!column.ids.empty()) {
    const auto [low, high] = std::minmax_element(column.ids.begin(), column.ids.end());
    if (*low < 0) fail<DataError>("batch: feature id {} is negative", *low);
    out.max_id = *high;
  }
  out.single = static_cast<int64_t>(column.ids.size()) == rows;
  for (int64_t row = 0; out.single && row < rows; ++row) out.single = column.offsets[row] == row;
  out.ids = int64_tensor(column.ids, device);
  out.offsets = int64_tensor(column.offsets, device);
  return out;
}

}  // namespace

SideTensors to_tensors(const SideBatch& side, int32_t dense_width, torch::Device device) {
  SideTensors out;
  out.rows = side.rows;
  out.sparse.reserve(side.sparse.size());
  for (const SparseColumn& column : side.sparse)
    out.sparse.push_back(to_tensor(column, side.rows, device));
  out.dense = float_tensor(side.dense, {side.rows, dense_width}, device);
  return out;
}

DenseWidths dense_widths(const Schema& schema) {
  return {schema.dense_width(Side::kUser), schema.dense_width(Side::kItem),
          schema.dense_width(Side::kPair)};
}

TensorBatch to_tensors(const Batch& batch, const DenseWidths& widths, torch::Device device) {
  const int64_t rows = batch.rows();
  check(static_cast<int64_t>(batch.user_of_row.size()) == rows && batch.items.rows == rows,
        "to_tensors: {} rows, but {} of user_of_row and {} item rows", rows,
        batch.user_of_row.size(), batch.items.rows);
  for (const int32_t row : batch.user_of_row)
    check(row >= 0 && row < batch.users.rows, "to_tensors: user_of_row {} of {} user rows", row,
          batch.users.rows);
  TensorBatch out;
  out.users = to_tensors(batch.users, widths.user, device);
  out.items = to_tensors(batch.items, widths.item, device);
  const bool pairs = batch.pairs.rows == rows;  // empty when the schema has no pair features
  out.pairs = to_tensors(batch.pairs, pairs ? widths.pair : 0, device);
  out.user_of_row = int64_tensor(batch.user_of_row, device);
  out.click = float_tensor(batch.click, {rows}, device);
  out.read = float_tensor(batch.read, {rows}, device);
  out.seconds = float_tensor(batch.seconds, {rows}, device);
  out.known = batch.known.empty() ? torch::ones_like(out.seconds)
                                  : float_tensor(batch.known, {rows}, device);
  for (const std::vector<float>& label : batch.labels)
    out.labels.push_back(float_tensor(label, {rows}, device));
  if (!batch.logged.click.empty()) {
    out.logged_click = float_tensor(batch.logged.click, {rows}, device);
    out.logged_dwm = float_tensor(batch.logged.dwm, {rows}, device);
    out.snapshot = int64_tensor(batch.logged.snapshot, device);
  }
  return out;
}

torch::Device parse_device(const std::string& name) {
  if (name == "cpu") return torch::Device(torch::kCPU);
  const bool cuda = torch::cuda::is_available();
  if (name == "auto") return torch::Device(cuda ? torch::kCUDA : torch::kCPU);
  int index = 0;
  const bool numbered = name.starts_with("cuda:");
  if (numbered) {
    const char* end = name.data() + name.size();
    const auto parsed = std::from_chars(name.data() + 5, end, index);
    if (parsed.ec != std::errc() || parsed.ptr != end || index < 0) index = -1;
  }
  if ((name != "cuda" && !numbered) || index < 0)
    fail<ConfigError>("device '{}' is unknown: use auto, cpu, cuda or cuda:N", name);
  const auto devices = cuda ? static_cast<int>(torch::cuda::device_count()) : 0;
  if (index >= devices)
    fail<ConfigError>(
        "device '{}': this machine and libtorch offer {} CUDA devices; use cpu or auto", name,
        devices);
  return torch::Device(torch::kCUDA, static_cast<torch::DeviceIndex>(index));
}

}  // namespace retort
