#include "retort/trainer/publish.h"

#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "retort/cli/command.h"
#include "retort/common/error.h"
#include "retort/common/text.h"

namespace retort {
namespace {

struct Flags {
  std::string run, bundles, dataset, embeddings = "fp32", index = "exact", index_options, at;
  std::optional<double> beta;
  std::vector<double> fusion;
  bool with_teacher = false;
};

Json index_of(const Flags& flags) {
  Json index = {{"name", flags.index}};
  if (flags.index_options.empty()) return index;
  index["options"] = Json::parse(flags.index_options, nullptr, false);
  if (!index["options"].is_object())
    fail<ConfigError>("--index-options {}: not a JSON object", flags.index_options);
  return index;
}

Answer run(const Flags& flags, const CommonFlags& common) {
  PublishOptions options{.dataset = flags.dataset, .embeddings = flags.embeddings};
  options.index = index_of(flags);
  options.beta = flags.beta;
  options.fusion = flags.fusion;
  options.with_teacher = flags.with_teacher;
  options.device = common.device;
  if (!flags.at.empty()) options.moment = parse_moment(flags.at, "--at");
  const PublishResult result = publish_run(flags.run, flags.bundles, options);
  Answer answer{to_json(result), ""};
  answer.text = fmt::format(
      "Version {} is in {}: {} users, {} items, index {} with recall {:.4f} against exact "
      "search.\n",
      result.version, result.path.string(), with_thousands(result.users),
      with_thousands(result.items), flags.index, result.recall);
  return answer;
}

Action add(CLI::App& app, const CommonFlags& common) {
  auto flags = std::make_shared<Flags>();
  app.add_option("RUN", flags->run, "a folder that `retort train` made")->required();
  app.add_option("--to", flags->bundles, "the folder of this model's versions")->required();
  app.add_option("--dataset", flags->dataset, "where the run's dataset is now, if it has moved");
  app.add_option("--embeddings", flags->embeddings,
                 "storage of the tables: fp32 (default), bf16 (half) or int8 (a quarter)")
      ->check(CLI::IsMember({"fp32", "bf16", "int8"}));
  app.add_option("--index", flags->index,
                 "exact (default), hnsw or faiss; see `retort list indexes`");
  app.add_option("--index-options", flags->index_options,
                 "JSON object of the index's options, as in '{\"M\": 32}'");
  app.add_option("--beta", flags->beta, "popularity correction, instead of the run's own");
  app.add_option(
         "--fusion", flags->fusion,
         "0 to 1: share of the first of two tasks in the score, instead of the run's own; of "
         "more tasks a share for each, as in 0.5,0.3,0.2")
      ->delimiter(',');
  app.add_flag("--with-teacher", flags->with_teacher,
               "the bundle carries the run's teacher as well, for pCTR, pCVR and pCTCVR in "
               "`/v1/explain`");
  app.add_option("--at", flags->at,
                 "moment of all features, as in '2024-03-17 12:00:00'; default: end of the log");
  return [flags, &common] { return run(*flags, common); };
}

}  // namespace

Command publish_command() { return {publish_help(), &add}; }

}  // namespace retort
