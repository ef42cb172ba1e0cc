#include "retort/index/hnsw_index.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "retort/common/error.h"
#include "retort/common/recipe.h"
#include "retort/common/rng.h"
#include "retort/common/thread_pool.h"
#include "retort/index/exact_index.h"
#include "retort/kernel/dense.h"

// hnswlib prefetches one link past the end of a list, which sanitizers take for an overflow. Its
// headers define functions that are not inline: only this file may include them.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define NO_MANUAL_VECTORIZATION
#endif
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wall"
#pragma GCC diagnostic ignored "-Wextra"
#pragma GCC diagnostic ignored "-Wpedantic"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wreorder"
#include <hnswlib/hnswlib.h>
#pragma GCC diagnostic pop

#include "retort/index/hnsw_walk.h"

namespace retort {
namespace {

/// Distance = - inner product, by the kernel that is fastest here.
class DotSpace : public hnswlib::SpaceInterface<float> {
 public:
  explicit DotSpace(size_t width) : width_(width) {}
  int64_t width() const { return static_cast<int64_t>(width_); }
  size_t get_data_size() override { return width_ * sizeof(float); }
  hnswlib::DISTFUNC<float> get_dist_func() override {
    return inner_product_kernels().front().distance;
  }
  void* get_dist_func_param() override { return &width_; }

 private:
  size_t width_;
};

/// hnswlib's header: thirteen numbers of 96 bytes in all.
struct Header {
  uint64_t level0_offset, max_elements, count, element_size, label_offset, data_offset;
  int32_t max_level;
  uint32_t entry;
  uint64_t max_m, max_m0, m;
  double mult;
  uint64_t ef_construction;
};

Header read_header(const fs::path& path) {
  const MappedFile file(path);
  constexpr size_t kBytes = 6 * 8 + 2 * 4 + 5 * 8;
  static_assert(sizeof(Header) == kBytes);
  if (file.bytes().size() < kBytes)
    fail<DataError>("{}: {} bytes are too short for an index", path.string(), file.bytes().size());
  Header header{};
  std::memcpy(&header, file.bytes().data(), kBytes);
  return header;
}

/// The vectors less their mean, and what makes their norms equal.
class Centred {
 public:
  Centred(std::span<const float> vectors, int32_t dim)
      : vectors_(vectors), dim_(dim), mean_(static_cast<size_t>(dim)) {
    const int64_t items = std::ssize(vectors) / dim;
    std::vector<double> sum(static_cast<size_t>(dim));
    for (int64_t item = 0; item < items; ++item)
      for (size_t d = 0; d < sum.size(); ++d)
        sum[d] += vectors[static_cast<size_t>(item * dim) + d];
    for (size_t d = 0; d < sum.size(); ++d)
      mean_[d] = static_cast<float>(sum[d] / static_cast<double>(std::max<int64_t>(items, 1)));
    std::vector<float> node(static_cast<size_t>(dim) + 1);
    for (int64_t item = 0; item < items; ++item) {
      write(item, node);
      longest_ = std::max(longest_, dot(node.data(), node.data(), dim));
      check(std::isfinite(longest_), "index hnsw: the vector of item {} is not finite", item);
    }
  }
  /// node: [dim + 1].
  void write(int64_t item, std::vector<float>& node) const {
    const float* vector = vectors_.data() + item * dim_;
    for (int64_t d = 0; d < dim_; ++d)
      node[static_cast<size_t>(d)] = vector[d] - mean_[static_cast<size_t>(d)];
    node.back() = std::sqrt(std::max(0.0f, longest_ - dot(node.data(), node.data(), dim_)));
  }

 private:
  std::span<const float> vectors_;
  int64_t dim_;
  std::vector<float> mean_;
  float longest_ = 0;
};

/// The highest level of a node: geometric, as in the paper, and independent of other nodes.
int level_of(const Rng& rng, int64_t item, double mult) {
  const double uniform = 1 - rng.uniform(static_cast<uint64_t>(item));  // in (0, 1]
  return static_cast<int>(-std::log(uniform) * mult);
}

}  // namespace

struct HnswIndex::State {
  State(int32_t dim, const HnswOptions& options)
      : space(static_cast<size_t>(dim) + (options.equal_norms ? 1 : 0)) {}
  DotSpace space;
  std::unique_ptr<Graph> graph;
  WalkCodes codes;
  ExactIndex exact;  // the vectors as they are: for scans and for the scores
  int32_t dim = 0;
  int64_t items = 0;

