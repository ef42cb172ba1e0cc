// Vectors for other tools: NumPy's .npy and Parquet.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "retort/common/file.h"
#include "retort/dataset/columns.h"

namespace retort {

/// Rows of a matrix [keys, dim], given block by block so that memory stays bounded.
struct VectorSource {
  Strings keys;
  int32_t dim = 0;
  /// Writes rows [begin, end) to out [(end - begin) * dim].
  std::function<void(int64_t begin, int64_t end, std::span<float> out)> fill;
};

/// A float32 array of shape (n, dim) in C order at `path` (version 1.0 of the format), the keys,
/// one a line, in `path` + ".keys.txt". Both appear whole or not at all. Throws DataError on a key
/// that holds a line break, IoError.
/// Source: NumPy Enhancement Proposal 1, "A simple file format for NumPy arrays".
void export_npy(const VectorSource& source, const fs::path& path);

/// Columns id (VARCHAR) and vector (FLOAT[]), written by DuckDB. Appears whole or not at all.
void export_parquet(const VectorSource& source, const fs::path& path);

/// `format`: "npy" or "parquet"; throws ConfigError otherwise.
void export_vectors(const VectorSource& source, const fs::path& path, const std::string& format);

}  // namespace retort
