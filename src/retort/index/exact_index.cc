#include "retort/index/exact_index.h"

#include <algorithm>
#include <limits>
#include <mutex>

#include "retort/common/error.h"
#include "retort/common/recipe.h"
#include "retort/common/thread_pool.h"
#include "retort/kernel/dense.h"

namespace retort {
namespace {

constexpr int64_t kBlock = 512;  // items scored at once; a multiple of 64

/// Scores of a whole block, then the filter: fastest when most items are allowed.
void scan_dense(std::span<const float> vectors, std::span<const float> query,
                const ItemFilter& filter, int64_t begin, int64_t end, TopK& best) {
  const int64_t dim = std::ssize(query);
  float scores[kBlock];
  for (int64_t block = begin; block < end; block += kBlock) {
    const int64_t count = std::min(kBlock, end - block);
    dot_block(query,
              vectors.subspan(static_cast<size_t>(block * dim), static_cast<size_t>(count * dim)),
              dim, std::span(scores, static_cast<size_t>(count)));
    for (int64_t i = 0; i < count; ++i) {
      const auto item = static_cast<int32_t>(block + i);
      if (filter.allows(item)) best.push(item, scores[i]);
    }
  }
}

/// One product an allowed item: fastest when few items are allowed.
void scan_sparse(std::span<const float> vectors, std::span<const float> query,
                 const ItemFilter& filter, int64_t begin, int64_t end, TopK& best) {
  const int64_t dim = std::ssize(query);
  filter.each(begin, end, [&](int32_t item) {
    best.push(item, dot(query.data(), vectors.data() + item * dim, dim));
  });
}

}  // namespace

int64_t check_vectors(std::span<const float> vectors, int32_t dim) {
  check(dim > 0 && vectors.size() % static_cast<size_t>(dim) == 0,
        "{} floats are not vectors of width {}", vectors.size(), dim);
  const int64_t items = std::ssize(vectors) / dim;
  check(items <= std::numeric_limits<int32_t>::max(), "{} items are too many for an index", items);
  return items;
}

void check_search(std::span<const float> query, int32_t dim, int32_t k, const ItemFilter& filter,
                  int64_t items) {
  check(std::ssize(query) == dim, "query of {} floats, vectors of {}", query.size(), dim);
  check(k >= 0, "top-k of {}: k must not be negative", k);
  check(filter.bits.empty() || std::ssize(filter.bits) == (items + 63) / 64,
        "filter of {} words does not fit {} items", filter.bits.size(), items);
}

ExactIndex::ExactIndex(std::span<const float> vectors, int32_t dim) : vectors_(vectors), dim_(dim) {
  check_vectors(vectors, dim);
}

void ExactIndex::build(std::span<const float> vectors, int32_t dim) {
  check_vectors(vectors, dim);
  owned_.assign(vectors.begin(), vectors.end());
  vectors_ = owned_;
  dim_ = dim;
}

std::vector<SearchHit> ExactIndex::search(std::span<const float> query, int32_t k,
                                          const ItemFilter& filter) const {
  const int64_t items = size();
  check_search(query, dim_, k, filter, items);
  const bool sparse = !filter.bits.empty() && filter.count(items) * 4 < items;
  const int64_t grain = std::max<int64_t>(1, (int64_t{1} << 20) / (dim_ * kBlock));
  TopK best(k);
  std::mutex mutex;
  parallel_for(0, (items + kBlock - 1) / kBlock, grain, [&](int64_t first, int64_t last) {
    TopK part(k);
    const int64_t begin = first * kBlock, end = std::min(items, last * kBlock);
    (sparse ? scan_sparse : scan_dense)(vectors_, query, filter, begin, end, part);
    const std::lock_guard lock(mutex);
    best.merge(part);
  });
  return best.take();
}

void ExactIndex::save(const fs::path& path) const { write_file(path, ""); }

std::unique_ptr<ItemIndex> make_exact_index(const Json& options) {
  Fields(options, "").finish();
  return std::make_unique<ExactIndex>();
}

std::unique_ptr<ItemIndex> load_exact_index(const fs::path&, std::span<const float> vectors,
                                            int32_t dim, const Json& options) {
  Fields(options, "").finish();
  return std::make_unique<ExactIndex>(vectors, dim);
}

std::vector<std::vector<SearchHit>> exact_top_k(std::span<const float> vectors,
                                                std::span<const float> queries, int32_t dim,
                                                int32_t k) {
  const int64_t items = check_vectors(vectors, dim), count = check_vectors(queries, dim);
  constexpr int64_t kItems = 1024, kQueries = 32;
  std::vector<TopK> best(static_cast<size_t>(count), TopK(k));
  for (int64_t item = 0; item < items; item += kItems) {
    const int64_t some = std::min(kItems, items - item);
    const PackedMatrix packed(
        vectors.subspan(static_cast<size_t>(item * dim), static_cast<size_t>(some * dim)), some,
        dim);
    parallel_for(0, count, kQueries, [&](int64_t begin, int64_t end) {
      std::vector<float> scores(static_cast<size_t>((end - begin) * some));
      dot_block(queries.subspan(static_cast<size_t>(begin * dim),
                                static_cast<size_t>((end - begin) * dim)),
                packed, scores);
      for (int64_t q = begin; q < end; ++q)
        for (int64_t i = 0; i < some; ++i)
          best[static_cast<size_t>(q)].push(static_cast<int32_t>(item + i),
                                            scores[static_cast<size_t>((q - begin) * some + i)]);
    });
  }
  std::vector<std::vector<SearchHit>> hits;
  for (TopK& one : best) hits.push_back(one.take());
  return hits;
}

}  // namespace retort
