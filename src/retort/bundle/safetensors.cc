#include "retort/bundle/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "retort/common/error.h"

namespace retort {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

constexpr uint64_t kMaxHeader = 100'000'000;  // the limit of the reference implementation
constexpr const char* kMetadata = "__metadata__";

/// Bytes of one element; 0 for an unknown dtype.
uint64_t element_size(const std::string& dtype) {
  if (dtype == "F64" || dtype == "I64" || dtype == "U64") return 8;
  if (dtype == "F32" || dtype == "I32" || dtype == "U32") return 4;
  if (dtype == "BF16" || dtype == "F16" || dtype == "I16" || dtype == "U16") return 2;
  if (dtype == "U8" || dtype == "I8" || dtype == "BOOL") return 1;
  return 0;
}

/// Bytes of a tensor; the largest number when the product overflows.
uint64_t byte_size(const std::string& dtype, const std::vector<int64_t>& shape) {
  uint64_t bytes = element_size(dtype);
  for (const int64_t extent : shape)
    if (__builtin_mul_overflow(bytes, static_cast<uint64_t>(extent), &bytes))
      return std::numeric_limits<uint64_t>::max();
  return bytes;
}

std::string shape_text(std::span<const int64_t> shape) {
  return fmt::format("[{}]", fmt::join(shape.begin(), shape.end(), ", "));
}

struct Placed {
  uint64_t begin, end;
  std::string name;
};

/// The header of one file, checked entry by entry.
class HeaderReader {
 public:
  HeaderReader(const fs::path& path, std::span<const std::byte> data) : path_(path), data_(data) {}

  TensorView tensor(const std::string& name, const Json& entry) {
    TensorView view;
    view.dtype = text(name, entry, "dtype");
    if (element_size(view.dtype) == 0) refuse(name, "unknown dtype '" + view.dtype + "'");
    for (const Json& extent : list(name, entry, "shape"))
      view.shape.push_back(static_cast<int64_t>(number(name, extent, "shape")));
    const Json& offsets = list(name, entry, "data_offsets");
    if (offsets.size() != 2) refuse(name, "data_offsets has not two values");
    const uint64_t begin = number(name, offsets[0], "data_offsets");
    const uint64_t end = number(name, offsets[1], "data_offsets");
    if (begin > end || end > data_.size())
      refuse(name, fmt::format("bytes {} to {} are not within the {} bytes of data", begin, end,
                               data_.size()));
    if (end - begin != byte_size(view.dtype, view.shape))
      refuse(name, fmt::format("{} bytes do not fit dtype {} and shape {}", end - begin, view.dtype,
                               shape_text(view.shape)));
    view.bytes = data_.subspan(begin, end - begin);
    placed_.push_back({begin, end, name});
    return view;
  }

  /// Every byte of the data belongs to exactly one tensor.
  void check_cover() {
    std::sort(placed_.begin(), placed_.end(), [](const Placed& a, const Placed& b) {
      return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
    });
    uint64_t reached = 0;
    for (const Placed& tensor : placed_) {
      if (tensor.begin < reached) refuse(tensor.name, "overlaps another tensor");
      if (tensor.begin > reached) refuse(tensor.name, "unused bytes before it");
      reached = tensor.end;
    }
    if (reached != data_.size())
      fail<DataError>("{}: tensors end at byte {} of {} bytes of data", path_.string(), reached,
                      data_.size());
  }

