#include <cmath>
#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "retort/bundle/bundle.h"
#include "retort/cli/command.h"
#include "retort/common/error.h"
#include "retort/common/rng.h"
#include "retort/common/table.h"
#include "retort/common/text.h"
#include "retort/common/thread_pool.h"
#include "retort/encoder/retriever.h"
#include "retort/index/tune.h"

namespace retort {
namespace {

constexpr const char* kExamples =
    "  retort index tune bundles/dmtl\n"
    "  retort index tune bundles/dmtl --target 'recall 0.95' --k 20 --plot tune.svg\n"
    "  retort index tune bundles/dmtl --queries 5000 --threads 1 --json\n";

struct Flags {
  std::string bundle, target = "recall 0.98", plot;
  int32_t k = 100;
  int64_t queries = 1000;
};

/// Vectors of evenly spaced users.
std::vector<float> user_queries(const Bundle& bundle, int64_t count) {
  std::vector<int32_t> rows;
  for (int64_t i = 0; i < count; ++i)
    rows.push_back(static_cast<int32_t>(i * bundle.users() / count));
  return Retriever(bundle).encode(bundle.user_features(rows));
}

/// For a bundle without users: normal numbers with the spread of the items' dimensions.
std::vector<float> random_queries(const Bundle& bundle, int64_t count, uint64_t seed) {
  const int64_t dim = bundle.vector_dim(), items = bundle.items();
  std::vector<double> sum(static_cast<size_t>(dim)), square(sum.size());
  for (int64_t item = 0; item < items; ++item)
    for (int64_t d = 0; d < dim; ++d) {
      const double value = bundle.item_vectors()[static_cast<size_t>(item * dim + d)];
      sum[static_cast<size_t>(d)] += value;
      square[static_cast<size_t>(d)] += value * value;
    }
  const Rng rng(seed, "tune queries");
  std::vector<float> queries(static_cast<size_t>(count * dim));
  for (size_t i = 0; i < queries.size(); ++i) {
    const size_t d = i % sum.size();
    const double mean = sum[d] / static_cast<double>(items);
    const double variance = square[d] / static_cast<double>(items) - mean * mean;
    queries[i] = static_cast<float>(rng.normal(i) * std::sqrt(std::max(variance, 0.0)));
  }
  return queries;
}

std::string text_of(const std::vector<TunePoint>& points, const TunePoint& chosen, int32_t k) {
  Table table({"index", fmt::format("recall@{}", k), "median ms", "p99 ms", "queries/s", "build s",
               "MB more", "front", "chosen"});
  for (const TunePoint& one : points)
    table.add({one.index + ' ' + one.options.dump(), fmt::format("{:.4f}", one.recall),
               fmt::format("{:.3f}", one.median_ms), fmt::format("{:.3f}", one.p99_ms),
               with_thousands(static_cast<int64_t>(one.queries_per_second)),
               fmt::format("{:.1f}", one.build_seconds),
               fmt::format("{:.1f}", static_cast<double>(one.bytes) / 1e6), one.on_front ? "*" : "",
               &one == &chosen ? "<-" : ""});
  return table.text();
}

Answer run(const Flags& flags, const CommonFlags& common) {
  const double recall = parse_target(flags.target);
  const Bundle bundle{fs::path(flags.bundle)};
  if (bundle.items() == 0)
    fail<DataError>("{}: a bundle without items has nothing to search", bundle.folder().string());
  const bool users = bundle.users() > 0;
  const std::vector<float> queries =
      users ? user_queries(bundle, std::min(flags.queries, bundle.users()))
            : random_queries(bundle, flags.queries, common.seed.value_or(1));
  const int64_t count = std::ssize(queries) / bundle.vector_dim();
  const std::vector<TunePoint> points =
      tune_indexes(bundle.item_vectors(), queries, bundle.vector_dim(), {flags.k, recall});
  const TunePoint& chosen = choose_point(points, recall);
  if (!flags.plot.empty()) write_file(flags.plot, tune_plot(points, chosen, flags.k));
  const std::string publish =
      fmt::format("--index {} --index-options '{}'", chosen.index, chosen.options.dump());
  Answer answer{{{"k", flags.k},
                 {"items", bundle.items()},
                 {"dim", bundle.vector_dim()},
                 {"queries", count},
                 {"queries_are", users ? "users" : "random"},
                 {"threads", threads()},
                 {"target", {{"recall", recall}}},
                 {"points", Json::array()},
                 {"chosen", to_json(chosen)},
                 {"publish", publish}},
                ""};
  for (const TunePoint& one : points) answer.json["points"].push_back(to_json(one));
  answer.text = fmt::format(
      "{}\n{} items of width {}, {} queries ({}), {} thread(s), no filter; * nothing is both "
      "faster and better.\nLeast latency with recall {}: publish with\n  {}\n",
      text_of(points, chosen, flags.k), with_thousands(bundle.items()), bundle.vector_dim(),
      with_thousands(count), users ? "users of the log" : "random: the bundle has no users",
      threads(), recall, publish);
  if (!flags.plot.empty()) answer.text += fmt::format("Plot: {}\n", flags.plot);
  return answer;
}

Action add(CLI::App& app, const CommonFlags& common) {
  auto flags = std::make_shared<Flags>();
  CLI::App* tune = app.add_subcommand(
      "tune", "recall against latency of exact, hnsw and faiss on a bundle, and the best choice");
  app.require_subcommand(1);
  tune->fallthrough();  // --json, --threads and the like
  tune->footer(std::string("Examples:\n") + kExamples);
  tune->add_option("BUNDLE", flags->bundle, "a folder of versions (the newest counts) or a version")
      ->required();
  tune->add_option("--target", flags->target,
                   "what the choice has to reach; 'recall 0.98' by default");
  tune->add_option("-k,--k", flags->k, "how many items a search asks for; 100 by default")
      ->check(CLI::Range(1, 1'000'000));
  tune->add_option("--queries", flags->queries, "how many users are searched for; 1000 by default")
      ->check(CLI::Range(1, 100'000'000));
  tune->add_option("--plot", flags->plot, "an SVG file of recall against latency to write");
  return [flags, &common] { return run(*flags, common); };
}

}  // namespace

Command index_command() {
  return {{.name = "index",
           .summary = "measures the indexes on a bundle and chooses one: index tune",
           .examples = kExamples},
          &add};
}

}  // namespace retort
