// Walks and insertions on hnswlib's graph by our own loop: links are looked up first, their vectors
// fetched and multiplied together, and the nearest kept in one sorted array. Finds what hnswlib's
// own search finds. Included by hnsw_index.cc only, after hnswlib.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <new>
#include <queue>
#include <span>
#include <vector>

#include "retort/common/huge_pages.h"
#include "retort/kernel/inner_product.h"

namespace retort {

using Graph = hnswlib::HierarchicalNSW<float>;

/// Walks jump all over the graph.
inline void use_huge_pages(const Graph& graph, bool filled) {
  use_huge_pages(graph.data_level0_memory_, graph.max_elements_ * graph.size_data_per_element_,
                 filled);
}

/// The graph's vectors as int8 with a scale each: what walks read, a quarter of the memory traffic
/// of fp32. width + 4 bytes a node, the width rounded up to 64.
class WalkCodes {
 public:
  WalkCodes() = default;
  WalkCodes(int64_t nodes, int64_t dim)
      : dim_(dim),
        width_((dim + 63) / 64 * 64),
        codes_(static_cast<size_t>(nodes * width_)),
        scale_(static_cast<size_t>(nodes)) {
    use_huge_pages(codes_.data(), codes_.size(), true);
  }
  void set(int64_t node, const float* vector) {
    float largest = 0;
    for (int64_t d = 0; d < dim_; ++d) largest = std::max(largest, std::abs(vector[d]));
    scale_[static_cast<size_t>(node)] = largest / 127;
    const float inverse = largest > 1e-30f ? 127 / largest : 0.0f;
    int8_t* row = codes_.data() + node * width_;
    for (int64_t d = 0; d < dim_; ++d)
      row[d] = static_cast<int8_t>(std::lrintf(vector[d] * inverse));
  }
  int64_t dim() const { return dim_; }
  int64_t bytes() const { return static_cast<int64_t>(codes_.size() + 4 * scale_.size()); }
  int64_t width() const { return width_; }
  const int8_t* codes() const { return codes_.data(); }
  const float* scale() const { return scale_.data(); }

 private:
  int64_t dim_ = 0, width_ = 0;
  std::vector<int8_t> codes_;
  std::vector<float> scale_;
};

class HnswWalk {
 public:
  struct Near {
    float distance;
    uint32_t node;  // the highest bit marks one whose links were followed
  };
  static constexpr uint32_t kFollowed = uint32_t{1} << 31;
  static constexpr size_t kTogether = 3;  // nodes whose links are followed in one step

  HnswWalk(Graph& graph, const WalkCodes& codes)
      : graph_(graph),
        codes_(codes),
        gather_(inner_product_kernels().front().gather_int8),
        query_(static_cast<size_t>(codes.width())),
        fresh_(kTogether * (graph.maxM0_ + 1)),
        distances_(fresh_.size()) {}

  /// The `ef` nearest nodes that a walk from the top finds, nearest first, valid until the next
  /// call.
  std::span<const Near> search(const float* vector, size_t ef) {
    const float* query = padded(vector);
    near_.clear();
    if (graph_.maxlevel_ < 0) return near_;
    uint32_t at = graph_.enterpoint_node_;
    float distance = distance_to(query, at);
    for (int level = graph_.maxlevel_; level > 0; --level)
      descend<false>(query, level, at, distance);
    walk<false>(query, at, 0, ef);
    for (Near& one : near_) one.node &= ~kFollowed;
    return near_;
  }

  /// Links `node`, whose memory the graph has and which was not linked before, on the levels up to
  /// `top`; what hnswlib's addPoint does for a new label. Thread-safe for different nodes.
  void insert(const float* vector, uint32_t node, int top) {
    const float* query = padded(vector);
    const std::unique_lock lock_node(graph_.link_list_locks_[node]);
    make_node(vector, node, top);
    std::unique_lock lock_top(graph_.global);
    const int highest = graph_.maxlevel_;
    uint32_t at = graph_.enterpoint_node_;
    if (top <= highest) lock_top.unlock();
    if (highest >= 0) {
      float distance = distance_to(query, at);
      for (int level = highest; level > top; --level) descend<true>(query, level, at, distance);
      for (int level = std::min(top, highest); level >= 0; --level) {
        walk<true>(query, at, level, graph_.ef_construction_);
        Nearest nearest;
        for (const Near& one : near_) {
          const uint32_t other = one.node & ~kFollowed;
          nearest.emplace(exact_distance(vector, other), other);
        }
        at = graph_.mutuallyConnectNewElement(vector, node, nearest, level, false);
      }
    }
    if (top > highest) {
      graph_.enterpoint_node_ = node;
      graph_.maxlevel_ = top;
    }
  }

 private:
  using Nearest =
      std::priority_queue<std::pair<float, uint32_t>, std::vector<std::pair<float, uint32_t>>,
                          Graph::CompareByFirst>;

