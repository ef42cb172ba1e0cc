#include "retort/dataset/builder_recipe.h"

#include <algorithm>
#include <map>
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
  fields.read("keep_log", out.keep_log);
  fields.finish();
  if (!(out.max_rejected >= 0 && out.max_rejected <= 1))
    fail<ConfigError>("{}: {} is no share between 0 and 1", fields.name("max_rejected"),
                      out.max_rejected);
}

void require(bool holds, const std::string& key, const std::string& why) {
  if (!holds) fail<ConfigError>("{}: {}", key, why);
}

Protocol read_protocol(const Json& recipe, std::string& candidates) {
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
  evaluate.read_choice("alive_by", protocol.alive_by, {"clicks", "impressions"});
  evaluate.read_choice("lists", protocol.lists, {"event", "user"});
  evaluate.read("long_term", protocol.long_term);
  evaluate.read_duration("refresh", protocol.refresh);
  evaluate.read("exclude_seen", protocol.exclude_seen);
  evaluate.read("exclude_streams", protocol.exclude_streams);
  evaluate.read("candidates", candidates);
  evaluate.read("recall_at", protocol.recall_at);
  evaluate.finish();
  for (const int32_t k : protocol.recall_at)
    require(k > 0, evaluate.name("recall_at"), "write numbers of 1 or more");
  require(protocol.exclude_streams.empty() || protocol.exclude_seen,
          evaluate.name("exclude_streams"), "goes with exclude_seen = true");
  require(protocol.alive_by == "clicks" || protocol.alive_window > 0, evaluate.name("alive_by"),
          "goes with alive, the window");
  return protocol;
}

const StreamSource* find_stream(const DataRecipe& recipe, const std::string& name) {
  for (const StreamSource& stream : recipe.streams)
    if (stream.name == name) return &stream;
  return nullptr;
}

std::string stream_names(const DataRecipe& recipe) {
  std::string names;
  for (const StreamSource& stream : recipe.streams)
    names += (names.empty() ? "" : ", ") + stream.name;
  return names.empty() ? "none" : names;
}

/// Streams that are named must be there, and tell of seconds where these are summed.
void check_streams(const DataRecipe& recipe) {
  const auto find = [&](const std::string& name, const std::string& key) {
    const StreamSource* stream = find_stream(recipe, name);
    require(stream != nullptr, key,
            fmt::format("there is no stream '{}'; there are: {}", name, stream_names(recipe)));
    return stream;
  };
  require(recipe.streams.empty() || !recipe.events.front().time.empty(), "recipe key 'streams'",
          "the log has no time, hence no past of a moment; give [[events]] a time");
  for (const std::string& name : recipe.protocol.exclude_streams)
    find(name, "recipe key 'evaluate.exclude_streams'");
  for (const FeatureEntry& entry : recipe.features)
    for (const FeatureSpec& spec : entry.specs) {
      if (spec.stream.empty()) continue;
      const std::string key = "recipe key 'features." + spec.name + ".stream'";
      const bool seconds = spec.with == "seconds" || spec.statistic == "seconds";
      require(!find(spec.stream, key)->events.seconds.empty() || !seconds, key,
              "the stream '" + spec.stream + "' gives no seconds");
    }
}

/// The labels of all sources together, read as columns of the event.
void add_labels(DataRecipe& recipe) {
  std::map<std::string, std::string> labels;
  for (const EventSource& source : recipe.events)
    for (const auto& [name, expression] : source.labels)
      require(labels.emplace(name, expression).first->second == expression,
              "recipe key 'events.labels." + name + "'",
              "give it alike in every [[events]] entry that has it");
  recipe.first_label = static_cast<int>(recipe.context.size());
  for (const auto& [name, expression] : labels) {
    recipe.labels.push_back(name);
    ContextColumn column;
    column.feature = column.key = "events.labels." + name;
    column.expression = expression;
    column.kind = ContextColumn::Kind::kFlag;
    recipe.context.push_back(column);
  }
}

/// The three columns of a logged model's scores are read as those that features take from events.
void add_scores(DataRecipe& recipe) {
  const EventSource* first = nullptr;
  for (const EventSource& source : recipe.events) {
    if (!source.scored()) continue;
    if (first == nullptr) first = &source;
    require(source.score_click == first->score_click && source.score_dwm == first->score_dwm &&
                source.snapshot == first->snapshot,
            "recipe key 'events.scores'",
            "give it alike in every [[events]] entry that has scores");
  }
  if (first == nullptr) return;
  recipe.scores = static_cast<int>(recipe.context.size());
  for (const auto& [name, expression] :
       {std::pair("click", first->score_click), std::pair("dwm", first->score_dwm),
        std::pair("snapshot", first->snapshot)}) {
    ContextColumn column;
    column.feature = column.key = std::string("events.scores.") + name;
    column.expression = expression;
    column.kind = ContextColumn::Kind::kNumber;
    recipe.context.push_back(column);
  }
}

/// Events from the attribution have the columns that it makes.
void read_attributed(const Json& json, DataRecipe& recipe) {
  recipe.attribution = read_attribution(json, recipe.split);
  bool used = false;
  for (EventSource& source : recipe.events) {
    if (source.source.table.empty()) continue;
    used = true;
    if (source.clicked.empty()) source.clicked = "clicked";
    if (source.seconds.empty()) source.seconds = "seconds";
  }
  require(used == recipe.attribution.has_value(), "recipe key 'attribution'",
          used ? "[[events]] from = \"attribution\" needs this table"
               : "no [[events]] entry says from = \"attribution\"");
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
  for (const char* table : {"world", "events", "attribution", "streams", "users", "items", "read",
                            "split", "ingest", "negatives", "evaluate", "features"})
    root.sub(table);
  root.finish();
  out.events = read_event_sources(recipe);
  out.users = read_table(recipe, "users");
  out.items = read_table(recipe, "items");
  out.split = read_split_options(recipe, out.events);
  read_attributed(recipe, out);
  out.streams = read_stream_sources(recipe);
  read_rule(recipe, out);
  read_ingest(recipe, out);
  out.protocol = read_protocol(recipe, out.candidates);
  require(out.candidates.empty() || out.items, "recipe key 'evaluate.candidates'",
          "a condition over the table [items], which the recipe lacks");
  out.features = read_features(recipe);
  for (FeatureEntry& entry : out.features) {
    if (entry.spec().source != FeatureSource::kContext) continue;
    entry.column = static_cast<int>(out.context.size());
    out.context.push_back(entry.typed_column());
  }
  add_labels(out);
  add_scores(out);
  check_against_log(out);
  check_streams(out);
  return out;
}

}  // namespace retort
