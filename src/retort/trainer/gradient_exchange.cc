#include "retort/trainer/gradient_exchange.h"

#include <algorithm>

#include <torch/csrc/autograd/utils/lambda_post_hook.h>
#include <torch/csrc/autograd/variable.h>

namespace retort {

GradientExchange::GradientExchange(Ranks& ranks, const std::vector<torch::nn::Module*>& modules,
                                   int64_t bucket_values)
    : ranks_(ranks) {
  for (auto module = modules.rbegin(); module != modules.rend(); ++module) {
    const std::vector<torch::Tensor> values = (*module)->parameters();
    for (auto value = values.rbegin(); value != values.rend(); ++value)
      add_parameter(*value, bucket_values);
    for (const auto& [name, table] : embedding_tables(**module)) tables_.push_back(table);
  }
  for (Bucket& bucket : buckets_) {
    const Parameter& last = parameters_[bucket.parameters.back()];
    int64_t end = last.offset + last.value.numel();
    for (const size_t index : bucket.parameters) parameters_[index].flag = end++;
    bucket.flat = torch::zeros({end}, torch::TensorOptions(ranks.device()));
  }
  for (size_t index = 0; index < parameters_.size(); ++index) {
    Parameter& parameter = parameters_[index];
    parameter.accumulator = torch::autograd::impl::grad_accumulator(parameter.value);
    using torch::autograd::variable_list;
    parameter.hook = parameter.accumulator->add_post_hook(
        std::make_unique<torch::autograd::utils::LambdaPostHook>(
            [this, index](const variable_list& outputs, const variable_list&) {
              collect(index);
              launch_full_buckets();
              return outputs;
            }));
  }
}

GradientExchange::~GradientExchange() {
  for (const Parameter& parameter : parameters_)
    parameter.accumulator->del_post_hook(parameter.hook);
}

void GradientExchange::add_parameter(const torch::Tensor& value, int64_t bucket_values) {
  int64_t offset = 0;
  if (!buckets_.empty()) {
    const Parameter& last = parameters_.back();
    offset = last.offset + last.value.numel();
  }
  if (buckets_.empty() || offset + value.numel() > bucket_values) {
    buckets_.emplace_back();
    offset = 0;
  }
  buckets_.back().parameters.push_back(parameters_.size());
  Parameter parameter;
  parameter.value = value;
  parameter.bucket = buckets_.size() - 1;
  parameter.offset = offset;
  parameters_.push_back(std::move(parameter));
}

void GradientExchange::begin() {
  next_bucket_ = 0;
  for (Parameter& parameter : parameters_) parameter.ready = false;
  for (Bucket& bucket : buckets_) bucket.ready = 0;
}

/// Copies a parameter's gradient, or zeros where it has none, to its place.
void GradientExchange::collect(size_t index) {
  Parameter& parameter = parameters_[index];
  Bucket& bucket = buckets_[parameter.bucket];
  const torch::NoGradGuard no_grad;
  const torch::Tensor& grad = parameter.value.grad();
  torch::Tensor place = bucket.flat.narrow(0, parameter.offset, parameter.value.numel());
  if (grad.defined())
    place.copy_(grad.reshape({-1}));
  else
    place.zero_();
  bucket.flat.narrow(0, parameter.flag, 1).fill_(grad.defined() ? 1 : 0);
  parameter.ready = true;
  ++bucket.ready;
}

// In one order on all ranks, which may finish their buckets in another.
void GradientExchange::launch_full_buckets() {
  for (; next_bucket_ < buckets_.size(); ++next_bucket_) {
    Bucket& bucket = buckets_[next_bucket_];
    if (bucket.ready < bucket.parameters.size()) return;
    bucket.pending = ranks_.sum(bucket.flat);
  }
}

void GradientExchange::launch_remaining_buckets() {
  sent_in_backward_ = next_bucket_;
  for (size_t index = 0; index < parameters_.size(); ++index)
    if (!parameters_[index].ready) collect(index);
  launch_full_buckets();
}

/// Hands the sums to the parameters, as views of the bucket.
void GradientExchange::spread(Bucket& bucket) {
  bucket.pending();
  const auto count = static_cast<int64_t>(bucket.parameters.size());
  const torch::Tensor flags =
      bucket.flat.narrow(0, parameters_[bucket.parameters[0]].flag, count).cpu();
  for (int64_t i = 0; i < count; ++i) {
    Parameter& parameter = parameters_[bucket.parameters[static_cast<size_t>(i)]];
    torch::Tensor& grad = parameter.value.mutable_grad();
    if (flags.data_ptr<float>()[i] == 0)
      grad.reset();
    else
      grad = bucket.flat.narrow(0, parameter.offset, parameter.value.numel())
                 .view(parameter.value.sizes())
                 .to(parameter.value.device());
  }
}

// Two exchanges for all tables. First each rank's `values` and number of rows of each table, then
// all ids and gradients in one tensor, padded to the longest rank's: a message costs more than
// its bytes where a step is short. Sums are made in the order of the ranks.
std::vector<double> GradientExchange::exchange_tables(std::span<const double> values) {
  std::vector<double> head(values.begin(), values.end());
  std::vector<torch::Tensor> ids, grads;
  for (EmbeddingTable& table : tables_) {
    head.push_back(0);
    if (table->pending.empty()) continue;
    const RowGradients own = merge_rows(table->pending);
    head.back() = static_cast<double>(own.ids.size(0));
    ids.push_back(own.ids.to(ranks_.device(), torch::kInt32).view(torch::kFloat32));
    grads.push_back(own.grads.to(ranks_.device(), torch::kFloat32).reshape({-1}));
    table->pending.clear();
  }
  const std::vector<torch::Tensor> heads =
      ranks_.gather(torch::tensor(head, torch::kFloat64).to(ranks_.device()));
  std::vector<double> sums(values.size());
  std::vector<std::vector<double>> rows;  // of each table, by rank
  int64_t longest = 0;
  for (const torch::Tensor& gathered : heads) {
    const torch::Tensor host = gathered.cpu();
    const double* at = host.data_ptr<double>();
    for (double& sum : sums) sum += *at++;
    rows.emplace_back(at, at + tables_.size());
    int64_t length = 0;
    for (size_t i = 0; i < tables_.size(); ++i)
      length += static_cast<int64_t>(at[i]) * (1 + tables_[i]->weight.size(1));
    longest = std::max(longest, length);
  }
  if (longest == 0) return sums;
  ids.insert(ids.end(), grads.begin(), grads.end());
  torch::Tensor packed = torch::zeros({longest}, torch::TensorOptions(ranks_.device()));
  if (!ids.empty()) {
    const torch::Tensor joined = torch::cat(ids);
    packed.narrow(0, 0, joined.size(0)).copy_(joined);
  }
  const std::vector<torch::Tensor> all = ranks_.gather(packed);
  for (size_t rank = 0; rank < all.size(); ++rank) take_rows(all[rank], rows[rank]);
  return sums;
}

/// Hands one rank's rows to the tables. @param packed ids of all tables, then their gradients
void GradientExchange::take_rows(const torch::Tensor& packed, std::span<const double> rows) {
  int64_t id = 0, value = 0;
  for (const double count : rows) value += static_cast<int64_t>(count);
  for (size_t i = 0; i < tables_.size(); ++i) {
    const auto count = static_cast<int64_t>(rows[i]);
    if (count == 0) continue;
    const torch::Tensor& weight = tables_[i]->weight;
    const int64_t dim = weight.size(1);
    const torch::Tensor ids = packed.narrow(0, id, count).view(torch::kInt32);
    const torch::Tensor grads = packed.narrow(0, value, count * dim).view({count, dim});
    tables_[i]->pending.push_back(
        {ids.to(weight.device(), torch::kInt64), grads.to(weight.device()), true});
    id += count;
    value += count * dim;
  }
}

std::vector<double> GradientExchange::finish(std::span<const double> values) {
  const torch::NoGradGuard no_grad;
  launch_remaining_buckets();
  std::vector<double> sums = exchange_tables(values);
  for (Bucket& bucket : buckets_) spread(bucket);
  return sums;
}

}  // namespace retort
