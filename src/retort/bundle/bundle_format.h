// Names of the files and columns of a bundle; docs/bundle-format.md describes them.
#pragma once

#include <cstdint>
#include <string>

namespace retort {

inline constexpr int64_t kBundleFormat = 1;
inline constexpr const char* kManifestFile = "manifest.json";
inline constexpr const char* kWeightsFile = "weights.safetensors";
inline constexpr const char* kModelFile = "model.json";
inline constexpr const char* kSchemaFile = "schema.json";
inline constexpr const char* kIndexFile = "index.bin";
inline constexpr const char* kSmokeFile = "smoke.json";
inline constexpr const char* kTeacherFile = "teacher.json";
inline constexpr const char* kTeacherWeightsFile = "teacher.safetensors";
inline constexpr const char* kItemVectors = "items.vectors";
inline constexpr const char* kItemsAlive = "items.alive";
inline constexpr const char* kItemsCandidate = "items.candidate";
inline constexpr const char* kUserKeys = "users.key";
inline constexpr const char* kItemKeys = "items.key";
inline constexpr const char* kUserDense = "users.dense";
inline constexpr const char* kItemDense = "items.dense";
inline constexpr const char* kSeenItems = "seen.items";
inline constexpr const char* kSeenOffsets = "seen.offsets";

inline std::string user_feature_column(const std::string& feature) {
  return "users.feature." + feature;
}
inline std::string item_feature_column(const std::string& feature) {
  return "items.feature." + feature;
}
/// Earlier events of users that pair features count: of a stream, or clicks ("").
inline std::string past_column(const std::string& stream) {
  return stream.empty() ? "users.past" : "users.past." + stream;
}
inline std::string attribute_column(const std::string& attribute) {
  return "items.attr." + attribute;
}
inline std::string vocabulary_column(const std::string& vocabulary) {
  return "vocabulary." + vocabulary;
}

}  // namespace retort
