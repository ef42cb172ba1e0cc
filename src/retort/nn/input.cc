#include "retort/nn/input.h"

#include "retort/common/error.h"
#include "retort/nn/mixed_precision.h"

namespace retort {

TableMap make_tables(torch::nn::Module& root, const std::vector<const InputSpec*>& specs) {
  TableMap tables;
  for (const InputSpec* spec : specs) {
    for (const FieldSpec& field : spec->fields) {
      if (field.rows <= 0 || field.dim <= 0)
        fail<ConfigError>("feature '{}': an embedding table of {} rows of {} values", field.feature,
                          field.rows, field.dim);
      const auto at = tables.find(field.table);
      if (at == tables.end()) {
        tables.emplace(field.table, EmbeddingTable(field.rows, field.dim, field.table,
                                                   field.storage == "bf16" ? torch::kBFloat16
                                                                           : torch::kFloat32));
      } else if (at->second->weight.size(0) != field.rows ||
                 at->second->weight.size(1) != field.dim) {
        fail<ConfigError>("feature '{}': table '{}' is wanted as {} x {} and as {} x {}",
                          field.feature, field.table, field.rows, field.dim,
                          at->second->weight.size(0), at->second->weight.size(1));
      }
    }
  }
  // A map is sorted: "user.history" comes before "user.history.seconds".
  for (auto& [name, table] : tables) place_module(root, name, table.ptr());
  return tables;
}

InputLayer::InputLayer(InputSpec spec, const TableMap& tables) : spec_(std::move(spec)) {
  check(spec_.sparse_index.size() == spec_.fields.size(), "input: {} fields, {} columns",
        spec_.fields.size(), spec_.sparse_index.size());
  for (const FieldSpec& field : spec_.fields) {
    tables_.push_back(tables.at(field.table));
    pooling_.push_back(parse_pooling(field.pooling));
  }
}

void InputLayer::check_side(const SideTensors& side) const {
  check(width() > 0, "input: no feature");
  for (size_t i = 0; i < tables_.size(); ++i) {
    const auto column = static_cast<size_t>(spec_.sparse_index[i]);
    check(column < side.sparse.size(), "input: feature '{}' is column {} of {}",
          spec_.fields[i].feature, column, side.sparse.size());
  }
  const int64_t dense = side.dense.defined() ? side.dense.size(1) : 0;
  check(spec_.dense_width == 0 || dense == spec_.dense_width,
        "input: {} dense values a row, not {}", dense, spec_.dense_width);
}

SparseTensor InputLayer::column(const SideTensors& side, size_t field) const {
  return side.sparse[static_cast<size_t>(spec_.sparse_index[field])];
}

MixedPart InputLayer::mixed_part(const SideTensors& side) const {
  MixedPart part;
  for (size_t i = 0; i < tables_.size(); ++i)
    part.fields.push_back({tables_[i], column(side, i), pooling_[i]});
  if (spec_.dense_width > 0) part.dense = side.dense;
  return part;
}

torch::Tensor InputLayer::plain(const SideTensors& side) {
  std::vector<torch::Tensor> parts;
  parts.reserve(tables_.size() + 1);
  for (size_t i = 0; i < tables_.size(); ++i)
    parts.push_back(tables_[i]->lookup(column(side, i), pooling_[i]));
  if (spec_.dense_width > 0)
    parts.push_back(parts.empty() ? side.dense : side.dense.to(parts[0].scalar_type()));
  return parts.size() == 1 ? parts[0] : torch::cat(parts, 1);
}

torch::Tensor InputLayer::forward(const SideTensors& side) { return join_inputs({{this, &side}}); }

torch::Tensor join_inputs(const std::vector<SideInput>& inputs) {
  for (const SideInput& input : inputs) input.layer->check_side(*input.side);
  if (MixedPrecision::active()) {
    std::vector<MixedPart> parts;
    for (const SideInput& input : inputs) parts.push_back(input.layer->mixed_part(*input.side));
    return mixed_input(std::move(parts), inputs.at(0).side->rows);
  }
  std::vector<torch::Tensor> parts;
  for (const SideInput& input : inputs) parts.push_back(input.layer->plain(*input.side));
  return parts.size() == 1 ? parts[0] : torch::cat(parts, 1);
}

}  // namespace retort
