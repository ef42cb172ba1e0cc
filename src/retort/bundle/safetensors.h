// The safetensors format: an 8-byte little-endian header length, a JSON header, the raw bytes.
// Reading is bounds-checked and runs no code.
// Source: the format's own specification, huggingface/safetensors README.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "retort/common/file.h"
#include "retort/common/json.h"

namespace retort {

/// A tensor to be written: data must stay valid until the write returns.
struct TensorView {
  std::string dtype = "F32";  // F32, F64, I64, I32, I8, U8, BF16
  std::vector<int64_t> shape;
  std::span<const std::byte> bytes;
};

/// Tensors in key order; `metadata` (string values) becomes "__metadata__". Atomic, as write_file.
void write_safetensors(const fs::path& path, const std::map<std::string, TensorView>& tensors,
                       const std::map<std::string, std::string>& metadata = {});

/// A mapped safetensors file. Throws DataError naming the file and what is wrong with it: short
/// file, header too long, overlapping or out-of-range offsets, unknown dtype, sizes that do not
/// fit the shape.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const fs::path& path);
  const std::map<std::string, TensorView>& tensors() const { return tensors_; }
  bool has(const std::string& name) const { return tensors_.count(name) > 0; }
  /// The bytes of a tensor, aligned for its type. Throws DataError if it is missing or not of this
  /// type and shape.
  std::span<const std::byte> values(const std::string& name, std::string_view dtype,
                                    std::span<const int64_t> shape) const;
  /// The same for F32.
  std::span<const float> floats(const std::string& name, std::span<const int64_t> shape) const;
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  fs::path path_;
  MappedFile file_;
  std::map<std::string, TensorView> tensors_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace retort
