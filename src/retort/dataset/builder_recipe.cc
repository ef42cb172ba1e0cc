#include "retort/dataset/builder_recipe.h"

#include <algorithm>
#include <set>

#include "retort/dataset/builder_features.h"
#include "retort/dataset/sampler/negative_sampler.h"

namespace retort {
namespace {

std::optional<TableOptions> read_table(const Json& recipe, const std::string& name) {
  if (!recipe.contains(name)) return std::nullopt;
  Fields fields(recipe, name);
  TableOptions table;
  table.source = read_source_options(fields);
  fields.read("key", table.key);
  if (table.key.empty())
    fail<ConfigError>("{} is missing: the column that holds the {}'s id", fields.name("key"),
                      name == "users" ? "user" : "item");
  if (name == "items") {
    fields.read("published", table.published);
    if (fields.has("filters")) fields.read("filters", table.filters.emplace());
  }
  fields.finish();
  return table;
}

void read_rule(const Json& recipe, DataRecipe& out) {
  Fields fields(recipe, "read");
  const bool timed = std::any_of(out.events.begin(), out.events.end(),
                                 [](const EventSource& source) { return !source.seconds.empty(); });
  if (!timed) out.read_rule = "none";
  if (fields.has("threshold") && fields.sub("threshold").is_number()) {
    out.read_rule = "seconds";
    fields.read("threshold", out.read_threshold);
    if (out.read_threshold < 0)
      fail<ConfigError>("{}: {} seconds; write 0 or more, \"median\" or \"none\"",
                        fields.name("threshold"), out.read_threshold);
  } else {
    fields.read_choice("threshold", out.read_rule, {"none", "median"});
  }
  fields.finish();
  if (!timed && out.read_rule != "none")
    fail<ConfigError>("{}: no [[events]] entry gives 'seconds'; write threshold = \"none\"",
                      fields.name("threshold"));
}

void read_ingest(const Json& recipe, DataRecipe& out) {
  Fields fields(recipe, "ingest");
  fields.read("max_rejected", out.max_rejected);
  fields.read("memory", out.memory);
  fields.finish();
  if (!(out.max_rejected >= 0 && out.max_rejected <= 1))
    fail<ConfigError>("{}: {} is no share between 0 and 1", fields.name("max_rejected"),
                      out.max_rejected);
}

void require(bool holds, const std::string& key, const std::string& why) {
  if (!holds) fail<ConfigError>("{}: {}", key, why);
}

Protocol read_protocol(const Json& recipe) {
  Protocol protocol;
  Fields negatives(recipe, "negatives");
  negatives.read("per_click", protocol.negatives_per_click);
  std::vector<std::string> known;
  for (const SamplerEntry& entry : samplers()) known.emplace_back(entry.name);
  negatives.read_choice("sampler", protocol.sampler, known);
  negatives.read("exponent", protocol.exponent);
  negatives.read_duration("window", protocol.window);
  negatives.read("uniform_share", protocol.uniform_share);
  negatives.read("seed", protocol.seed);
  negatives.finish();
  require(protocol.negatives_per_click >= 1, negatives.name("per_click"), "write 1 or more");
  require(protocol.uniform_share >= 0 && protocol.uniform_share <= 1,
          negatives.name("uniform_share"), "write a share between 0 and 1");
  require(protocol.sampler != "trailing" || protocol.window > 0, negatives.name("window"),
          "the sampler \"trailing\" needs a window such as \"1d\"");
  Fields evaluate(recipe, "evaluate");
  evaluate.read_duration("alive", protocol.alive_window);
  evaluate.read_duration("refresh", protocol.refresh);
  evaluate.read("exclude_seen", protocol.exclude_seen);
  evaluate.read("recall_at", protocol.recall_at);
  evaluate.finish();
  for (const int32_t k : protocol.recall_at)
    require(k > 0, evaluate.name("recall_at"), "write numbers of 1 or more");
  return protocol;
}

/// Attributes need their table, times need moments.
void check_against_log(const DataRecipe& recipe) {
  const bool timed = !recipe.events.front().time.empty();
  for (const FeatureEntry& entry : recipe.features) {
    const FeatureSpec& spec = entry.spec();
    const std::string key = "recipe key 'features." + spec.name + "'";
    if (spec.source == FeatureSource::kAttribute && !entry.of_key()) {
      const bool user = spec.side == Side::kUser;
      require(user ? recipe.users.has_value() : recipe.items.has_value(), key,
              fmt::format("column '{}' belongs to the table [{}], which the recipe lacks (or give "
                          "from = \"event\")",
                          spec.column, user ? "users" : "items"));
    }
    const bool of_moment =
        spec.source != FeatureSource::kAttribute && spec.source != FeatureSource::kContext;
    require(timed || !of_moment, key,
            "the log has no time, hence no past of a moment; give [[events]] a time or leave the "
            "feature out");
  }
}

}  // namespace

DataRecipe read_data_recipe(const Json& recipe) {
  DataRecipe out;
  Fields root(recipe, "");
  root.read("name", out.name);
  for (const char* table : {"world", "events", "users", "items", "read", "split", "ingest",
                            "negatives", "evaluate", "features"})
    root.sub(table);
  root.finish();
  out.events = read_event_sources(recipe);
  out.users = read_table(recipe, "users");
  out.items = read_table(recipe, "items");
  read_rule(recipe, out);
  out.split = read_split_options(recipe, out.events);
  read_ingest(recipe, out);
  out.protocol = read_protocol(recipe);
  out.features = read_features(recipe);
  for (FeatureEntry& entry : out.features) {
    if (entry.spec().source != FeatureSource::kContext) continue;
    entry.column = static_cast<int>(out.context.size());
    out.context.push_back(entry.typed_column());
  }
  check_against_log(out);
  return out;
}

}  // namespace retort
