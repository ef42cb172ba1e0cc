// How a bundle stores embedding tables: fp32, bf16 or int8 with a scale a row.
#pragma once

#include <span>
#include <string>

#include "retort/bundle/model_spec.h"
#include "retort/bundle/safetensors.h"
#include "retort/kernel/pool.h"

namespace retort {

/// kInt8: "<table>.weight" is I8 [rows, dim] and "<table>.scale" F32 [rows].
enum class TableStorage { kFp32, kBf16, kInt8 };
/// "fp32", "bf16" or "int8"; throws ConfigError otherwise.
TableStorage parse_table_storage(const std::string& name);

/// A field's table as it lies in the file. Throws DataError naming file and tensor if it is
/// missing, of another shape, or of a type that no table has.
RowTable stored_table(const SafetensorsFile& weights, const FieldSpec& field);

/// Copies the weights `from` -> `to` with every table of `spec`, or of the fields, in the storage.
/// Errors are rounding alone: at most 2^-9 of a value (bf16), 1/254 of a row's largest value
/// (int8).
void store_tables(const ModelSpec& spec, const fs::path& from, const fs::path& to,
                  TableStorage storage);
void store_tables(std::span<const FieldSpec> fields, const fs::path& from, const fs::path& to,
                  TableStorage storage);

}  // namespace retort
