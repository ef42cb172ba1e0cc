#include "retort/bundle/export.h"

#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "retort/bundle/bundle.h"
#include "retort/cli/command.h"
#include "retort/common/text.h"
#include "retort/encoder/retriever.h"

namespace retort {
namespace {

struct Flags {
  std::string bundle, vectors, format, out;
};

Answer run(const Flags& flags) {
  const Bundle bundle{fs::path(flags.bundle)};
  const Retriever retriever(bundle);
  const VectorSource source =
      flags.vectors == "users" ? user_vectors(bundle, retriever) : item_vectors(bundle);
  const std::string out = flags.out.empty() ? flags.vectors + '.' + flags.format : flags.out;
  export_vectors(source, out, flags.format);
  Answer answer;
  answer.json = {{"version", bundle.version()},
                 {"path", out},
                 {"rows", source.keys.size()},
                 {"dim", source.dim}};
  answer.text = fmt::format("{} {} vectors of width {} are in {}.\n",
                            with_thousands(source.keys.size()), flags.vectors, source.dim, out);
  return answer;
}

Action add(CLI::App& app, const CommonFlags&) {
  auto flags = std::make_shared<Flags>();
  app.add_option("BUNDLE", flags->bundle, "a folder of versions (the newest counts) or a version")
      ->required();
  app.add_option("--vectors", flags->vectors, "users or items")
      ->required()
      ->check(CLI::IsMember({"users", "items"}));
  app.add_option("--format", flags->format, "parquet or npy")
      ->required()
      ->check(CLI::IsMember({"parquet", "npy"}));
  app.add_option("--out", flags->out, "the file to write; default: users.npy and the like");
  return [flags] { return run(*flags); };
}

}  // namespace

Command export_command() {
  return {
      {.name = "export",
       .summary = "a bundle's vectors for other tools",
       .examples = "  retort export bundles/dmtl --vectors items --format parquet\n"
                   "  retort export bundles/dmtl --vectors users --format npy --out users.npy\n"},
      &add};
}

}  // namespace retort
