// A random student over a tiny dataset, its towers in plain double loops, and a bundle of both:
// for the tests of bundle/ and encoder/.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/support/scratch_folder.h"
#include "tests/support/tiny_dataset.h"

#include "retort/bundle/bundle_writer.h"
#include "retort/bundle/model_spec.h"
#include "retort/dataset/dataset.h"
#include "retort/metric/towers.h"

namespace retort {

using Weights = std::map<std::string, std::vector<float>>;

/// Layers {9, 5}, embeddings of width 3; the item's tags are summed, every other bag averaged.
ModelSpec tiny_spec(const Schema& schema);
Weights random_weights(const ModelSpec& spec, uint64_t seed);
void save_weights(const ModelSpec& spec, const Weights& weights, const fs::path& path);

/// The oracle: one value after the other, in double.
class NaiveTowers : public Towers {
 public:
  NaiveTowers(ModelSpec spec, Weights weights)
      : spec_(std::move(spec)), weights_(std::move(weights)) {}
  int32_t dim() const override { return spec_.dim(); }
  void encode_users(const SideBatch& users, std::span<float> out) const override;
  void encode_items(const SideBatch& items, std::span<float> out) const override;

 private:
  ModelSpec spec_;
  Weights weights_;
};

/// Everything publish_bundle needs, in a scratch folder: dataset/, weights.safetensors and, once
/// published, bundles/.
struct TinyPublication {
  explicit TinyPublication(TinyDataset data = random_tiny_dataset(1), double beta = 0);
  BundleContents contents() const;
  PublishResult publish() const { return publish_bundle(contents(), bundles()); }
  fs::path bundles() const { return scratch / "bundles"; }

  ScratchFolder scratch;
  TinyDataset data;
  Dataset dataset;
  ModelSpec spec;
  Weights weights;
  NaiveTowers towers;
};

}  // namespace retort
