// Search over 100,000 vectors of width 128, k = 100, beside Faiss and hnswlib, in alternation.
//   bench_search [exact] [hnsw] [all_pairs]     without a word: all three
#include <cstdio>
#include <cstring>

#include "bench/measure.h"
#include "bench/search_peers.h"

#include "retort/common/rng.h"
#include "retort/common/thread_pool.h"
#include "retort/index/exact_index.h"
#include "retort/index/hnsw_index.h"

namespace retort {
namespace {

constexpr int64_t kItems = 100'000, kQueries = 1000;
constexpr int32_t kDim = 128, kTop = 100;

/// Vectors around 200 centres, as towers give them: pure noise has no neighbours to find.
std::vector<float> clustered(int64_t rows, const char* stream, double spread = 1) {
  const Rng centres(1, "centres"), noise(1, stream);
  std::vector<float> values(static_cast<size_t>(rows * kDim));
  for (size_t i = 0; i < values.size(); ++i) {
    const uint64_t row = i / kDim;
    const uint64_t centre = noise.below(200, (uint64_t{1} << 40) + row);
    values[i] =
        static_cast<float>(spread * centres.normal(centre * kDim + i % kDim) + noise.normal(i));
  }
  return values;
}

std::span<const float> row(const std::vector<float>& values, int64_t at) {
  return std::span(values).subspan(static_cast<size_t>(at * kDim), kDim);
}

/// Share of `found` [queries][k] that an exact search gives too.
template <class Id>
double recall(const std::vector<std::vector<SearchHit>>& exact,
              const std::vector<std::vector<Id>>& found) {
  int64_t hits = 0, all = 0;
  for (size_t q = 0; q < found.size(); ++q) {
    std::vector<Id> ids = found[q];
    std::sort(ids.begin(), ids.end());
    for (const SearchHit& hit : exact[q])
      hits += std::binary_search(ids.begin(), ids.end(), static_cast<Id>(hit.item));
    all += std::ssize(exact[q]);
  }
  return static_cast<double>(hits) / static_cast<double>(all);
}

std::vector<int64_t> ids_of(const std::vector<SearchHit>& hits) {
  std::vector<int64_t> ids;
  for (const SearchHit& hit : hits) ids.push_back(hit.item);
  return ids;
}

void bench_exact(const char* name, double spread) {
  const auto items = clustered(kItems, "items", spread), queries = clustered(kQueries, "q", spread);
  const FaissFlat faiss(items, kDim);
  const ExactIndex fp32(items, kDim), bf16(items, kDim, Storage::kBf16),
      int8(items, kDim, Storage::kAuto);
  const auto single = [&](const ExactIndex& index, int threads) {
    return [&, threads] {
      set_threads(threads);
      for (int64_t q = 0; q < 20; ++q) index.search(row(queries, q), kTop, {});
    };
  };
  std::vector<Contender> one{{"Faiss IndexFlatIP",
                              [&] {
                                for (int q = 0; q < 20; ++q) faiss.search(row(queries, q), kTop, 1);
                              },
                              20},
                             {"exact fp32, 1 thread", single(fp32, 1), 20},
                             {"exact bf16, 1 thread", single(bf16, 1), 20},
                             {"exact " + int8.storage() + ", 1 thread", single(int8, 1), 20},
                             {"exact " + int8.storage() + ", 2 threads", single(int8, 2), 20}};
  alternate(one, 15);
  fmt::print("\nExact, one query, {} vectors\n{}", name, table_of(one, "query"));
  std::vector<std::vector<int64_t>> found, found_faiss;
  for (int64_t q = 0; q < 100; ++q) {
    found.push_back(ids_of(int8.search(row(queries, q), kTop, {})));
    found_faiss.push_back(faiss.search(row(queries, q), kTop, 1));
  }
  const auto truth = fp32.search_many(std::span(queries).first(100 * kDim), kDim, kTop, {});
  fmt::print("recall against exact fp32: {} {:.5f}, Faiss {:.5f}\n", int8.storage(),
             recall(truth, found), recall(truth, found_faiss));

  const auto batch = [&](const ExactIndex& index, int threads) {
    return [&, threads] {
      set_threads(threads);
      index.search_many(queries, kDim, kTop, {});
    };
  };
  std::vector<Contender> many{
      {"Faiss IndexFlatIP, 1 thread", [&] { faiss.search(queries, kTop, 1); }, kQueries},
      {"Faiss IndexFlatIP, 2 threads", [&] { faiss.search(queries, kTop, 2); }, kQueries},
      {"exact bf16, 1 thread", batch(bf16, 1), kQueries},
      {"exact " + int8.storage() + ", 1 thread", batch(int8, 1), kQueries},
      {"exact " + int8.storage() + ", 2 threads", batch(int8, 2), kQueries}};
  alternate(many, 5);
  fmt::print("\nExact, {} queries at once, {} vectors\n{}", kQueries, name,
             table_of(many, "query"));
}

/// Building and searching at equal M, ef_construction and ef; recall of both beside.
void bench_hnsw(const char* name, double spread) {
  constexpr int32_t kM = 16, kEfConstruction = 200;
  const auto items = clustered(kItems, "items", spread), queries = clustered(kQueries, "q", spread);
  const ExactIndex exact(items, kDim, Storage::kAuto);
  const auto truth = exact.search_many(queries, kDim, kTop, {});
  HnswIndex ours;
  std::unique_ptr<NativeHnsw> native;
  std::vector<Contender> builds;
  for (const int threads : {1, 2}) {
    builds.push_back({fmt::format("hnswlib -march=native, {} thread(s)", threads), [&, threads] {
                        native =
                            std::make_unique<NativeHnsw>(items, kDim, kM, kEfConstruction, threads);
                      }});
    builds.push_back({fmt::format("hnsw, {} thread(s)", threads), [&, threads] {
                        set_threads(threads);
                        ours.build(items, kDim);
                      }});
  }
  alternate(builds, 3, false);
  Table table({"build", "seconds", "hnswlib / ours (range)"});
  for (size_t i = 0; i < builds.size(); ++i)
    table.add({builds[i].name, fmt::format("{:.2f}", quantile(builds[i].seconds, 0.5)),
               i % 2 == 1 ? ratio(builds[i - 1], builds[i]) : ""});
  fmt::print("\nHNSW, {} vectors, M {}, ef_construction {}\n{}", name, kM, kEfConstruction,
             table.text());

  const fs::path file = fs::temp_directory_path() / fmt::format("bench-hnsw-{}", ::getpid());
  ours.save(file);
  set_threads(1);
  Table search({"ef", "hnswlib us", "recall", "hnsw us", "recall", "hnswlib / ours (range)"});
  for (const int32_t ef : {100, 200, 400}) {
    native->set_ef(ef);
    const auto tuned = find_index("hnsw").load(file, items, kDim, {{"ef_search", ef}});
    std::vector<std::vector<int64_t>> found(kQueries), found_native(kQueries);
    std::vector<Contender> both{
        {"hnswlib",
         [&] {
           for (int64_t q = 0; q < kQueries; ++q) {
             const auto ids = native->search(row(queries, q), kTop);
             found_native[static_cast<size_t>(q)].assign(ids.begin(), ids.end());
           }
         },
         kQueries},
        {"hnsw",
         [&] {
           for (int64_t q = 0; q < kQueries; ++q)
             found[static_cast<size_t>(q)] = ids_of(tuned->search(row(queries, q), kTop, {}));
         },
         kQueries}};
    alternate(both, 7);
    const auto micros = [](const Contender& one) {
      return fmt::format("{:.1f}", 1e6 * quantile(one.seconds, 0.5) / one.work);
    };
    search.add({std::to_string(ef), micros(both[0]),
                fmt::format("{:.4f}", recall(truth, found_native)), micros(both[1]),
                fmt::format("{:.4f}", recall(truth, found)), ratio(both[0], both[1])});
  }
  fs::remove(file);
  fmt::print("HNSW, one query, 1 thread\n{}", search.text());
}

/// Recall@100 of 100,000 users over 100,000 items: each user's item looked for among the exact
/// best.
void bench_all_pairs(double spread) {
  constexpr int64_t kUsers = 100'000;
  const auto items = clustered(kItems, "items", spread), users = clustered(kUsers, "users", spread);
  set_threads(2);
  int64_t found = 0;
  const double seconds = seconds_of([&] {
    const auto best = exact_top_k(items, users, kDim, kTop);
    const Rng own(1, "own");
    for (int64_t user = 0; user < kUsers; ++user) {
      const auto item = static_cast<int32_t>(own.below(kItems, static_cast<uint64_t>(user)));
      for (const SearchHit& hit : best[static_cast<size_t>(user)]) found += hit.item == item;
    }
  });
  fmt::print(
      "\nRecall@{} of {} users over {} items of width {}, exact, 2 threads: {:.1f} s, {} found\n",
      kTop, kUsers, kItems, kDim, seconds, found);
}

}  // namespace
}  // namespace retort

int main(int argc, char** argv) {
  using namespace retort;
  const auto wanted = [&](const char* name) {
    for (int i = 1; i < argc; ++i)
      if (std::strcmp(argv[i], name) == 0) return true;
    return argc < 2;
  };
  if (wanted("exact")) {
    bench_exact("clustered", 1);
    bench_exact("random normal", 0);
  }
  if (wanted("hnsw")) bench_hnsw("clustered", 1);
  if (wanted("all_pairs")) bench_all_pairs(1);
}
