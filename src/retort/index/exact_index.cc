#include "retort/index/exact_index.h"

#include <algorithm>
#include <limits>
#include <mutex>

#include "retort/common/error.h"
#include "retort/common/recipe.h"
#include "retort/common/thread_pool.h"
#include "retort/index/shortlist.h"
#include "retort/kernel/dense.h"

namespace retort {
namespace {

constexpr int64_t kBlock = 512;          // items scored at once in fp32; a multiple of 64
constexpr int64_t kScanPanels = 64;      // panels of 16 items between two looks at the bounds
constexpr int64_t kQueryBlock = 64;      // queries scanned together
constexpr int64_t kWorthCompact = 2048;  // items from which on the compact copy pays

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

/// What one thread needs to scan a block of queries.
struct Workspace {
  std::vector<Shortlist> lists;
  std::vector<Survivor> rooms;  // kScanPanels * 16 a query
  std::vector<ScanQuery> scans;
  std::vector<Shortlist*> scanned;  // list of each of `scans`
};

Storage storage_option(const Json& options) {
  std::string name = "auto";
  Fields fields(options, "");
  fields.read_choice("storage", name, {"auto", "fp32", "bf16", "int8"});
  fields.finish();
  return name == "fp32"   ? Storage::kFp32
         : name == "bf16" ? Storage::kBf16
         : name == "int8" ? Storage::kInt8
                          : Storage::kAuto;
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

ExactIndex::ExactIndex(std::span<const float> vectors, int32_t dim, Storage storage)
    : storage_(storage), vectors_(vectors), dim_(dim) {
  check_vectors(vectors, dim);
  compress();
}

void ExactIndex::build(std::span<const float> vectors, int32_t dim) {
  check_vectors(vectors, dim);
  owned_.assign(vectors.begin(), vectors.end());
  vectors_ = owned_;
  dim_ = dim;
  compress();
}

void ExactIndex::compress() {
  const auto storage = storage_ == Storage::kBf16 ? CompactStorage::kBf16 : CompactStorage::kInt8;
  const bool wanted = storage_ == Storage::kAuto
                          ? size() >= kWorthCompact && scan_levels(storage).front() != "generic"
                          : storage_ != Storage::kFp32;
  scan_ = nullptr;
  compact_ = {};
  if (!wanted || dim_ > QuantisedMatrix::kMaxDim) return;
  compact_ = QuantisedMatrix(vectors_, dim_, storage);
  scan_ = scan_function(storage);
}

std::string ExactIndex::storage() const {
  if (scan_ == nullptr) return "fp32";
  return compact_.storage() == CompactStorage::kInt8 ? "int8" : "bf16";
}

/// Few allowed items or a k near their number: bounds cannot spare much.
bool ExactIndex::worth_scanning(int32_t k, int64_t allowed) const {
  return scan_ != nullptr && k > 0 && int64_t{k} * 8 <= allowed && allowed * 16 >= size();
}

std::vector<SearchHit> ExactIndex::search(std::span<const float> query, int32_t k,
                                          const ItemFilter& filter) const {
  check_search(query, dim_, k, filter, size());
  const int64_t allowed = filter.count(size());
  if (worth_scanning(k, allowed)) {
    QuantisedQuery ready = compact_.prepare(query);
    if (ready.bounded) return search_compact(query, k, filter, std::move(ready));
  }
  return search_fp32(query, k, filter, allowed * 4 < size());
}

std::vector<SearchHit> ExactIndex::search_fp32(std::span<const float> query, int32_t k,
                                               const ItemFilter& filter, bool sparse) const {
  const int64_t items = size();
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

std::vector<SearchHit> ExactIndex::search_compact(std::span<const float> query, int32_t k,
                                                  const ItemFilter& filter,
                                                  QuantisedQuery ready) const {
  const uint64_t* bits = filter.bits.empty() ? nullptr : filter.bits.data();
  Shortlist all;
  all.start(compact_, ready, k);
  bool hopeless = false;
  std::mutex mutex;
  // A piece must outweigh the waking of a thread.
  const int64_t grain = std::max<int64_t>(kScanPanels, (int64_t{1} << 22) / (dim_ * kPanelRows));
  parallel_for(0, compact_.panels(), grain, [&](int64_t first, int64_t last) {
    std::vector<Survivor> room(static_cast<size_t>(kScanPanels * kPanelRows));
    Shortlist part;
    part.start(compact_, ready, k);
    for (int64_t panel = first; panel < last; panel += kScanPanels) {
      const int64_t end = std::min(last, panel + kScanPanels);
      ScanQuery scan = part.scan_query(room.data());
      scan_(compact_.view(), panel, end, bits, &scan, 1);
      part.add(std::span(room).first(static_cast<size_t>(scan.count)));
      if (part.hopeless((end - first) * kPanelRows)) break;
    }
    const std::lock_guard lock(mutex);
    hopeless = hopeless || part.hopeless((last - first) * kPanelRows);
    all.merge(part);
  });
  return hopeless ? search_fp32(query, k, filter, false) : all.take(query, vectors_);
}

/// Scans all items for up to kQueryBlock queries; leaves those without usable bounds to fp32.
void ExactIndex::search_block(std::span<const float> queries, int32_t k, const ItemFilter& filter,
                              std::span<std::vector<SearchHit>> hits) const {
  const uint64_t* bits = filter.bits.empty() ? nullptr : filter.bits.data();
  const auto query_of = [&](size_t q) {
    return queries.subspan(q * static_cast<size_t>(dim_), static_cast<size_t>(dim_));
  };
  thread_local Workspace space;
  space.lists.resize(hits.size());
  space.rooms.resize(hits.size() * static_cast<size_t>(kScanPanels * kPanelRows));
  for (size_t q = 0; q < hits.size(); ++q) {
    QuantisedQuery ready = compact_.prepare(query_of(q));
    space.lists[q].stop();
    if (ready.bounded) space.lists[q].start(compact_, std::move(ready), k);
  }
  for (int64_t panel = 0; panel < compact_.panels(); panel += kScanPanels) {
    const int64_t end = std::min(compact_.panels(), panel + kScanPanels);
    space.scans.clear();
    space.scanned.clear();
    for (size_t q = 0; q < hits.size(); ++q) {
      if (!space.lists[q].active()) continue;
      Survivor* room = space.rooms.data() + q * static_cast<size_t>(kScanPanels * kPanelRows);
      space.scans.push_back(space.lists[q].scan_query(room));
      space.scanned.push_back(&space.lists[q]);
    }
    scan_(compact_.view(), panel, end, bits, space.scans.data(), std::ssize(space.scans));
    for (size_t at = 0; at < space.scans.size(); ++at) {
      Shortlist& list = *space.scanned[at];
      list.add({space.scans[at].out, static_cast<size_t>(space.scans[at].count)});
      if (list.hopeless(end * kPanelRows)) list.stop();
    }
  }
  for (size_t q = 0; q < hits.size(); ++q)
    hits[q] = space.lists[q].active() ? space.lists[q].take(query_of(q), vectors_)
                                      : search_fp32(query_of(q), k, filter, false);
}

std::vector<std::vector<SearchHit>> ExactIndex::search_many(std::span<const float> queries,
                                                            int32_t dim, int32_t k,
                                                            const ItemFilter& filter) const {
  if (!worth_scanning(k, filter.count(size())))
    return ItemIndex::search_many(queries, dim, k, filter);
  const int64_t count = check_vectors(queries, dim);
  check_search(queries.first(count == 0 ? 0 : static_cast<size_t>(dim)), count == 0 ? 0 : dim_, k,
               filter, size());
  std::vector<std::vector<SearchHit>> hits(static_cast<size_t>(count));
  parallel_for(0, (count + kQueryBlock - 1) / kQueryBlock, 1, [&](int64_t first, int64_t last) {
    for (int64_t block = first; block < last; ++block) {
      const int64_t begin = block * kQueryBlock, some = std::min(kQueryBlock, count - begin);
      search_block(
          queries.subspan(static_cast<size_t>(begin * dim), static_cast<size_t>(some * dim)), k,
          filter, std::span(hits).subspan(static_cast<size_t>(begin), static_cast<size_t>(some)));
    }
  });
  return hits;
}

void ExactIndex::save(const fs::path& path) const { write_file(path, ""); }

std::unique_ptr<ItemIndex> make_exact_index(const Json& options) {
  return std::make_unique<ExactIndex>(storage_option(options));
}

std::unique_ptr<ItemIndex> load_exact_index(const fs::path&, std::span<const float> vectors,
                                            int32_t dim, const Json& options) {
  return std::make_unique<ExactIndex>(vectors, dim, storage_option(options));
}

std::vector<std::vector<SearchHit>> exact_top_k(std::span<const float> vectors,
                                                std::span<const float> queries, int32_t dim,
                                                int32_t k) {
  check_vectors(vectors, dim);
  constexpr int64_t kWorthCompressing = 8;  // queries that repay the making of the compact copy
  const bool many = check_vectors(queries, dim) >= kWorthCompressing;
  return ExactIndex(vectors, dim, many ? Storage::kAuto : Storage::kFp32)
      .search_many(queries, dim, k, {});
}

}  // namespace retort
