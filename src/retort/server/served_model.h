// One version of a model, loaded, tried and ready to answer.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "retort/bundle/bundle.h"
#include "retort/encoder/retriever.h"

namespace retort {

/// An index over a bundle's items that is not the bundle's own; empty: the bundle's own.
using OpenIndex = std::function<std::unique_ptr<ItemIndex>(const Bundle& bundle)>;

class ServedModel {
 public:
  /// Opens and verifies the bundle, warms its pages up and asks it its own smoke queries
  /// (docs/bundle-format.md). `version`: of the folder's name, which counts, whatever the manifest
  /// says. Throws DataError where the bundle is bad or answers its queries with other items.
  ServedModel(std::string name, int64_t version, const fs::path& folder,
              const OpenIndex& open_index = {});

  const std::string& name() const { return name_; }
  int64_t version() const { return version_; }
  const Bundle& bundle() const { return bundle_; }
  const Retriever& retriever() const { return retriever_; }
  /// All items; see bundle_popularity.h. [items]
  const std::vector<int32_t>& by_popularity() const { return by_popularity_; }
  /// Items that came or went since, searched with the bundle's; null without.
  const ItemOverlay* overlay() const { return overlay_.get(); }
  ItemOverlay* overlay() { return overlay_.get(); }
  /// Before the model serves. The overlay may refer to bundle and retriever.
  void lay_over(std::unique_ptr<ItemOverlay> overlay) { overlay_ = std::move(overlay); }
  double load_seconds() const { return load_seconds_; }
  /// Share of the smoke queries' items that were found; 1 if the bundle has none.
  double smoke_recall() const { return smoke_recall_; }

 private:
  void warm_up() const;
  double ask_smoke_queries() const;

  std::string name_;
  int64_t version_;
  std::chrono::steady_clock::time_point start_;
  Bundle bundle_;
  Retriever retriever_;
  std::vector<int32_t> by_popularity_;
  std::unique_ptr<ItemOverlay> overlay_;
  double smoke_recall_ = 1, load_seconds_ = 0;
};

}  // namespace retort