  uint64_t saved_size() const;
  void check_items(const fs::path& path) const;
  void check_links(const fs::path& path) const;
  std::vector<SearchHit> walk(std::span<const float> query, int32_t k, int64_t width,
                              const ItemFilter& filter) const;
  std::vector<int32_t> nearest(std::span<const float> query, int64_t width) const;
};

/// Bytes of the file that hnswlib writes.
uint64_t HnswIndex::State::saved_size() const {
  const auto count = static_cast<uint64_t>(items);
  uint64_t size = sizeof(Header) + count * (graph->size_data_per_element_ + sizeof(uint32_t));
  for (uint64_t node = 0; node < count; ++node)
    size += static_cast<uint64_t>(graph->element_levels_[node]) * graph->size_links_per_element_;
  return size;
}

/// Every item must be exactly one node.
void HnswIndex::State::check_items(const fs::path& path) const {
  std::vector<bool> seen(static_cast<size_t>(items));
  for (uint32_t node = 0; node < static_cast<uint32_t>(items); ++node) {
    const size_t item = graph->getExternalLabel(node);
    if (item >= seen.size() || seen[item])
      fail<DataError>("{}: node {} has label {}, no item or one twice", path.string(), node, item);
    seen[item] = true;
  }
}

/// Every link leads to a node that exists on its level, so that no walk leaves the memory.
void HnswIndex::State::check_links(const fs::path& path) const {
  const auto bad = [&](const char* what) {
    fail<DataError>("{}: index with a bad {}", path.string(), what);
  };
  const auto count = static_cast<uint32_t>(items);
  if (items > 0 && (graph->enterpoint_node_ >= count || graph->maxlevel_ < 0 ||
                    graph->element_levels_[graph->enterpoint_node_] != graph->maxlevel_))
    bad("entry point");
  for (uint32_t node = 0; node < count; ++node) {
    if (graph->isMarkedDeleted(node)) bad("mark of deletion");
    for (int level = 0; level <= graph->element_levels_[node]; ++level) {
      auto* list = graph->get_linklist_at_level(node, level);
      const size_t links = graph->getListCount(list);
      if (links > (level == 0 ? graph->maxM0_ : graph->maxM_)) bad("number of links");
      for (size_t i = 1; i <= links; ++i)
        if (list[i] >= count || graph->element_levels_[list[i]] < level) bad("link");
    }
  }
}

/// The k best allowed of the `width` nearest nodes that the graph walk finds; empty if they do
/// not lie within the nearest three quarters, as the far end of a walk misses many.
std::vector<SearchHit> HnswIndex::State::walk(std::span<const float> query, int32_t k,
                                              int64_t width, const ItemFilter& filter) const {
  const std::vector<int32_t> found = nearest(query, width);
  const bool filtered = !filter.bits.empty();
  const auto trusted = static_cast<size_t>(filtered ? width - width / 4 : width);
  // Walks order by int8 codes: twice k are scored, so that the k best are among them.
  const auto enough = static_cast<size_t>(std::min<int64_t>(2 * int64_t{k}, items));
  std::vector<int32_t> chosen;
  for (size_t rank = 0; rank < std::min(trusted, found.size()) && chosen.size() < enough; ++rank)
    if (filter.allows(found[rank])) {
      chosen.push_back(found[rank]);
      for (int64_t d = 0; d < dim; d += 16) __builtin_prefetch(exact.vector(found[rank]) + d);
    }
  if (std::ssize(chosen) < k) return {};
  std::vector<SearchHit> hits;
  hits.reserve(chosen.size());
  for (const int32_t item : chosen)
    hits.push_back({item, dot(query.data(), exact.vector(item), dim)});
  std::partial_sort(hits.begin(), hits.begin() + k, hits.end(), ranks_before);
  hits.resize(static_cast<size_t>(k));
  return hits;
}

/// The `width` nearest items of a walk, nearest first. One sorted array is faster than hnswlib's
/// heaps until moving its far end costs more than they do.
std::vector<int32_t> HnswIndex::State::nearest(std::span<const float> query, int64_t width) const {
  constexpr int64_t kArray = 2048;
  std::vector<float> longer(query.begin(), query.end());
  longer.push_back(0);  // read with equal_norms only
  std::vector<int32_t> items_found;
  if (width <= kArray) {
    HnswWalk walk(*graph, codes);
    for (const HnswWalk::Near& one : walk.search(longer.data(), static_cast<size_t>(width)))
      items_found.push_back(static_cast<int32_t>(graph->getExternalLabel(one.node)));
    return items_found;
  }
  for (auto found = graph->searchKnn(longer.data(), static_cast<size_t>(width)); !found.empty();
       found.pop())
    items_found.push_back(static_cast<int32_t>(found.top().second));
  std::reverse(items_found.begin(), items_found.end());
  return items_found;
}

HnswOptions hnsw_options(const Json& json) {
  HnswOptions options;
  Fields fields(json, "");
  fields.read("M", options.M);
  fields.read("ef_construction", options.ef_construction);
  fields.read("ef_search", options.ef_search);
  fields.read("seed", options.seed);
  fields.read("equal_norms", options.equal_norms);
  fields.read("parallel", options.parallel);
  fields.finish();
  const auto within = [](const char* key, int32_t value, int32_t low, int32_t high) {
    if (value < low || value > high)
      fail<ConfigError>("index hnsw: {} = {}, expected {} to {}", key, value, low, high);
  };
  within("M", options.M, 2, 1024);
  within("ef_construction", options.ef_construction, 1, 100'000);
  within("ef_search", options.ef_search, 1, 100'000);
  return options;
}

HnswIndex::HnswIndex(HnswOptions options) : options_(options) {}
HnswIndex::~HnswIndex() = default;

int64_t HnswIndex::size() const { return state_ == nullptr ? 0 : state_->items; }

int64_t HnswIndex::bytes() const {
  if (state_ == nullptr) return 0;
  return static_cast<int64_t>(state_->saved_size()) + state_->codes.bytes();
}

void HnswIndex::build(std::span<const float> vectors, int32_t dim) {
  const int64_t items = check_vectors(vectors, dim);
  auto state = std::make_unique<State>(dim, options_);
  state->dim = dim;
  state->items = items;
  state->exact.build(vectors, dim);
  state->graph = std::make_unique<Graph>(
      &state->space, static_cast<size_t>(std::max<int64_t>(items, 1)),
      static_cast<size_t>(options_.M), static_cast<size_t>(options_.ef_construction),
      static_cast<size_t>(options_.seed));
  const Centred centred(vectors, dim);
  use_huge_pages(*state->graph, false);
  state->graph->cur_element_count = static_cast<size_t>(items);  // node = item
  state->codes = WalkCodes(items, state->space.width());
  parallel_for(0, items, 1024, [&](int64_t begin, int64_t end) {
    std::vector<float> node(static_cast<size_t>(dim) + 1);
    for (int64_t item = begin; item < end; ++item) {
      centred.write(item, node);
      state->codes.set(item, node.data());
    }
  });
  const Rng levels(options_.seed, "hnsw levels");
  const auto add = [&](int64_t begin, int64_t end) {
    HnswWalk walk(*state->graph, state->codes);
    std::vector<float> node(static_cast<size_t>(dim) + 1);
    for (int64_t item = begin; item < end; ++item) {
      centred.write(item, node);
      walk.insert(node.data(), static_cast<uint32_t>(item),
                  level_of(levels, item, state->graph->mult_));
    }
  };
  // The first node is added alone: it becomes the entry point of the others.
  add(0, std::min<int64_t>(items, 1));
  parallel_for(1, items, options_.parallel ? 64 : items, add);
  state->graph->setEf(static_cast<size_t>(options_.ef_search));
  state_ = std::move(state);
}

std::vector<SearchHit> HnswIndex::search(std::span<const float> query, int32_t k,
                                         const ItemFilter& filter) const {
  check(state_ != nullptr, "index hnsw: search before build");
  const int64_t items = state_->items;
  check_search(query, state_->dim, k, filter, items);
  const int64_t allowed = filter.count(items);
  const auto wanted = static_cast<int32_t>(std::min<int64_t>(k, allowed));
  if (wanted == 0) return {};
  // A walk of width w computes about w * M products at scattered places.
  // At least a quarter more than k: the far end of a walk misses some.
  int64_t width =
      std::max<int64_t>(options_.ef_search, int64_t{wanted} + wanted / 4) * items / allowed;
  while (width * options_.M < allowed * 2) {
    auto hits = state_->walk(query, wanted, width, filter);
    if (!hits.empty()) return hits;
    width *= 4;
  }
  return state_->exact.search(query, wanted, filter);
}

void HnswIndex::save(const fs::path& path) const {
  check(state_ != nullptr, "index hnsw: save before build");
  fs::path temporary = path;
  temporary += ".part";
  try {
    state_->graph->saveIndex(temporary.string());
    if (fs::file_size(temporary) != state_->saved_size())  // hnswlib hides a failed write
      fail<IoError>("{}: cannot write the whole index; is the disk full?", temporary.string());
    sync_path(temporary);
    fs::rename(temporary, path);
    sync_path(path);
  } catch (...) {
    std::error_code ignored;
    fs::remove(temporary, ignored);
    throw;
  }
}

void HnswIndex::load(const fs::path& path, std::span<const float> vectors, int32_t dim) {
  const int64_t items = check_vectors(vectors, dim);
  const Header header = read_header(path);
  auto state = std::make_unique<State>(dim, options_);
  state->dim = dim;
  state->items = items;
  state->exact = ExactIndex(vectors, dim);
  const uint64_t links = static_cast<uint64_t>(options_.M) * 2 * 4 + 4;
  const uint64_t data = state->space.get_data_size();
  if (header.count != static_cast<uint64_t>(items) ||
      header.max_elements != std::max<uint64_t>(header.count, 1) || header.level0_offset != 0 ||
      header.m != static_cast<uint64_t>(options_.M) || header.max_m != header.m ||
      header.max_m0 != 2 * header.m || header.data_offset != links ||
      header.label_offset != links + data || header.element_size != links + data + 8 ||
      !std::isfinite(header.mult) || header.mult <= 0)
    fail<DataError>("{}: no HNSW index of {} vectors of width {} with M = {}", path.string(), items,
                    dim, options_.M);
  try {
    state->graph = std::make_unique<Graph>(&state->space, path.string());
  } catch (const std::exception& error) {
    fail<DataError>("{}: {}", path.string(), error.what());
  }
  state->graph->num_deleted_ = 0;  // left unset by hnswlib; no node of ours is ever deleted
  state->check_items(path);
  state->check_links(path);
  use_huge_pages(*state->graph, true);
  state->codes = WalkCodes(items, state->space.width());
  parallel_for(0, items, 1024, [&](int64_t begin, int64_t end) {
    for (int64_t node = begin; node < end; ++node)
      state->codes.set(node, reinterpret_cast<const float*>(
                                 state->graph->getDataByInternalId(static_cast<uint32_t>(node))));
  });
  state->graph->setEf(static_cast<size_t>(options_.ef_search));
  state_ = std::move(state);
}

std::unique_ptr<ItemIndex> make_hnsw_index(const Json& options) {
  return std::make_unique<HnswIndex>(hnsw_options(options));
}

std::unique_ptr<ItemIndex> load_hnsw_index(const fs::path& path, std::span<const float> vectors,
                                           int32_t dim, const Json& options) {
  auto index = std::make_unique<HnswIndex>(hnsw_options(options));
  index->load(path, vectors, dim);
  return index;
}

}  // namespace retort
