#include <memory>

#include <CLI/CLI.hpp>

#include "retort/bundle/bundle.h"
#include "retort/cli/command.h"
#include "retort/common/error.h"
#include "retort/common/table.h"
#include "retort/encoder/retriever.h"
#include "retort/sim/oracle.h"

namespace retort {
namespace {

struct Flags {
  std::string bundles, user, features, truth;
  bool all_items = false;
  RetrieveOptions options;
};

Json read_features(const std::string& file) {
  Json features = Json::parse(read_file(file), nullptr, false);
  if (!features.is_object()) fail<DataError>("{}: not one JSON object", file);
  return features;
}

/// What is true of the items for the user, on the day of the bundle: adds "click_bait" and
/// "expected_seconds" (of a click) to each.
void add_truth(Json& items, const std::string& user_key, const Oracle& oracle, int64_t moment) {
  const auto user = oracle.find_user(user_key);
  if (!user) fail<DataError>("--truth: the world has no user '{}'", user_key);
  const int32_t day = oracle.day_of(moment);
  for (Json& item : items) {
    const std::string key = item["id"];
    const auto found = oracle.find_item(key);
    if (!found) fail<DataError>("--truth: the world has no item '{}'", key);
    item["click_bait"] = oracle.click_bait(*found);
    item["expected_seconds"] = oracle.expected_seconds(*user, *found, day);
  }
}

std::string text_of(const Json& items, bool with_truth) {
  std::vector<std::string> header{"item", "score"};
  if (with_truth) header.insert(header.end(), {"click-bait", "seconds"});
  Table table(header);
  for (const Json& item : items) {
    std::vector<std::string> row{item["id"], fmt::format("{:.4f}", item["score"].get<double>())};
    if (with_truth) {
      row.emplace_back(item["click_bait"].get<bool>() ? "yes" : "");
      row.push_back(fmt::format("{:.0f}", item["expected_seconds"].get<double>()));
    }
    table.add(row);
  }
  return table.text();
}

Answer run(const Flags& flags) {
  if (flags.user.empty() == flags.features.empty())
    fail<ConfigError>("retrieve: give either --user or --features");
  if (!flags.truth.empty() && flags.user.empty())
    fail<ConfigError>("retrieve: --truth needs --user: it knows the users of the world only");
  const Bundle bundle{fs::path(flags.bundles)};
  const Retriever retriever(bundle);
  RetrieveOptions options = flags.options;
  options.prefer_alive = !flags.all_items;
  const Retrieval found = flags.user.empty()
                              ? retriever.retrieve(read_features(flags.features), options)
                              : retriever.retrieve(std::string_view(flags.user), options);
  Answer answer{to_json(found), ""};
  if (!flags.truth.empty())
    add_truth(answer.json["items"], flags.user, Oracle(fs::path(flags.truth)), bundle.moment());
  answer.text = text_of(answer.json["items"], !flags.truth.empty());
  return answer;
}

Action add(CLI::App& app, const CommonFlags&) {
  auto flags = std::make_shared<Flags>();
  app.add_option("BUNDLES", flags->bundles,
                 "what `retort publish` fills: the newest version "
                 "answers; or the folder of a version")
      ->required();
  app.add_option("--user", flags->user, "a user of the log");
  app.add_option("--features", flags->features,
                 "JSON file with the features of a user who is not in the log");
  app.add_option("-k", flags->options.k, "how many items; 100 by default")
      ->check(CLI::PositiveNumber);
  app.add_flag("--exclude-seen", flags->options.exclude_seen, "leaves out what the user clicked");
  app.add_option("--exclude", flags->options.exclude, "item ids to leave out, as in a1,a2")
      ->delimiter(',');
  app.add_option("--where", flags->options.where,
                 "a condition on item attributes, as in 'category = 3 and length >= 2'");
  app.add_flag("--all-items", flags->all_items, "items that are not alive compete as well");
  app.add_option("--fusion", flags->options.shares,
                 "0 to 1, for a model of two tasks: the share of the first task's score, instead "
                 "of the model's own; of more tasks a share for each, as in 0.5,0.3,0.2")
      ->delimiter(',');
  app.add_option("--truth", flags->truth,
                 "the simulated world: adds each item's click-bait mark and expected seconds");
  return [flags] { return run(*flags); };
}

}  // namespace

Command retrieve_command() {
  return {{.name = "retrieve",
           .summary = "the top k items of a user",
           .examples = "  retort retrieve bundles/dmtl --user u000123 -k 10 --exclude-seen\n"
                       "  retort retrieve bundles/rra --user u000123 --fusion 0.3\n"
                       "  retort retrieve bundles/three --user u000123 --fusion 0.5,0.3,0.2\n"
                       "  retort retrieve bundles/dmtl --user u000123 --where 'category = 3'\n"
                       "  retort retrieve bundles/dmtl --features new-user.json --json\n"},
          &add};
}

}  // namespace retort
