#include "retort/index/item_index.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "retort/common/error.h"
#include "retort/common/text.h"
#include "retort/common/thread_pool.h"
#include "retort/index/exact_index.h"
#include "retort/index/faiss_index.h"
#include "retort/index/hnsw_index.h"

namespace retort {
namespace {

constexpr IndexEntry kIndexes[] = {
    {"exact", "scans all allowed vectors; always right", "exhaustive search", &make_exact_index,
     &load_exact_index},
    {"hnsw", "graph search; approximate, much faster on large catalogues",
     "Malkov & Yashunin, arXiv 1603.09320; Morozov & Babenko, NeurIPS 2018 (inner product)",
     &make_hnsw_index, &load_hnsw_index},
    {"faiss", "inverted lists of compressed codes (Faiss IVF-PQ); approximate, least memory",
     "Jegou et al., TPAMI 2011", &make_faiss_index, &load_faiss_index},
};

/// How many of the exact hits were found, where equal scores stand for each other.
int64_t best_found(const std::vector<SearchHit>& exact, const std::vector<SearchHit>& found) {
  const float last = exact.back().score;
  const float margin = 1e-5f * std::max(1.0f, std::abs(last));
  const auto above = [&](const SearchHit& hit) { return hit.score > last + margin; };
  const auto level = [&](const SearchHit& hit) { return std::abs(hit.score - last) <= margin; };
  return std::count_if(found.begin(), found.end(), above) +
         std::min(std::count_if(found.begin(), found.end(), level),
                  std::count_if(exact.begin(), exact.end(), level));
}

void check_item(const std::vector<uint64_t>& bits, int32_t item) {
  check(!bits.empty(), "item filter without bits: start from ItemFilter::all or none");
  check(item >= 0 && static_cast<size_t>(item) / 64 < bits.size(),
        "item {} is outside a filter of {} words", item, bits.size());
}

}  // namespace

ItemFilter ItemFilter::all(int64_t items) {
  ItemFilter filter;
  filter.bits.assign(static_cast<size_t>((items + 63) / 64), ~uint64_t{0});
  if (items % 64 != 0) filter.bits.back() = (uint64_t{1} << (items % 64)) - 1;
  return filter;
}

ItemFilter ItemFilter::none(int64_t items) {
  ItemFilter filter;
  filter.bits.assign(static_cast<size_t>((items + 63) / 64), 0);
  return filter;
}

void ItemFilter::forbid(int32_t item) {
  check_item(bits, item);
  bits[static_cast<size_t>(item) >> 6] &= ~(uint64_t{1} << (item & 63));
}

void ItemFilter::allow(int32_t item) {
  check_item(bits, item);
  bits[static_cast<size_t>(item) >> 6] |= uint64_t{1} << (item & 63);
}

void ItemFilter::intersect(const ItemFilter& other) {
  if (other.bits.empty()) return;
  if (bits.empty()) {
    bits = other.bits;
    return;
  }
  check(bits.size() == other.bits.size(), "item filters of {} and {} words", bits.size(),
        other.bits.size());
  for (size_t i = 0; i < bits.size(); ++i) bits[i] &= other.bits[i];
}

int64_t ItemFilter::count(int64_t items) const {
  if (bits.empty()) return items;
  int64_t allowed = 0;
  for (const uint64_t word : bits) allowed += std::popcount(word);
  return allowed;
}

std::span<const IndexEntry> indexes() { return kIndexes; }

const IndexEntry& find_index(std::string_view name) {
  std::vector<std::string> names;
  for (const IndexEntry& entry : kIndexes) {
    if (entry.name == name) return entry;
    names.emplace_back(entry.name);
  }
  fail<ConfigError>("index '{}' is unknown; there are: {}", name, fmt::join(names, ", "));
}

std::vector<std::vector<SearchHit>> ItemIndex::search_many(std::span<const float> queries,
                                                           int32_t dim, int32_t k,
                                                           const ItemFilter& filter) const {
  check(dim > 0 && queries.size() % static_cast<size_t>(dim) == 0,
        "{} floats are not queries of width {}", queries.size(), dim);
  const int64_t count = static_cast<int64_t>(queries.size()) / dim;
  std::vector<std::vector<SearchHit>> hits(static_cast<size_t>(count));
  parallel_for(0, count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t q = begin; q < end; ++q)
      hits[static_cast<size_t>(q)] = search(
          queries.subspan(static_cast<size_t>(q * dim), static_cast<size_t>(dim)), k, filter);
  });
  return hits;
}

double recall_of(std::span<const std::vector<SearchHit>> exact,
                 std::span<const std::vector<SearchHit>> found) {
  check(exact.size() == found.size(), "recall of {} queries against {}", found.size(),
        exact.size());
  double recall = 0;
  for (size_t q = 0; q < exact.size(); ++q)
    recall += exact[q].empty() ? 1
                               : static_cast<double>(best_found(exact[q], found[q])) /
                                     static_cast<double>(exact[q].size());
  return exact.empty() ? 1 : recall / static_cast<double>(exact.size());
}

double recall_against_exact(const ItemIndex& index, std::span<const float> vectors,
                            std::span<const float> queries, int32_t dim, int32_t k) {
  return recall_of(exact_top_k(vectors, queries, dim, k), search_batch(index, queries, dim, k));
}

}  // namespace retort
