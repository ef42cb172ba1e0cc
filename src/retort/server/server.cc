#include "retort/server/server.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include <boost/asio/ip/address.hpp>

#include "retort/common/error.h"
#include "retort/common/log.h"
#include "retort/server/live_index.h"
#include "retort/server/pgvector_index.h"

namespace retort {
namespace {

constexpr auto kRefreshed = std::chrono::minutes(5);
constexpr int64_t kSweptEvery = 288;  // refreshes: a day

void check_address(const ServerOptions& options) {
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(options.listener.address, error);
  if (!error && !address.is_loopback() && options.tokens.empty() && !options.open)
    fail<ConfigError>(
        "{} is reached by other machines, which then may do everything: give --tokens FILE, or "
        "--open if something in front of the server asks who they are",
        options.listener.address);
}

HttpResponse try_later() {
  HttpResponse response = error_response(429, "more requests wait than the server takes");
  response.headers.emplace_back("Retry-After", "1");
  return response;
}

HttpResponse too_late() {
  return error_response(504, "the request waited beyond its deadline and was not begun");
}

/// Turns away those whose deadline has passed.
std::span<Work> in_time(std::span<Work> works) {
  const auto now = SteadyClock::now();
  const auto late = std::stable_partition(
      works.begin(), works.end(), [&](const Work& work) { return work.request.deadline >= now; });
  for (auto work = late; work != works.end(); ++work) work->reply(too_late());
  return {works.begin(), late};
}

}  // namespace

/// In the order of who refers to whom: what comes later ends first.
struct Server::State {
  std::atomic<bool> draining{false};
  Tokens tokens;
  LiveItems items;
  TrailingPopularity popularity;
  std::unique_ptr<ExposureLog> exposures;
  std::unique_ptr<FeatureStore> users;
  std::optional<ModelStore> models;
  std::optional<ModelChoice> choice;
  Router router;
  std::optional<ServerMetrics> metrics;
  std::optional<RetrieveApi> retrieval;
  std::optional<Listener> listener;
  std::optional<WorkQueue> queue;  // its threads reply to the listener
  std::jthread keeper;

