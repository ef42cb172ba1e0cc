// Reading and writing the parts that the architectures of students (model_spec.h) and rankers
// (ranker_spec.h) have in common. Every reader throws DataError naming the full key.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "retort/bundle/model_spec.h"
#include "retort/common/json.h"

namespace retort::spec_json {

inline constexpr int64_t kMaxWidth = 1 << 20;

/// The value of `key` of the table `json`, which lies at the key `at`, of the JSON type that `is`
/// asks for; `expected` names that type.
const Json& member(const Json& json, const std::string& at, const char* key,
                   bool (Json::*is)() const noexcept, const char* expected);
std::string text(const Json& json, const std::string& at, const char* key);
int64_t whole(const Json& value, const std::string& name, int64_t low, int64_t high);
int64_t whole(const Json& json, const std::string& at, const char* key, int64_t low, int64_t high);
/// A width or count of `low` or more; an absent key leaves `value` as it is.
void read_whole(const Json& json, const std::string& at, const char* key, int64_t low,
                int32_t& value);
std::vector<int32_t> widths(const Json& json, const std::string& at, const char* key);
/// An absent key leaves `values` as they are; they must not be empty in the end.
void read_widths(const Json& json, const std::string& at, const char* key,
                 std::vector<int32_t>& values);
/// Different names that are not empty.
std::vector<std::string> names(const Json& json, const std::string& at, const char* key);

Json input_to_json(const InputSpec& input);
InputSpec input_from_json(const Json& json, const std::string& at, Side expected);
Json sequence_to_json(const SequenceSpec& sequence);
SequenceSpec sequence_from_json(const Json& json, const std::string& at);
Json mixture_to_json(const MixtureSpec& mixture);
MixtureSpec mixture_from_json(const Json& json, const std::string& at);

}  // namespace retort::spec_json
