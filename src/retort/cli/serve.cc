#include <chrono>
#include <memory>
#include <thread>

#include <CLI/CLI.hpp>

#include "retort/cli/command.h"
#include "retort/common/error.h"
#include "retort/common/log.h"
#include "retort/common/progress.h"
#include "retort/common/thread_pool.h"
#include "retort/server/server.h"

namespace retort {
namespace {

struct Flags {
  std::vector<std::string> models;
  ServerOptions options;
  double poll = 1, drain = 8, deadline = 2, exposures_every = 30;
  std::string window = "1d";
};

/// "dmtl=bundles/dmtl", or a folder alone, which then is called as the folder is.
ModelSource parse_source(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals != std::string::npos) return {text.substr(0, equals), text.substr(equals + 1)};
  const fs::path folder = fs::absolute(text).lexically_normal();
  return {(folder.has_filename() ? folder : folder.parent_path()).filename().string(), folder};
}

std::chrono::milliseconds milliseconds(double seconds) {
  return std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000));
}

Answer run(const Flags& flags, const CommonFlags& common) {
  ServerOptions options = flags.options;
  for (const std::string& model : flags.models) options.models.push_back(parse_source(model));
  options.queue.threads = common.threads;
  options.poll = milliseconds(flags.poll);
  options.listener.deadline = milliseconds(flags.deadline);
  options.exposures.every = milliseconds(flags.exposures_every);
  options.defaults.window = parse_window(flags.window, "--window");
  Exploration& exploration = options.defaults.exploration;
  if (exploration.from == 0) exploration.from = default_pool(exploration.slots, options.retrieval);
  set_threads(1);  // requests are what runs side by side
  Server server(options);
  log_info("server", "listening on {}:{}{}", options.listener.address, server.port(),
           options.listener.certificate.empty() ? "" : " (TLS)");
  const std::jthread waiter([&](const std::stop_token& done) {
    while (!done.stop_requested() && !interrupted())
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    if (!interrupted()) return;
    log_info("server", "ending: what was asked is answered, nothing more is taken");
    server.stop(milliseconds(flags.drain));
  });
  server.run();
  return {nullptr, ""};
}

void add_listener_flags(CLI::App& app, Flags& flags) {
  ListenerOptions& listener = flags.options.listener;
  app.add_option("--port", listener.port, "8080 by default; 0 = any free one");
  app.add_option("--address", listener.address, "127.0.0.1 by default: this machine only");
  app.add_option("--tokens", flags.options.tokens,
                 "file of bearer tokens with scopes; without one, everyone may do everything");
  app.add_flag("--open", flags.options.open,
               "no tokens though other machines reach the address: something in front asks");
  app.add_option("--certificate", listener.certificate, "PEM file, for TLS 1.2 and up");
  app.add_option("--key", listener.key, "PEM file, the certificate's key");
  app.add_option("--connections", listener.connections, "at most; 1024 by default")
      ->check(CLI::PositiveNumber);
  app.add_option("--largest-body", listener.largest_body, "bytes; 8388608 by default");
  app.add_option("--deadline", flags.deadline,
                 "seconds a request may wait, 2 by default; one may ask for less by X-Deadline-Ms")
      ->check(CLI::PositiveNumber);
  app.add_option("--drain", flags.drain, "seconds that open requests get at the end; 8 by default")
      ->check(CLI::NonNegativeNumber);
}

void add_exposure_flags(CLI::App& app, Flags& flags) {
  ServerOptions& options = flags.options;
  app.add_option("--window", flags.window,
                 "of the popular channel, 1m to 7d; 1d by default; a request may say another");
  app.add_option(
      "--exposures", options.exposures.folder,
      "folder for what is shown and what users do, in Parquet that `retort ingest served` "
      "reads");
  app.add_option("--exposures-every", flags.exposures_every,
                 "seconds a row may wait for its file; 30 by default")
      ->check(CLI::PositiveNumber);
  app.add_option("--explore", options.defaults.exploration.slots,
                 "so many of the last positions are drawn at random, with logged propensities");
  app.add_option("--explore-from", options.defaults.exploration.from,
                 "candidates they are drawn from; 10 a slot by default");
}

Action add(CLI::App& app, const CommonFlags& common) {
  auto flags = std::make_shared<Flags>();
  ServerOptions& options = flags->options;
  app.add_option("BUNDLES", flags->models,
                 "what `retort publish` fills, the newest version serves; several as NAME=BUNDLES, "
                 "of which the first answers requests that name none")
      ->required();
  app.add_option("--split", options.split,
                 "shares of the traffic that names no model, one a model, as in 0.9,0.1; a user "
                 "gets the same one every time")
      ->delimiter(',');
  app.add_option("--split-salt", options.salt, "another text deals the users anew");
  app.add_option("--poll", flags->poll, "seconds between two looks for new versions; 1 by default")
      ->check(CLI::PositiveNumber);
  app.add_option("--items", options.items,
                 "folder that keeps items put over the API; without it they are gone at the end");
  app.add_option("--users", options.users,
                 "store of what users did: lmdb:FOLDER or redis://HOST[:PORT][/DB]");
  app.add_option("--index", options.index,
                 "bundle (the default): each bundle's own; pgvector: in a Postgres database that "
                 "retort export --to fills")
      ->check(CLI::IsMember({"bundle", "pgvector"}));
  app.add_option(
      "--database", options.database,
      "of --index pgvector: postgresql://USER@HOST/DATABASE; without it, what PGHOST and "
      "the like say");
  app.add_option("--queue", options.queue.waiting, "requests that may wait; 256 by default")
      ->check(CLI::PositiveNumber);
  app.add_option("--batch", options.queue.batch, "user towers run together at most; 16 by default")
      ->check(CLI::PositiveNumber);
  app.add_flag("!--no-page", options.page, "no explorer at /, the API alone");
  add_exposure_flags(app, *flags);
  add_listener_flags(app, *flags);
  return [flags, &common] { return run(*flags, common); };
}

}  // namespace

Command serve_command() { return {serve_help(), &add}; }

}  // namespace retort
