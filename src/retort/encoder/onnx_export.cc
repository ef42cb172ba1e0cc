#include <map>

#include "retort/encoder/onnx_models.h"

namespace retort {
namespace {

/// Row of each text as its place in a list; of hashed ones how to compute it.
Json write_vocabulary(const Bundle& bundle, const std::string& name, const fs::path& folder) {
  const Vocabulary& vocabulary = bundle.vocabulary(name);
  const int64_t hashed =
      bundle.manifest().at("vocabularies").at(name).at("hashed_rows").get<int64_t>();
  if (hashed > 0) return {{"rows", hashed}, {"hash", "1 + XXH64(text, seed 0) mod (rows - 1)"}};
  Json texts = Json::array();
  for (int64_t row = 0; row < vocabulary.rows(); ++row)
    texts.push_back(std::string(vocabulary.text(static_cast<int32_t>(row))));
  const std::string file = "vocabulary." + name + ".json";
  write_file(folder / file, texts.dump(-1, ' ', false, Json::error_handler_t::replace) + '\n');
  return {{"rows", vocabulary.rows()}, {"file", file}};
}

}  // namespace

Json export_onnx(const Bundle& bundle, const fs::path& folder) {
  fs::create_directories(folder);
  std::map<std::string, OnnxModel> models{{"user_tower", onnx_user_tower(bundle)},
                                          {"item_tower", onnx_item_tower(bundle)}};
  if (bundle.teacher() != nullptr) models.emplace("teacher", onnx_teacher(bundle));
  Json signature{{"format", 1},
                 {"model", bundle.model()},
                 {"version", bundle.version()},
                 {"moment", bundle.moment()},
                 {"vocabularies", Json::object()}};
  Json& vocabularies = signature["vocabularies"];
  for (auto& [name, model] : models) {
    write_file(folder / (name + ".onnx"), model.file);
    model.signature["file"] = name + ".onnx";
    for (const Json& input : model.signature["inputs"]) {
      const std::string vocabulary = input.value("vocabulary", "");
      if (!vocabulary.empty() && !vocabularies.contains(vocabulary))
        vocabularies[vocabulary] = write_vocabulary(bundle, vocabulary, folder);
    }
  }
  for (auto& [name, model] : models) signature[name] = std::move(model.signature);
  write_file(folder / "signature.json", signature.dump(1) + '\n');
  return signature;
}

}  // namespace retort
