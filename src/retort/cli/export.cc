#include "retort/bundle/export.h"

#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "retort/bundle/bundle.h"
#include "retort/cli/command.h"
#include "retort/common/error.h"
#include "retort/common/progress.h"
#include "retort/common/text.h"
#include "retort/encoder/onnx_models.h"
#include "retort/encoder/retriever.h"
#include "retort/server/feature_store.h"
#include "retort/server/pgvector_export.h"

namespace retort {
namespace {

struct Flags {
  std::string bundle, vectors, format, out, store, database, onnx;
  PgvectorFill pgvector;
};

Answer fill(const Flags& flags) {
  const Bundle bundle{fs::path(flags.bundle)};
  const int64_t users = fill_feature_store(bundle, *open_feature_store(flags.store));
  return {{{"version", bundle.version()}, {"users", users}},
          fmt::format("{} users of version {} are in {}.\n", with_thousands(users),
                      bundle.version(), flags.store)};
}

Answer fill_database(const Flags& flags) {
  const Bundle bundle{fs::path(flags.bundle)};
  PostgresConnection database(flags.database);
  PgvectorFill options = flags.pgvector;
  Progress progress("export", bundle.items(), "items");
  options.progress = [&](int64_t rows) {
    progress.update(rows);
    check_interrupt("export");
  };
  const PgvectorFilled filled = fill_pgvector(database, bundle, options);
  return {{{"version", bundle.version()},
           {"table", pgvector_table(bundle)},
           {"rows", filled.rows},
           {"added", filled.added},
           {"dropped", filled.dropped}},
          fmt::format("{} items of version {} are in table {}, {} of them new{}.\n",
                      with_thousands(filled.rows), bundle.version(), pgvector_table(bundle),
                      with_thousands(filled.added),
                      filled.dropped == 0
                          ? ""
                          : fmt::format("; {} older exports were dropped", filled.dropped))};
}

Answer write_onnx(const Flags& flags) {
  const Bundle bundle{fs::path(flags.bundle)};
  export_onnx(bundle, flags.onnx);
  return {{{"version", bundle.version()}, {"path", flags.onnx}},
          fmt::format("The towers of version {} are in {}; signature.json says what they take.\n",
                      bundle.version(), flags.onnx)};
}

Answer run(const Flags& flags) {
  if (!flags.onnx.empty()) return write_onnx(flags);
  if (!flags.store.empty()) return fill(flags);
  if (!flags.database.empty()) return fill_database(flags);
  if (flags.vectors.empty() || flags.format.empty())
    fail<ConfigError>("export: give --vectors and --format, --onnx, --users-to or --to");
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
  CLI::Option* vectors = app.add_option("--vectors", flags->vectors, "users or items")
                             ->check(CLI::IsMember({"users", "items"}));
  app.add_option("--format", flags->format, "parquet or npy")
      ->check(CLI::IsMember({"parquet", "npy"}));
  app.add_option("--out", flags->out, "the file to write; default: users.npy and the like");
  app.add_option("--onnx", flags->onnx,
                 "the folder for both towers, and the teacher if the bundle carries it, as ONNX "
                 "models, with what their inputs are")
      ->excludes(vectors);
  app.add_option("--users-to", flags->store,
                 "fills a store of users for `retort serve --users`: lmdb:FOLDER or redis://HOST")
      ->excludes(vectors);
  CLI::Option* to =
      app.add_option("--to", flags->database,
                     "copies item vectors into a database with pgvector, for retort serve "
                     "--index pgvector: postgresql://USER@HOST/DATABASE; goes on where a run "
                     "before it was cut off")
          ->excludes(vectors);
  app.add_flag("!--no-hnsw", flags->pgvector.hnsw,
               "of --to: no HNSW index over the vectors, every search is exact")
      ->needs(to);
  app.add_option("--keep", flags->pgvector.keep,
                 "of --to: drop all but the newest N exports of this model; 0, the default: none")
      ->needs(to)
      ->check(CLI::NonNegativeNumber);
  return [flags] { return run(*flags); };
}

}  // namespace

Command export_command() {
  return {{.name = "export",
           .summary = "a bundle's vectors for other tools or a database, its towers as ONNX, its "
                      "users for a store",
           .examples = "  retort export bundles/dmtl --vectors items --format parquet\n"
                       "  retort export bundles/dmtl --vectors users --format npy --out users.npy\n"
                       "  retort export bundles/dmtl --onnx towers\n"
                       "  retort export bundles/dmtl --users-to lmdb:state/users\n"
                       "  retort export bundles/dmtl --to postgresql://retort@db/feed --keep 3\n"},
          &add};
}

}  // namespace retort
