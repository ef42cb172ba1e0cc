#include "tests/bundle/tiny_bundle.h"

#include <algorithm>
#include <cstdlib>
#include <functional>

#include <gtest/gtest.h>

#include "retort/bundle/model_weights.h"
#include "retort/bundle/safetensors.h"
#include "retort/common/log.h"
#include "retort/common/progress.h"
#include "retort/common/rng.h"

namespace retort {
namespace {

using Visit = std::function<void(const std::string&, std::vector<int64_t>)>;

void for_weights(const ModelSpec& spec, const Visit& visit) {
  for (const TowerSpec* tower : {&spec.user, &spec.item}) {
    for (const FieldSpec& field : table_fields(*tower))
      visit(field.table + ".weight", {field.rows, field.dim});
    for (const WeightShape& weight : layer_weights(*tower)) visit(weight.name, weight.shape);
  }
}

std::vector<double> input_row(const TowerSpec& tower, const Weights& weights,
                              const SideBatch& batch, size_t row) {
  std::vector<double> x;
  for (size_t f = 0; f < tower.input.fields.size(); ++f) {
    const FieldSpec& field = tower.input.fields[f];
    const SparseColumn& column = batch.sparse[static_cast<size_t>(tower.input.sparse_index[f])];
    const int32_t begin = column.offsets[row], end = column.offsets[row + 1];
    for (int32_t d = 0; d < field.dim; ++d) {
      double sum = 0;
      for (int32_t at = begin; at < end; ++at)
        sum += weights.at(
            field.table +
            ".weight")[static_cast<size_t>(column.ids[static_cast<size_t>(at)] * field.dim + d)];
      x.push_back(field.pooling == "mean" && end > begin ? sum / (end - begin) : sum);
    }
  }
  const auto width = static_cast<size_t>(tower.input.dense_width);
  for (size_t d = 0; d < width; ++d) x.push_back(batch.dense[row * width + d]);
  return x;
}

void encode(const TowerSpec& tower, const Weights& weights, const SideBatch& batch,
            std::span<float> out) {
  for (size_t row = 0; row < static_cast<size_t>(batch.rows); ++row) {
    std::vector<double> x = input_row(tower, weights, batch, row);
    for (size_t i = 0; i < tower.layers.size(); ++i) {
      const std::string layer = tower.name + ".layer" + std::to_string(i);
      const auto &weight = weights.at(layer + ".weight"), &bias = weights.at(layer + ".bias");
      std::vector<double> next;
      for (size_t o = 0; o < static_cast<size_t>(tower.layers[i]); ++o) {
        double sum = bias[o];
        for (size_t c = 0; c < x.size(); ++c) sum += weight[o * x.size() + c] * x[c];
        next.push_back(i + 1 < tower.layers.size() ? std::max(sum, 0.0) : sum);
      }
      x = next;
    }
    for (size_t d = 0; d < x.size(); ++d) out[row * x.size() + d] = static_cast<float>(x[d]);
  }
}

Dataset write_dataset(TinyDataset& data, const fs::path& folder) {
  data.write(folder);
  return Dataset(folder);
}

ModelSpec with_beta(ModelSpec spec, double beta) {
  spec.beta = beta;
  return spec;
}

/// Publishing waits for the disk file by file; in memory the tests take a tenth of the time.
class QuietAndQuick : public testing::Environment {
  void SetUp() override {
    set_log_level(LogLevel::kSilent);
    Progress::set_enabled(false);
    if (fs::is_directory("/dev/shm")) ::setenv("TMPDIR", "/dev/shm", 0);
  }
};
const auto* const kEnvironment = testing::AddGlobalTestEnvironment(new QuietAndQuick);

}  // namespace

ModelSpec tiny_spec(const Schema& schema) {
  ModelSpec spec;
  spec.user = {"user", make_input(schema, Side::kUser, "user", 3, false), {9, 5}};
  spec.item = {"item", make_input(schema, Side::kItem, "item", 3, false), {9, 5}};
  for (FieldSpec& field : spec.item.input.fields)
    if (field.feature == "tags") field.pooling = "sum";
  return spec;
}

Weights random_weights(const ModelSpec& spec, uint64_t seed) {
  Weights weights;
  for_weights(spec, [&](const std::string& name, const std::vector<int64_t>& shape) {
    if (weights.contains(name)) return;  // a table of several fields
    const Rng rng(seed, name);
    int64_t size = 1;
    for (const int64_t extent : shape) size *= extent;
    for (int64_t i = 0; i < size; ++i)
      weights[name].push_back(0.3f * static_cast<float>(rng.normal(static_cast<uint64_t>(i))));
  });
  return weights;
}

void save_weights(const ModelSpec& spec, const Weights& weights, const fs::path& path) {
  std::map<std::string, TensorView> views;
  for_weights(spec, [&](const std::string& name, const std::vector<int64_t>& shape) {
    views[name] = {"F32", shape, std::as_bytes(std::span(weights.at(name)))};
  });
  write_safetensors(path, views);
}

void NaiveTowers::encode_users(const SideBatch& users, std::span<float> out) const {
  encode(spec_.user, weights_, users, out);
}

void NaiveTowers::encode_items(const SideBatch& items, std::span<float> out) const {
  encode(spec_.item, weights_, items, out);
}

TinyPublication::TinyPublication(TinyDataset tiny, double beta)
    : data(std::move(tiny)),
      dataset(write_dataset(data, scratch / "dataset")),
      spec(with_beta(tiny_spec(data.schema), beta)),
      weights(random_weights(spec, 5)),
      towers(spec, weights) {
  save_weights(spec, weights, scratch / "weights.safetensors");
}

BundleContents TinyPublication::contents() const {
  BundleContents contents;
  contents.model = "tiny";
  contents.spec = spec;
  contents.weights = scratch / "weights.safetensors";
  contents.dataset = &dataset;
  contents.towers = &towers;
  contents.recipe = {{"name", "tiny"}};
  contents.provenance = {{"run", "test"}};
  return contents;
}

}  // namespace retort
