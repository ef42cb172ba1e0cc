#include "retort/bundle/table_storage.h"

#include <algorithm>
#include <array>
#include <vector>

#include "retort/bundle/model_weights.h"
#include "retort/common/error.h"

namespace retort {
namespace {

template <class T>
std::span<const std::byte> bytes_of(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}

/// A table in its new storage; the vectors hold the bytes of what is written.
struct Converted {
  std::vector<float> floats;  // fp32 values, or the scales of int8
  std::vector<Bf16> bf16;
  std::vector<int8_t> int8;
};

Converted convert(const RowTable& table, TableStorage storage) {
  const auto dim = static_cast<size_t>(table.dim), size = static_cast<size_t>(table.rows) * dim;
  Converted out;
  std::vector<float> row(dim);
  out.floats.resize(storage == TableStorage::kFp32 ? size : 0);
  out.bf16.resize(storage == TableStorage::kBf16 ? size : 0);
  out.int8.resize(storage == TableStorage::kInt8 ? size : 0);
  for (int64_t id = 0; id < table.rows; ++id) {
    const size_t at = static_cast<size_t>(id) * dim;
    std::fill(row.begin(), row.end(), 0.0F);
    table.add_row(id, row.data());
    if (storage == TableStorage::kFp32)
      std::copy(row.begin(), row.end(), out.floats.begin() + static_cast<int64_t>(at));
    else if (storage == TableStorage::kBf16)
      to_bf16(row.data(), 1, table.dim, table.dim, out.bf16.data() + at, table.dim);
    else
      out.floats.push_back(quantise_row(row.data(), table.dim, out.int8.data() + at));
  }
  return out;
}

}  // namespace

TableStorage parse_table_storage(const std::string& name) {
  if (name == "fp32") return TableStorage::kFp32;
  if (name == "bf16") return TableStorage::kBf16;
  if (name == "int8") return TableStorage::kInt8;
  fail<ConfigError>("embeddings stored as '{}': use fp32, bf16 or int8", name);
}

RowTable stored_table(const SafetensorsFile& weights, const FieldSpec& field) {
  const std::string name = field.table + ".weight";
  const std::array shape{field.rows, int64_t{field.dim}};
  const auto found = weights.tensors().find(name);
  const std::string dtype = found == weights.tensors().end() ? "F32" : found->second.dtype;
  RowTable table{.rows = field.rows, .dim = field.dim};
  if (dtype == "BF16") {
    table.bf16 = reinterpret_cast<const Bf16*>(weights.values(name, "BF16", shape).data());
  } else if (dtype == "I8") {
    table.int8 = reinterpret_cast<const int8_t*>(weights.values(name, "I8", shape).data());
    table.scales = weights.floats(field.table + ".scale", std::array{field.rows}).data();
  } else {
    table.floats = weights.floats(name, shape).data();
  }
  return table;
}

void store_tables(const ModelSpec& spec, const fs::path& from, const fs::path& to,
                  TableStorage storage) {
  std::vector<FieldSpec> fields = table_fields(spec.user);
  for (const FieldSpec& field : table_fields(spec.item)) fields.push_back(field);
  store_tables(fields, from, to, storage);
}

void store_tables(std::span<const FieldSpec> fields, const fs::path& from, const fs::path& to,
                  TableStorage storage) {
  const SafetensorsFile file(from);
  std::map<std::string, TensorView> tensors = file.tensors();
  std::map<std::string, Converted> kept;
  for (const FieldSpec& field : fields) {
    if (kept.contains(field.table)) continue;
    const RowTable table = stored_table(file, field);
    const Converted& made = kept[field.table] = convert(table, storage);
    TensorView& view = tensors[field.table + ".weight"];
    view.shape = {table.rows, table.dim};
    tensors.erase(field.table + ".scale");
    if (storage == TableStorage::kFp32) {
      view.dtype = "F32";
      view.bytes = bytes_of(made.floats);
    } else if (storage == TableStorage::kBf16) {
      view.dtype = "BF16";
      view.bytes = bytes_of(made.bf16);
    } else {
      view.dtype = "I8";
      view.bytes = bytes_of(made.int8);
      tensors[field.table + ".scale"] = {"F32", {table.rows}, bytes_of(made.floats)};
    }
  }
  write_safetensors(to, tensors);
}

}  // namespace retort
