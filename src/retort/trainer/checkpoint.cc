#include "retort/trainer/checkpoint.h"

#include <cstring>
#include <string_view>
#include <vector>

#include "retort/bundle/safetensors.h"
#include "retort/common/error.h"

namespace retort {
namespace {

constexpr const char* kStateKey = "state";
constexpr const char* kDigestKey = "sha256";

struct DtypeName {
  std::string_view name;
  torch::ScalarType type;
};
constexpr DtypeName kDtypes[] = {{"F32", torch::kFloat32},
                                 {"BF16", torch::kBFloat16},
                                 {"F64", torch::kFloat64},
                                 {"I64", torch::kInt64}};

std::string dtype_name(const std::string& tensor, torch::ScalarType type) {
  for (const DtypeName& entry : kDtypes)
    if (entry.type == type) return std::string(entry.name);
  fail<ArgumentError>("checkpoint: tensor '{}' has a type that checkpoints do not hold", tensor);
}

torch::ScalarType dtype_of(const fs::path& path, const std::string& tensor,
                           const std::string& name) {
  for (const DtypeName& entry : kDtypes)
    if (entry.name == name) return entry.type;
  fail<DataError>("{}: tensor '{}' has the type {}, which no checkpoint holds", path.string(),
                  tensor, name);
}

// SHA-256 over the state and every tensor's name, type, shape and digest.
std::string digest_of(const std::map<std::string, TensorView>& tensors, const std::string& state) {
  std::string text = state;
  for (const auto& [name, view] : tensors) {
    const std::string_view bytes(reinterpret_cast<const char*>(view.bytes.data()),
                                 view.bytes.size());
    text +=
        fmt::format("\n{} {} {} {}", name, view.dtype, fmt::join(view.shape, ","), sha256(bytes));
  }
  return sha256(text);
}

}  // namespace

void save_checkpoint(const fs::path& path, const Checkpoint& checkpoint) {
  std::vector<torch::Tensor> kept;  // the views' bytes live here
  std::map<std::string, TensorView> views;
  for (const auto& [name, tensor] : checkpoint.tensors) {
    kept.push_back(tensor.detach().cpu().contiguous());
    const torch::Tensor& flat = kept.back();
    views[name] = {dtype_name(name, flat.scalar_type()),
                   flat.sizes().vec(),
                   {static_cast<const std::byte*>(flat.data_ptr()), flat.nbytes()}};
  }
  const std::string state = checkpoint.state.dump();
  write_safetensors(path, views, {{kStateKey, state}, {kDigestKey, digest_of(views, state)}});
}

Checkpoint load_checkpoint(const fs::path& path) {
  const SafetensorsFile file(path);
  const auto state = file.metadata().find(kStateKey);
  const auto digest = file.metadata().find(kDigestKey);
  if (state == file.metadata().end() || digest == file.metadata().end())
    fail<DataError>("{}: is no checkpoint of retort: its metadata has no state", path.string());
  if (digest_of(file.tensors(), state->second) != digest->second)
    fail<DataError>("{}: its SHA-256 does not fit: the file was altered", path.string());
  Checkpoint checkpoint;
  checkpoint.state = Json::parse(state->second);
  for (const auto& [name, view] : file.tensors()) {
    const torch::ScalarType type = dtype_of(path, name, view.dtype);
    checkpoint.tensors[name] = torch::empty(view.shape, type);
    if (!view.bytes.empty())
      std::memcpy(checkpoint.tensors[name].data_ptr(), view.bytes.data(), view.bytes.size());
  }
  return checkpoint;
}

NamedTensors add_prefix(const NamedTensors& tensors, const std::string& prefix) {
  NamedTensors renamed;
  for (const auto& [name, tensor] : tensors) renamed[prefix + name] = tensor;
  return renamed;
}

NamedTensors take_prefix(const NamedTensors& tensors, const std::string& prefix) {
  NamedTensors found;
  for (const auto& [name, tensor] : tensors)
    if (name.starts_with(prefix)) found[name.substr(prefix.size())] = tensor;
  return found;
}

}  // namespace retort