  void make_node(const float* vector, uint32_t node, int top) {
    std::memset(graph_.data_level0_memory_ + node * graph_.size_data_per_element_, 0,
                graph_.size_data_per_element_);
    graph_.setExternalLabel(node, node);
    std::memcpy(graph_.getDataByInternalId(node), vector, graph_.data_size_);
    if (top == 0) return;
    const size_t bytes = graph_.size_links_per_element_ * static_cast<size_t>(top) + 1;
    graph_.linkLists_[node] = static_cast<char*>(std::calloc(bytes, 1));
    if (graph_.linkLists_[node] == nullptr) throw std::bad_alloc();
    graph_.element_levels_[node] = top;
  }

  float exact_distance(const float* vector, uint32_t node) const {
    return graph_.fstdistfunc_(vector, graph_.getDataByInternalId(node), graph_.dist_func_param_);
  }

  float distance_to(const float* query, uint32_t node) {
    float distance = 0;
    gather(query, &node, 1, &distance);
    return distance;
  }

  void gather(const float* query, const uint32_t* nodes, size_t count, float* out) {
    gather_(query, codes_.codes(), codes_.scale(), nodes, static_cast<int64_t>(count),
            codes_.width(), out);
  }

  const float* padded(const float* vector) {
    std::copy_n(vector, codes_.dim(), query_.begin());
    return query_.data();
  }

  /// The links of a node; while a graph is built, a copy in links_.
  template <bool kLocked>
  std::span<const uint32_t> links_of(uint32_t node, int level) {
    auto* const list = graph_.get_linklist_at_level(node, level);
    if constexpr (!kLocked) return {list + 1, graph_.getListCount(list)};
    const std::unique_lock lock(graph_.link_list_locks_[node]);
    links_.assign(list + 1, list + 1 + graph_.getListCount(list));
    return links_;
  }

  void fetch_links(uint32_t node, int level) const {
    const char* list = reinterpret_cast<const char*>(graph_.get_linklist_at_level(node, level));
    const size_t bytes = level == 0 ? graph_.size_links_level0_ : graph_.size_links_per_element_;
    for (size_t at = 0; at < bytes; at += 64) __builtin_prefetch(list + at);
  }

  /// Moves to the nearest node of a level, link by link.
  template <bool kLocked>
  void descend(const float* query, int level, uint32_t& at, float& distance) {
    for (bool nearer = true; nearer;) {
      nearer = false;
      const auto links = links_of<kLocked>(at, level);
      gather(query, links.data(), links.size(), distances_.data());
      for (size_t i = 0; i < links.size(); ++i)
        if (distances_[i] < distance) {
          distance = distances_[i];
          at = links[i];
          nearer = true;
        }
    }
  }

  /// Fills near_ with the `ef` nearest nodes reached from `from` on a level, nearest first.
  template <bool kLocked>
  void walk(const float* query, uint32_t from, int level, size_t ef) {
    uint32_t nodes[kTogether];
    auto* const visited = graph_.visited_list_pool_->getFreeVisitedList();
    const auto tag = visited->curV;
    near_.clear();
    near_.reserve(ef + 1);
    near_.push_back({distance_to(query, from), from});
    visited->mass[from] = tag;
    for (size_t next = 0; next < near_.size();) {
      size_t fresh = 0, followed = 0, at = next;
      // Several at once: the links of the second are on their way while the first's are read.
      for (; at < near_.size() && followed < kTogether; ++at) {
        if ((near_[at].node & kFollowed) != 0) continue;
        nodes[followed++] = near_[at].node;
        near_[at].node |= kFollowed;
      }
      for (size_t i = 0; i < followed; ++i)
        for (const uint32_t link : links_of<kLocked>(nodes[i], level)) {
          fresh_[fresh] = link;
          fresh += visited->mass[link] != tag;
          visited->mass[link] = tag;
        }
      gather(query, fresh_.data(), fresh, distances_.data());
      size_t first = at;
      for (size_t i = 0; i < fresh; ++i)
        if (near_.size() < ef || distances_[i] < near_.back().distance) {
          fetch_links(fresh_[i], level);  // nearly every node kept will be followed
          first = std::min(first, keep({distances_[i], fresh_[i]}, ef));
        }
      for (next = first; next < near_.size() && (near_[next].node & kFollowed) != 0;) ++next;
    }
    graph_.visited_list_pool_->releaseVisitedList(visited);
  }

  /// Puts a node in its place and drops the farthest beyond `ef`; returns the place.
  size_t keep(Near one, size_t ef) {
    if (near_.size() == ef) near_.pop_back();
    const Near* place = near_.data();  // a search without branches: none of them is predictable
    for (size_t left = near_.size(); left > 0;) {
      const size_t half = (left + 1) / 2;
      place = place[half - 1].distance <= one.distance ? place + half : place;
      left -= half;
    }
    const auto at = near_.begin() + (place - near_.data());
    return static_cast<size_t>(near_.insert(at, one) - near_.begin());
  }

  Graph& graph_;
  const WalkCodes& codes_;
  GatherInt8Function gather_;
  std::vector<float> query_;  // padded with zeros
  std::vector<Near> near_;    // sorted by distance
  std::vector<uint32_t> links_, fresh_;
  std::vector<float> distances_;
};

}  // namespace retort
