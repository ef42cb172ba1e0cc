#include <memory>

#include <CLI/CLI.hpp>

#include "retort/cli/frame.h"
#include "retort/cli/listing.h"
#include "retort/common/recipe.h"
#include "retort/dataset/sampler/negative_sampler.h"
#include "retort/index/item_index.h"
#include "retort/metric/registry.h"

namespace retort {
namespace {

template <class Entries>
std::vector<ListedEntry> listed(const Entries& entries) {
  std::vector<ListedEntry> rows;
  for (const auto& entry : entries) rows.push_back({entry.name, entry.summary, entry.source});
  return rows;
}

Answer run(const std::string& kind) {
  if (kind == "samplers") return list_answer(kind, listed(samplers()));
  if (kind == "indexes") return list_answer(kind, listed(indexes()));
  if (kind == "metrics") return list_answer(kind, listed(metrics()));
  become("retort-train", process_arguments());  // models and losses are made of torch
}

Action add(CLI::App& app, const CommonFlags&) {
  auto kind = std::make_shared<std::string>();
  app.add_option("KIND", *kind, "models, losses, samplers, indexes or metrics")
      ->required()
      ->check(CLI::IsMember({"models", "losses", "samplers", "indexes", "metrics"}));
  return [kind] { return run(*kind); };
}

}  // namespace

Command list_command() {
  return {{.name = "list",
           .summary = "models, losses, samplers, indexes, metrics: what there is",
           .examples = "  retort list losses\n  retort list samplers --json\n"},
          &add};
}

}  // namespace retort