 private:
  [[noreturn]] void refuse(const std::string& name, const std::string& why) const {
    fail<DataError>("{}: tensor '{}': {}", path_.string(), name, why);
  }
  const Json& value(const std::string& name, const Json& entry, const char* key) const {
    if (!entry.is_object()) refuse(name, "its entry is not an object");
    const auto found = entry.find(key);
    if (found == entry.end()) refuse(name, fmt::format("no {}", key));
    return *found;
  }
  std::string text(const std::string& name, const Json& entry, const char* key) const {
    const Json& found = value(name, entry, key);
    if (!found.is_string()) refuse(name, fmt::format("{} is not a string", key));
    return found.get<std::string>();
  }
  const Json& list(const std::string& name, const Json& entry, const char* key) const {
    const Json& found = value(name, entry, key);
    if (!found.is_array()) refuse(name, fmt::format("{} is not a list", key));
    return found;
  }
  uint64_t number(const std::string& name, const Json& json, const char* key) const {
    if (!json.is_number_unsigned() ||
        json.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
      refuse(name, fmt::format("{} holds {}, not a size", key, json.dump()));
    return json.get<uint64_t>();
  }

  const fs::path& path_;
  std::span<const std::byte> data_;
  std::vector<Placed> placed_;
};

Json parse_header(const fs::path& path, std::span<const std::byte> bytes) {
  try {
    const char* begin = reinterpret_cast<const char*>(bytes.data());
    Json header = Json::parse(begin, begin + bytes.size());
    if (!header.is_object()) fail<DataError>("{}: the header is not an object", path.string());
    return header;
  } catch (const nlohmann::json::exception& error) {
    fail<DataError>("{}: the header is not JSON: {}", path.string(), error.what());
  }
}

}  // namespace

void write_safetensors(const fs::path& path, const std::map<std::string, TensorView>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  std::vector<std::string> order;  // wide elements first, so that each tensor is aligned
  for (const auto& [name, tensor] : tensors) {
    check(element_size(tensor.dtype) > 0, "tensor '{}': unknown dtype '{}'", name, tensor.dtype);
    check(std::all_of(tensor.shape.begin(), tensor.shape.end(), [](int64_t n) { return n >= 0; }) &&
              tensor.bytes.size() == byte_size(tensor.dtype, tensor.shape),
          "tensor '{}': {} bytes do not fit dtype {} and shape {}", name, tensor.bytes.size(),
          tensor.dtype, shape_text(tensor.shape));
    check(name != kMetadata, "a tensor cannot be named {}", kMetadata);
    order.push_back(name);
  }
  std::stable_sort(order.begin(), order.end(), [&](const std::string& a, const std::string& b) {
    return element_size(tensors.at(a).dtype) > element_size(tensors.at(b).dtype);
  });
  std::map<std::string, uint64_t> begins;
  uint64_t size = 0;
  for (const std::string& name : order) {
    begins[name] = size;
    size += tensors.at(name).bytes.size();
  }
  Json header = Json::object();
  if (!metadata.empty()) header[kMetadata] = metadata;
  for (const auto& [name, tensor] : tensors)
    header[name] = {{"dtype", tensor.dtype},
                    {"shape", tensor.shape},
                    {"data_offsets", {begins[name], begins[name] + tensor.bytes.size()}}};
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');

  const uint64_t length = text.size();
  std::vector<std::string_view> pieces{{reinterpret_cast<const char*>(&length), 8}, text};
  for (const std::string& name : order) {
    const auto data = tensors.at(name).bytes;
    pieces.emplace_back(reinterpret_cast<const char*>(data.data()), data.size());
  }
  write_file(path, pieces);
}

SafetensorsFile::SafetensorsFile(const fs::path& path) : path_(path), file_(path) {
  const auto bytes = file_.bytes();
  if (bytes.size() < 8)
    fail<DataError>("{}: {} bytes are too short for a safetensors file", path.string(),
                    bytes.size());
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  if (length > kMaxHeader || length > bytes.size() - 8)
    fail<DataError>("{}: a header of {} bytes does not fit a file of {} bytes", path.string(),
                    length, bytes.size());
  const Json header = parse_header(path, bytes.subspan(8, length));
  HeaderReader reader(path, bytes.subspan(8 + length));
  for (const auto& [name, entry] : header.items()) {
    if (name != kMetadata) {
      tensors_[name] = reader.tensor(name, entry);
      continue;
    }
    if (!entry.is_object()) fail<DataError>("{}: {} is not an object", path.string(), kMetadata);
    for (const auto& [key, value] : entry.items()) {
      if (!value.is_string())
        fail<DataError>("{}: {} key '{}' is not a string", path.string(), kMetadata, key);
      metadata_[key] = value.get<std::string>();
    }
  }
  reader.check_cover();
}

std::span<const std::byte> SafetensorsFile::values(const std::string& name, std::string_view dtype,
                                                   std::span<const int64_t> shape) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) fail<DataError>("{}: tensor '{}' is missing", path_.string(), name);
  const TensorView& tensor = found->second;
  if (tensor.dtype != dtype)
    fail<DataError>("{}: tensor '{}' is {}, expected {}", path_.string(), name, tensor.dtype,
                    dtype);
  if (!std::equal(shape.begin(), shape.end(), tensor.shape.begin(), tensor.shape.end()))
    fail<DataError>("{}: tensor '{}' has shape {}, expected {}", path_.string(), name,
                    shape_text(tensor.shape), shape_text(shape));
  const size_t size = element_size(tensor.dtype);
  if (reinterpret_cast<uintptr_t>(tensor.bytes.data()) % size != 0)
    fail<DataError>("{}: tensor '{}' is not aligned to {} bytes; write the file anew",
                    path_.string(), name, size);
  return tensor.bytes;
}

std::span<const float> SafetensorsFile::floats(const std::string& name,
                                               std::span<const int64_t> shape) const {
  const std::span<const std::byte> bytes = values(name, "F32", shape);
  return {reinterpret_cast<const float*>(bytes.data()), bytes.size() / sizeof(float)};
}

}  // namespace retort
