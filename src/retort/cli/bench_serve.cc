#include <algorithm>
#include <memory>
#include <sstream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "retort/bundle/bundle.h"
#include "retort/cli/command.h"
#include "retort/common/error.h"
#include "retort/common/file.h"
#include "retort/common/progress.h"
#include "retort/common/table.h"
#include "retort/common/text.h"
#include "retort/server/load_generator.h"

namespace retort {
namespace {

constexpr const char* kExamples =
    "  retort bench-serve http://127.0.0.1:8080 --users bundles/dmtl\n"
    "  retort bench-serve http://127.0.0.1:8080 --users keys.txt --rate 500,1000,2000 --k 200\n"
    "  retort bench-serve http://127.0.0.1:8080 --users bundles/dmtl --json \\\n"
    "    --body '{\"filters\": {\"category\": [\"sports\"]}}'\n";

struct Flags {
  std::string url, users, body = "{}", token;
  std::vector<double> rates{100, 1000, 2000};
  LoadPlan plan;
  double warm_up = 2;
  int32_t k = 100;
};

/// A file of keys, one a line, or the users of a bundle.
std::vector<std::string> user_keys(const fs::path& path) {
  if (fs::is_regular_file(path)) {
    std::vector<std::string> keys;
    std::istringstream lines(read_file(path));
    for (std::string line; std::getline(lines, line);)
      if (!line.empty()) keys.push_back(line);
    if (keys.empty()) fail<DataError>("{}: no user; write one key a line", path.string());
    return keys;
  }
  const Bundle bundle{path};
  if (bundle.users() == 0)
    fail<DataError>("{}: the bundle has no users; give a file with one key a line", path.string());
  std::vector<std::string> keys;
  for (int32_t user = 0; user < bundle.users(); ++user) keys.emplace_back(bundle.user_keys()[user]);
  return keys;
}

/// One request a user: the given body with the user's key and k.
std::vector<std::string> bodies_of(const Flags& flags) {
  Json body = Json::parse(flags.body, nullptr, false);
  if (!body.is_object()) fail<ConfigError>("--body: '{}' is no JSON object", flags.body);
  if (!body.contains("k")) body["k"] = flags.k;
  std::vector<std::string> bodies;
  for (const std::string& key : user_keys(flags.users)) {
    body["user"] = key;
    bodies.push_back(body.dump());
  }
  return bodies;
}

Json to_json(double rate, const LoadResult& result) {
  Json json{
      {"rate_asked", rate},        {"rate", static_cast<double>(result.answered) / result.seconds},
      {"sent", result.sent},       {"answered", result.answered},
      {"seconds", result.seconds}, {"errors", result.errors}};
  for (const auto& [name, share] : {std::pair{"p50_ms", .5},
                                    {"p90_ms", .9},
                                    {"p99_ms", .99},
                                    {"p999_ms", .999},
                                    {"max_ms", 1.}})
    json[name] = 1000 * result.percentile(share);
  return json;
}

std::string errors_text(const LoadResult& result) {
  std::string text;
  for (const auto& [what, count] : result.errors)
    text += fmt::format("{}{} x {}", text.empty() ? "" : ", ", count, what);
  return text.empty() ? "none" : text;
}

LoadResult measure(const LoadTarget& target, const LoadPlan& plan,
                   const std::vector<std::string>& bodies, const std::string& label) {
  Progress progress(label, static_cast<int64_t>(plan.rate * plan.seconds), "requests");
  return generate_load(target, plan, bodies, [&](int64_t done) {
    progress.update(done);
    check_interrupt("bench-serve");
  });
}

Answer run(const Flags& flags, const CommonFlags& common) {
  const LoadTarget target = parse_load_target(flags.url);
  const std::vector<std::string> bodies = bodies_of(flags);
  LoadPlan plan = flags.plan;
  plan.seed = common.seed.value_or(1);
  if (!flags.token.empty()) std::istringstream(read_file(flags.token)) >> plan.bearer;
  if (flags.warm_up > 0) {
    LoadPlan warm = plan;
    warm.rate = *std::min_element(flags.rates.begin(), flags.rates.end());
    warm.seconds = flags.warm_up;
    measure(target, warm, bodies, "warming up");
  }
  Table table(
      {"asked/s", "answered/s", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "max ms", "errors"});
  Answer answer{{{"url", flags.url}, {"connections", plan.connections}, {"loads", Json::array()}},
                ""};
  for (const double rate : flags.rates) {
    plan.rate = rate;
    const LoadResult result =
        measure(target, plan, bodies, fmt::format("{} requests a second", rate));
    const Json json = to_json(rate, result);
    const auto ms = [&](const char* name) {
      return fmt::format("{:.2f}", json[name].get<double>());
    };
    table.add({fmt::format("{:g}", rate), fmt::format("{:.0f}", json["rate"].get<double>()),
               ms("p50_ms"), ms("p90_ms"), ms("p99_ms"), ms("p999_ms"), ms("max_ms"),
               errors_text(result)});
    answer.json["loads"].push_back(json);
  }
  answer.text = fmt::format(
      "{}\n{} users in random order, {} connections, {:g} s a rate. Requests come as a Poisson "
      "process, and latency counts from the moment a request was due, sent or not.\n",
      table.text(), with_thousands(std::ssize(bodies)), plan.connections, plan.seconds);
  return answer;
}

Action add(CLI::App& app, const CommonFlags& common) {
  auto flags = std::make_shared<Flags>();
  app.add_option("URL", flags->url, "of a server, as in http://127.0.0.1:8080")->required();
  app.add_option("--users", flags->users,
                 "whose candidates are asked for: a bundle, or a file with one key a line")
      ->required()
      ->check(CLI::ExistingPath);
  app.add_option("--rate", flags->rates,
                 "requests a second, one or several; 100,1000,2000 by default")
      ->delimiter(',')
      ->check(CLI::PositiveNumber);
  app.add_option("--seconds", flags->plan.seconds, "of load a rate; 10 by default")
      ->check(CLI::PositiveNumber);
  app.add_option("--connections", flags->plan.connections, "open at once at most; 16 by default")
      ->check(CLI::PositiveNumber);
  app.add_option("--k", flags->k, "candidates a request; 100 by default")
      ->check(CLI::PositiveNumber);
  app.add_option("--body", flags->body, "JSON object that every request carries beside user and k");
  app.add_option("--token", flags->token, "file with the bearer token")->check(CLI::ExistingFile);
  app.add_option("--warm-up", flags->warm_up, "seconds before the first rate; 2 by default")
      ->check(CLI::NonNegativeNumber);
  return [flags, &common] { return run(*flags, common); };
}

}  // namespace

Command bench_serve_command() {
  return {{.name = "bench-serve",
           .summary = "asks a server at given rates: latency percentiles without omissions",
           .examples = kExamples},
          &add};
}

}  // namespace retort
