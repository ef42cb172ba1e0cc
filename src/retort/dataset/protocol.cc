#include "retort/common/error.h"
#include "retort/common/recipe.h"
#include "retort/dataset/dataset.h"

namespace retort {

Json to_json(const Protocol& protocol) {
  return {{"negatives_per_click", protocol.negatives_per_click},
          {"sampler", protocol.sampler},
          {"exponent", protocol.exponent},
          {"window", protocol.window},
          {"uniform_share", protocol.uniform_share},
          {"alive_window", protocol.alive_window},
          {"alive_by", protocol.alive_by},
          {"lists", protocol.lists},
          {"long_term", protocol.long_term},
          {"refresh", protocol.refresh},
          {"exclude_seen", protocol.exclude_seen},
          {"exclude_streams", protocol.exclude_streams},
          {"recall_at", protocol.recall_at},
          {"seed", protocol.seed}};
}

Protocol protocol_from_json(const Json& json) {
  Protocol protocol;
  try {
    Fields fields(Json{{"protocol", json}}, "protocol");
    fields.read("negatives_per_click", protocol.negatives_per_click);
    fields.read("sampler", protocol.sampler);
    fields.read("exponent", protocol.exponent);
    fields.read("window", protocol.window);
    fields.read("uniform_share", protocol.uniform_share);
    fields.read("alive_window", protocol.alive_window);
    fields.read_choice("alive_by", protocol.alive_by, {"clicks", "impressions"});
    fields.read_choice("lists", protocol.lists, {"event", "user"});
    fields.read("long_term", protocol.long_term);
    fields.read("refresh", protocol.refresh);
    fields.read("exclude_seen", protocol.exclude_seen);
    fields.read("exclude_streams", protocol.exclude_streams);
    fields.read("recall_at", protocol.recall_at);
    fields.read("seed", protocol.seed);
    fields.finish();
  } catch (const ConfigError& error) {
    fail<DataError>("manifest: {}", error.what());
  }
  const auto require = [](bool holds, std::string_view key, auto value) {
    if (!holds) fail<DataError>("manifest: protocol.{}: {} is out of range", key, value);
  };
  require(protocol.negatives_per_click >= 0, "negatives_per_click", protocol.negatives_per_click);
  require(protocol.window >= 0, "window", protocol.window);
  require(protocol.uniform_share >= 0 && protocol.uniform_share <= 1, "uniform_share",
          protocol.uniform_share);
  require(protocol.alive_window >= 0, "alive_window", protocol.alive_window);
  require(protocol.refresh >= 0, "refresh", protocol.refresh);
  for (const int32_t k : protocol.recall_at) require(k > 0, "recall_at", k);
  return protocol;
}

}  // namespace retort
