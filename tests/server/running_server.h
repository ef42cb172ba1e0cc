// A server on a free port in this process, and bundles for it.
#pragma once

#include <memory>
#include <thread>

#include "tests/bundle/tiny_bundle.h"
#include "tests/server/raw_client.h"

#include "retort/server/server.h"

namespace retort {

class RunningServer {
 public:
  explicit RunningServer(ServerOptions options) {
    options.listener.port = 0;
    options.poll = std::chrono::milliseconds(20);
    server_ = std::make_unique<Server>(options);
    thread_ = std::thread([this] { server_->run(); });
  }
  /// Of the versions in one folder, called "m".
  explicit RunningServer(const fs::path& bundles) : RunningServer(of(bundles)) {}
  ~RunningServer() { stop(); }
  static ServerOptions of(const fs::path& bundles) {
    ServerOptions options;
    options.models = {{"m", bundles}};
    options.queue.threads = 2;
    return options;
  }
  void stop() {
    if (!thread_.joinable()) return;
    server_->stop(std::chrono::seconds(5));
    thread_.join();
  }
  uint16_t port() const { return server_->port(); }
  Server& server() { return *server_; }
  RawAnswer ask(std::string_view method, std::string_view path, std::string_view body = "",
                std::string_view headers = "") const {
    return retort::ask(port(), method, path, body, headers);
  }
  /// Waits up to five seconds until version `version` of "m" serves.
  bool serves(int64_t version) const {
    for (int i = 0; i < 250; ++i) {
      if (ask("GET", "/v1/models").json()["models"][0]["version"] == version) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return false;
  }

 private:
  std::unique_ptr<Server> server_;
  std::thread thread_;
};

}  // namespace retort
