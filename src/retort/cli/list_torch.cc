#include <memory>

#include <CLI/CLI.hpp>

#include "retort/cli/listing.h"
#include "retort/trainer/torch_info.h"

namespace retort {
namespace {

Answer run(const std::string& kind) {
  std::vector<ListedEntry> rows;
  for (const TorchEntry& entry : kind == "models" ? model_entries() : loss_entries())
    rows.push_back({entry.name, entry.summary, entry.source});
  return list_answer(kind, rows);
}

Action add(CLI::App& app, const CommonFlags&) {
  auto kind = std::make_shared<std::string>();
  app.add_option("KIND", *kind, "models or losses")
      ->required()
      ->check(CLI::IsMember({"models", "losses"}));
  return [kind] { return run(*kind); };
}

}  // namespace

Command list_torch_command() {
  return {{.name = "list",
           .summary = "models and losses: what there is",
           .examples = "  retort list models\n"},
          &add};
}

}  // namespace retort
