// The online service: models behind an HTTP API.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "retort/common/file.h"
#include "retort/server/api.h"
#include "retort/server/listener.h"
#include "retort/server/model_store.h"
#include "retort/server/retrieve_api.h"
#include "retort/server/work_queue.h"

namespace retort {

struct ServerOptions {
  ListenerOptions listener;
  WorkQueueOptions queue;
  RetrieveLimits retrieval;
  ApiLimits api;
  std::vector<ModelSource> models;
  std::vector<double> split;             // shares of traffic, one a model; empty: all to the first
  std::string salt = "retort";           // of the split
  std::chrono::milliseconds poll{1000};  // between two looks at the folders of versions
  fs::path items;                        // where live items are kept; empty: in memory only
  std::string index = "bundle";          // or "pgvector", in `database`
  std::string database;                  // of --index pgvector, as PostgresConnection has it
  std::string users;                     // URL of the store of users; empty: none
  ExposureLogOptions exposures;          // folder empty: nothing is logged
  RetrieveDefaults defaults;
  fs::path tokens;    // empty: nobody is asked for one
  bool open = false;  // without tokens on other addresses than the machine's own
  bool page = true;   // the explorer at /
};

class Server {
 public:
  /// Loads all models and binds the port. Throws as ModelStore, Listener, LiveItems,
  /// open_feature_store and Tokens do, and ConfigError for an address that other machines reach
  /// without tokens, unless `open`.
  explicit Server(const ServerOptions& options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  uint16_t port() const;
  const std::vector<Route>& routes() const;
  /// Serves until `stop`, then until the last request is answered, for `patience` at most.
  void run();
  /// Thread-safe, returns at once.
  void stop(std::chrono::milliseconds patience = std::chrono::seconds(8));

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace retort