  explicit State(const ServerOptions& options) : items(options.items) {}
  void open_models(const ServerOptions& options);
  void add_routes(const ServerOptions& options);
  void add_gauges();
  void handle(HttpRequest request, Reply reply);
  void dispatch(const Route& route, HttpRequest request, const PathValues& values,
                const Reply& reply);
  void answer_slow(Work& work);
  void keep_items_fresh(const std::stop_token& stop);
};

void Server::State::open_models(const ServerOptions& options) {
  ModelStore::Hooks hooks;
  hooks.loaded = [this](ServedModel& model) {
    model.lay_over(std::make_unique<LiveIndex>(model.bundle(), model.retriever().encoder(), items));
  };
  hooks.swapped = [this](const ServedModel& model) {
    if (metrics) metrics->swapped(model.name(), model.version());
  };
  hooks.refused = [this](const std::string& name) {
    if (metrics) metrics->refused(name);
  };
  if (options.index == "pgvector")
    hooks.open_index =
        [pool = std::make_shared<PostgresPool>(options.database)](const Bundle& bundle) {
          return std::make_unique<PgvectorIndex>(pool, bundle);
        };
  models.emplace(options.models, options.poll, std::move(hooks));
  choice.emplace(*models, options.split, options.salt);
}

void Server::State::add_routes(const ServerOptions& options) {
  router.add({"POST", "/v1/retrieve", Scope::kRetrieve, Lane::kQuick});
  add_embed_routes(router, *choice, options.api);
  add_explain_routes(router, *choice, users.get(), items, options.api);
  add_model_routes(router, *models);
  add_item_routes(router, items, options.api);
  add_user_routes(router, {users.get(), popularity, exposures.get()}, options.api);
  add_user_view_routes(router, *choice, users.get(), items);
  if (options.page) add_page_routes(router);
  add_health_routes(router, *models, draining);
  router.add(
      {"GET", "/metrics", Scope::kOpen, Lane::kSlow, [this](const HttpRequest&, const PathValues&) {
         return HttpResponse{200, metrics->text(), "text/plain; version=0.0.4"};
       }});
}

void Server::State::add_gauges() {
  const ListenerCounts& counts = listener->counts();
  const auto of = [](const std::atomic<int64_t>& count) {
    return [&count] { return static_cast<double>(count.load()); };
  };
  metrics->gauge("retort_connections", "open now", of(counts.open));
  metrics->gauge("retort_connections_accepted", "since the start", of(counts.accepted));
  metrics->gauge("retort_connections_turned_away", "above the limit", of(counts.turned_away));
  metrics->gauge("retort_connections_timed_out", "idle or too slow", of(counts.timed_out));
  metrics->gauge("retort_requests_malformed", "no HTTP, or above a limit", of(counts.malformed));
  metrics->gauge("retort_quick_waiting", "requests for one user that wait",
                 [this] { return static_cast<double>(queue->waiting(WorkQueue::Lane::kQuick)); });
  metrics->gauge("retort_slow_waiting", "other requests that wait",
                 [this] { return static_cast<double>(queue->waiting(WorkQueue::Lane::kSlow)); });
  metrics->gauge("retort_live_items", "records of live items",
                 [this] { return static_cast<double>(items.size()); });
  metrics->gauge("retort_index_unavailable", "searches that a database could not answer",
                 [] { return static_cast<double>(PgvectorIndex::unavailable()); });
  metrics->total("retort_popularity_clicks_total", "clicks counted by the popular channel",
                 [this] { return static_cast<double>(popularity.counted()); });
  if (exposures != nullptr) {
    const ExposureLog::Counts& logged = exposures->counts();
    metrics->total("retort_exposures_total", "rows taken, one an item shown", of(logged.exposures));
    metrics->total("retort_exposures_events_total", "events taken", of(logged.events));
    metrics->total("retort_exposures_dropped_total", "rows of either lost: too many, or no disk",
                   of(logged.dropped));
    metrics->total("retort_exposures_files_total", "files written", of(logged.files));
    metrics->gauge("retort_exposures_waiting", "rows not written yet", of(logged.waiting));
  }
  if (users == nullptr) return;
  const auto store = [this](uint64_t StoreCounters::*count) {
    return [this, count] { return static_cast<double>(users->counters().*count); };
  };
  metrics->gauge("retort_users_reads", "users asked for", store(&StoreCounters::reads));
  metrics->gauge("retort_users_writes", "users or events written", store(&StoreCounters::writes));
  metrics->gauge("retort_users_unavailable", "of these, those the store could not serve",
                 store(&StoreCounters::unavailable));
  metrics->gauge("retort_users_failures", "commands that failed", store(&StoreCounters::failures));
  metrics->gauge("retort_users_reconnects", "connections after the first",
                 store(&StoreCounters::reconnects));
  metrics->gauge("retort_users_up", "1: the store can be asked",
                 [this] { return users->counters().up ? 1.0 : 0.0; });
}

void Server::State::handle(HttpRequest request, Reply reply) {
  const Route* route = nullptr;
  const auto arrival = request.arrival;
  const auto answer = [this, arrival, reply = std::move(reply)](const Route* of,
                                                                HttpResponse response) {
    const double seconds = seconds_since(arrival);
    metrics->answered(of, response.status, seconds);
    response.headers.emplace_back("Server-Timing", fmt::format("total;dur={:.3f}", seconds * 1e3));
    reply(std::move(response));
  };
  try {
    PathValues values;
    route = &router.find(request.method, request.path, values);
    switch (tokens.check(request.bearer, route->scope)) {
      case Tokens::Verdict::kAllowed:
        break;
      case Tokens::Verdict::kUnknown: {
        HttpResponse response = error_response(401, "this needs 'Authorization: Bearer TOKEN'");
        response.headers.emplace_back("WWW-Authenticate", "Bearer");
        return answer(route, std::move(response));
      }
      case Tokens::Verdict::kOutOfScope:
        throw HttpError(403, "the token is not for this");
    }
    dispatch(*route, std::move(request), values,
             [answer, route](HttpResponse response) { answer(route, std::move(response)); });
  } catch (const std::exception& error) {
    answer(route, error_response(error));
  }
}

void Server::State::dispatch(const Route& route, HttpRequest request, const PathValues& values,
                             const Reply& reply) {
  if (route.lane == Lane::kInline) return reply(route.handle(request, values));
  Work work{std::move(request), reply, &route, values};
  const auto lane = route.lane == Lane::kQuick ? WorkQueue::Lane::kQuick : WorkQueue::Lane::kSlow;
  if (!queue->submit(lane, work)) reply(try_later());
}

void Server::State::answer_slow(Work& work) {
  HttpResponse response;
  try {
    response = work.route->handle ? work.route->handle(work.request, work.values)
                                  : retrieval->answer_many(work.request);
  } catch (const std::exception& error) {
    response = error_response(error);
  }
  work.reply(std::move(response));
}

/// Ages of live items grow, and what has expired long ago needs no features.
void Server::State::keep_items_fresh(const std::stop_token& stop) {
  std::mutex sleeping;
  std::condition_variable_any wake;
  for (int64_t round = 1;; ++round) {
    std::unique_lock lock(sleeping);
    wake.wait_for(lock, stop, kRefreshed, [] { return false; });
    if (stop.stop_requested()) return;
    try {
      for (const std::string& name : models->names())
        if (const ModelStore::Served served = models->find(name)) served->overlay()->refresh();
      if (round % kSweptEvery == 0) items.sweep();
    } catch (const std::exception& error) {
      log_warning("server", "live items: {}", error.what());
    }
  }
}

Server::Server(const ServerOptions& options) : state_(std::make_unique<State>(options)) {
  check_address(options);
  State& state = *state_;
  if (!options.tokens.empty()) state.tokens = Tokens(options.tokens);
  check_exploration(options.defaults.exploration, options.retrieval);
  if (!options.users.empty()) state.users = open_feature_store(options.users);
  if (!options.exposures.folder.empty())
    state.exposures = std::make_unique<ExposureLog>(options.exposures);
  state.open_models(options);
  state.add_routes(options);
  state.metrics.emplace(state.router.routes());
  for (const std::string& name : state.models->names())
    state.metrics->swapped(name, state.models->find(name)->version());
  state.retrieval.emplace(RetrieveParts{*state.choice, *state.metrics, state.items,
                                        state.popularity, state.users.get(), state.exposures.get()},
                          options.retrieval, options.defaults);
  state.listener.emplace(options.listener, [&state](HttpRequest request, Reply reply) {
    state.handle(std::move(request), std::move(reply));
  });
  state.queue.emplace(
      options.queue,
      [&state](std::span<Work> works) {
        for (Work& many : state.retrieval->answer_quick(in_time(works)))
          if (!state.queue->submit(WorkQueue::Lane::kSlow, many)) many.reply(try_later());
      },
      [&state](std::span<Work> works) {
        for (Work& work : in_time(works)) state.answer_slow(work);
      });
  state.add_gauges();
  state.keeper =
      std::jthread([&state](const std::stop_token& stop) { state.keep_items_fresh(stop); });
}

Server::~Server() = default;

uint16_t Server::port() const { return state_->listener->port(); }

const std::vector<Route>& Server::routes() const { return state_->router.routes(); }

void Server::run() { state_->listener->run(); }

void Server::stop(std::chrono::milliseconds patience) {
  state_->draining = true;
  state_->listener->drain(patience);
}

}  // namespace retort
