#include "retort/dataset/builder.h"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdlib>
#include <future>
#include <set>

#include "retort/common/error.h"
#include "retort/common/log.h"
#include "retort/common/progress.h"
#include "retort/common/text.h"
#include "retort/common/thread_pool.h"
#include "retort/dataset/builder_columns.h"
#include "retort/dataset/builder_days.h"
#include "retort/dataset/builder_features.h"
#include "retort/dataset/builder_features_store.h"
#include "retort/dataset/builder_fit.h"
#include "retort/dataset/builder_streams.h"
#include "retort/dataset/builder_tables.h"
#include "retort/dataset/builder_timeline.h"

namespace retort {
namespace {

constexpr int64_t kFormat = 1;

fs::path source_folder(const IngestOptions& options) {
  if (!options.from.empty()) return options.from;
  const char* data = std::getenv("RETORT_DATA");
  return data == nullptr ? fs::path(".") : fs::path(data);
}

bool same_folder(const fs::path& a, const fs::path& b) {
  return fs::exists(a) && fs::exists(b) && fs::equivalent(a, b);
}

Json to_json(const SplitMade& made) {
  Json json{{"kind", made.kind}};
  if (made.valid_from) json["valid_from"] = *made.valid_from;
  if (made.test_from) json["test_from"] = *made.test_from;
  json["excludes"] = made.excludes;
  json["cannot_exclude"] = made.cannot_exclude;
  return json;
}

Json to_json(const AttributionOptions& options, const AttributionMade& made) {
  Json json{{"days", options.days},   {"censor", options.censor},
            {"cut", options.cut},     {"log_end", made.log_end},
            {"rows", made.rows},      {"discoveries", made.discoveries},
            {"unknown", made.unknown}};
  if (made.moments) json["cut_at"] = made.moments->test_from;
  return json;
}

int64_t count(DuckDb& db, const std::string& table) {
  return db.query_integer("SELECT count(*) FROM " + table).value_or(0);
}

/// One ingest, step by step; the folder in the making holds the database until `finish`.
class Builder {
 public:
  Builder(const Json& recipe, const IngestOptions& options)
      : given_(recipe),
        from_(source_folder(options)),
        recipe_(read_data_recipe(recipe)),
        scope_{options.days, options.append},
        allow_gap_(options.allow_gap),
        making_(options.out, /*replace=*/same_folder(options.out, options.append)),
        work_(making_.path() / "work") {
    if (options.seed) recipe_.protocol.seed = *options.seed;
    result_.dataset = options.out;
    recipe_.keep_log = recipe_.keep_log || options.keep_log || !options.append.empty();
    if (options.days) settle_day(*options.days);
    if (!options.append.empty()) continue_from(options.append);
    check_keeping();
    fs::create_directories(work_);
    // In memory, from where what is too much goes to the folder: a database file costs as much
    // again as the queries.
    db_ = std::make_unique<DuckDb>(DuckDbOptions{
        .database = {}, .memory_limit = recipe_.memory, .temporary_folder = work_ / "spill"});
  }

  IngestResult build() {
    const auto begin = std::chrono::steady_clock::now();
    read_log();
    make_clicks();
    write_columns();
    finish();
    result_.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return result_;
  }

 private:
  const fs::path& folder() const { return making_.path(); }

  /// "{day}" in a path or query is the day asked for, or any.
  void settle_day(const DayRange& days) {
    const std::string day = days.single() ? format_day(days.from) : "*";
    const auto settle = [&](SourceOptions& source) {
      for (std::string* text : {&source.path, &source.sql})
        for (size_t at; (at = text->find("{day}")) != std::string::npos;) text->replace(at, 5, day);
    };
    for (EventSource& source : recipe_.events) settle(source.source);
    for (StreamSource& stream : recipe_.streams) settle(stream.events.source);
    for (auto* table : {&recipe_.users, &recipe_.items})
      if (*table) settle((*table)->source);
  }

  /// Sources of history alone were read when the dataset was made.
  void continue_from(const fs::path& dataset) {
    before_ = open_before(dataset, given_);
    std::erase_if(recipe_.events,
                  [](const EventSource& source) { return source.role == "history"; });
    if (recipe_.events.empty())
      fail<ConfigError>("the recipe's events are history alone: there is no day to add");
  }

  void check_keeping() const {
    if (recipe_.attribution && (recipe_.keep_log || scope_.days))
      fail<ConfigError>(
          "an attributed log cannot be kept or read by days: the windows of its discoveries reach "
          "into later days; ingest the whole log");
  }

  void read_log() {
    create_reject_table(*db_);
    tables_.push_back(read_entity_table(*db_, recipe_, Side::kUser, from_));
    tables_.push_back(read_entity_table(*db_, recipe_, Side::kItem, from_));
    for (const EntityTable& table : tables_)
      if (!table.rejected.empty()) result_.table_rejected[table.name] = table.rejected;
    if (recipe_.attribution) {
      const AttributionMade made =
          attribute(*db_, *recipe_.attribution, recipe_.split, from_, recipe_.max_rejected);
      moments_ = made.moments;
      result_.attribution = to_json(*recipe_.attribution, made);
      if (auto rejected = count_rejects(*db_, "attribution"); !rejected.empty())
        result_.table_rejected["attribution.playbacks"] = std::move(rejected);
    }
    StreamReader streams(*db_, recipe_.streams, from_);
    events_ = map_events(*db_, recipe_.events, recipe_.context, from_, recipe_.max_rejected,
                         streams.whole(), scope_);
    if (recipe_.attribution) db_->run("DROP TABLE attributed");
    const std::vector<EventCounts> counts =
        streams.read(events_.whole, recipe_.max_rejected, scope_);
    for (size_t i = 0; i < counts.size(); ++i) result_.streams[recipe_.streams[i].name] = counts[i];
    result_.rows_read = events_.counts.rows_read;
    result_.kept = events_.counts.kept;
    result_.rejected = events_.counts.rejected;
    if (count(*db_, "rejects") > 0)
      db_->run(
          fmt::format("COPY (SELECT file, row, reason, value FROM rejects ORDER BY source, file, "
                      "row) TO {} (FORMAT parquet)",
                      sql_string((folder() / "rejects.parquet").string())));
    if (const auto days = find_days(*db_, events_, before_ ? &*before_ : nullptr, allow_gap_)) {
      result_.days = days->all;
      if (before_) result_.days_added = days->added;
    }
    if (recipe_.keep_log) keep_events(*db_, recipe_.streams, folder());
    check_interrupt("ingest");
  }

  void make_clicks() {
    for (const EntityTable& table : tables_) {
      if (before_) restore_entities(*db_, table, *before_);
      number_entities(*db_, table, recipe_.streams);
      if (recipe_.keep_log) keep_entities(*db_, table, folder());
    }
    result_.users = count(*db_, "users");
    result_.items = count(*db_, "items");
    order_clicks(*db_, recipe_, events_);
    if (!events_.has_impressions) db_->run("DROP TABLE events");
    split_ = split_clicks(*db_, recipe_.split, events_, moments_);
    result_.split = to_json(split_);
    result_.clicks = count(*db_, "clicks");
    if (!db_->query_integer("SELECT 1 FROM clicks WHERE split = 0 LIMIT 1"))
      fail<DataError>("the split leaves no training click of {}: {}", result_.clicks,
                      result_.split.dump());
    result_.read_rule = recipe_.read_rule;
    result_.read_threshold = before_ && recipe_.read_rule == "median"
                                 ? before_->manifest.at("read_threshold").get<double>()
                                 : find_threshold(*db_, recipe_);
    check_interrupt("ingest");
  }

  /// The orders by time need the clicks' columns alone: they are made while the database gives
  /// the rest.
  void write_columns() {
    const TrainingClicks trained =
        write_clicks(*db_, recipe_, folder(), events_.has_requests, result_);
    std::vector<std::future<void>> orders = begin_orders();
    for (const EntityTable& table : tables_) write_entities(*db_, table, folder());
    for (const StreamSource& stream : recipe_.streams)
      write_stream(*db_, stream, result_.users, folder());
    if (events_.has_impressions) {
      unclicked_seconds_ =
          recipe_.attribution ||
          db_->query_integer(
                 "SELECT 1 FROM events WHERE NOT rejected AND NOT clicked AND seconds IS NOT NULL "
                 "LIMIT 1")
              .has_value();
      write_impressions(*db_, recipe_, folder(), split_, events_, result_);
      db_->run("DROP TABLE events");
    }
    vocabularies_ = write_vocabularies(*db_, recipe_, trained, folder(), scope_.kept);
    write_features(*db_, recipe_, vocabularies_, folder());
    // (Giving back all that memory takes a while.)
    closing_ = std::async(background(), [db = std::move(db_)] {});
    for (std::future<void>& order : orders) order.get();
    write_group_timelines();
  }

  static KeysOfClicks copy_of(std::span<const int32_t> keys) {
    return [keys](int64_t begin, int64_t end, int32_t* to) {
      std::copy(keys.begin() + begin, keys.begin() + end, to);
    };
  }

  static std::launch background() {
    return threads() > 1 ? std::launch::async : std::launch::deferred;
  }

  std::vector<std::future<void>> begin_orders() const {
    const auto timeline = [this](const char* key, int64_t keys) {
      const Columns columns(folder());
      write_timeline(folder(), key, keys,
                     copy_of(columns.get<int32_t>(std::string("clicks.") + key)));
    };
    std::vector<std::future<void>> orders;
    orders.push_back(std::async(background(), [=, this] { timeline("item", result_.items); }));
    orders.push_back(std::async(background(), [this] { write_by_time(folder()); }));
    orders.push_back(std::async(background(), [=, this] { timeline("user", result_.users); }));
    return orders;
  }

  /// Timelines of the features of items that as-of features count by.
  void write_group_timelines() const {
    const Columns columns(folder());
    const auto items = columns.get<int32_t>("clicks.item");
    std::set<std::string> done{"user", "item"};
    for (const FeatureEntry& entry : recipe_.features) {
      const std::string of = entry.spec().of;
      if (entry.spec().source != FeatureSource::kAsOf || !done.insert(of).second) continue;
      const auto ids = columns.get<int32_t>("item." + of + ".ids");
      const auto named = std::find_if(recipe_.features.begin(), recipe_.features.end(),
                                      [&](const FeatureEntry& e) { return e.spec().name == of; });
      write_timeline(folder(), of, vocabularies_.rows.at(named->spec().vocabulary),
                     [&](int64_t begin, int64_t end, int32_t* to) {
                       for (int64_t click = begin; click < end; ++click)
                         to[click - begin] =
                             ids[static_cast<size_t>(items[static_cast<size_t>(click)])];
                     });
    }
  }

  /// Removes the database's folder, fits what needs the training rows, writes the manifest and
  /// renames.
  void finish() {
    closing_.get();
    fs::remove_all(work_);
    const Json files = list_files(folder());
    fit(files);
    const Schema schema = make_schema(recipe_.features, vocabularies_.rows);
    write_manifest(folder(), manifest(schema), files);
    making_.commit();
  }

  void fit(const Json& files) {
    if (std::none_of(recipe_.features.begin(), recipe_.features.end(),
                     [](const FeatureEntry& entry) { return entry.to_fit(); }))
      return;
    if (before_) return keep_transforms(*before_, recipe_.features);
    std::vector<FeatureEntry> untransformed = recipe_.features;
    write_manifest(folder(), manifest(make_schema(untransformed, vocabularies_.rows)), files);
    fit_transforms(Dataset(folder(), /*deep=*/false), recipe_.features);
  }

  Json manifest(const Schema& schema) const {
    Json vocabularies = Json::object();
    for (const auto& [name, rows] : vocabularies_.rows) {
      const auto hashed = vocabularies_.hashed.find(name);
      vocabularies[name] = {
          {"rows", rows},
          {"hashed_rows", hashed == vocabularies_.hashed.end() ? 0 : hashed->second}};
    }
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    Json json{{"format", kFormat},
              {"kind", "dataset"},
              {"name", recipe_.name},
              {"created",
               format_moment(std::chrono::duration_cast<std::chrono::microseconds>(now).count())},
              {"has_time", events_.has_time},
              {"read_rule", result_.read_rule},
              {"read_threshold", nullptr},
              {"split", result_.split},
              {"protocol", to_json(recipe_.protocol)},
              {"schema", to_json(schema)},
              {"vocabularies", vocabularies},
              {"counts", retort::to_json(result_)},
              {"recipe", given_}};
    if (result_.read_threshold) json["read_threshold"] = *result_.read_threshold;
    if (unclicked_seconds_) json["unclicked_seconds"] = true;
    if (recipe_.attribution) json["attribution"] = result_.attribution;
    if (recipe_.keep_log) json["log"] = kept_log();
    if (before_) json["lineage"] = lineage_after(*before_);
    json["counts"].erase("attribution");
    json["counts"].erase("dataset");
    json["counts"].erase("seconds");
    return json;
  }

  Json kept_log() const {
    Json filters;
    for (const EntityTable& table : tables_) filters[table.name] = table.filters;
    return {{"days", result_.days ? Json(format_days(*result_.days)) : Json()},
            {"filters", std::move(filters)}};
  }

  Json given_;
  fs::path from_;
  DataRecipe recipe_;
  LogScope scope_;
  bool allow_gap_;
  std::optional<DatasetBefore> before_;
  FolderInMaking making_;
  fs::path work_;
  std::unique_ptr<DuckDb> db_;
  std::vector<EntityTable> tables_;
  Events events_;
  std::optional<SplitMoments> moments_;  // of the split, where the attribution has fixed them
  SplitMade split_;
  bool unclicked_seconds_ = false;
  VocabularySizes vocabularies_;
  IngestResult result_;
  std::future<void> closing_;
};

/// The columns of the attributed impressions that the recipe reads; empty where an expression may
/// read any.
std::vector<std::string> impression_columns(const DataRecipe& recipe) {
  std::vector<std::string> texts, columns;
  for (const EventSource& source : recipe.events) {
    if (source.source.table.empty()) continue;
    for (const std::string& text :
         {source.user, source.item, source.time, source.request, source.split, source.source.where})
      texts.push_back(text);
  }
  for (const ContextColumn& column : recipe.context) texts.push_back(column.expression);
  for (const std::string& text : texts) {
    const bool bare = std::all_of(text.begin(), text.end(),
                                  [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; });
    if (!bare) return {};
    if (!text.empty() && std::find(columns.begin(), columns.end(), text) == columns.end())
      columns.push_back(text);
  }
  return columns;
}

}  // namespace

IngestResult ingest(const Json& recipe, const IngestOptions& options) {
  IngestOptions settled = options;
  if (settled.out.empty()) settled.out = settled.append;
  check(!settled.out.empty(), "ingest: no folder for the dataset is given");
  return Builder(recipe, settled).build();
}

std::string attribution_sql(const Json& recipe) {
  const DataRecipe read = read_data_recipe(recipe);
  if (!read.attribution)
    fail<ConfigError>("the recipe has no table [attribution], so there is no SQL of it");
  return attribution_text(*read.attribution, impression_columns(read));
}

Json to_json(const IngestResult& result) {
  Json json{{"rows_read", result.rows_read}, {"kept", result.kept},
            {"rejected", Json::object()},    {"dataset", result.dataset.string()},
            {"users", result.users},         {"items", result.items},
            {"clicks", result.clicks},       {"impressions", result.impressions},
            {"reads", result.reads},         {"read_rule", result.read_rule},
            {"read_threshold", nullptr},     {"clicks_of_split", result.clicks_of_split},
            {"split", result.split},         {"seconds", result.seconds}};
  for (const auto& [reason, count] : result.rejected) json["rejected"][reason] = count;
  if (!result.table_rejected.empty()) json["table_rejected"] = result.table_rejected;
  for (const auto& [name, counts] : result.streams)
    json["streams"][name] = {
        {"rows_read", counts.rows_read}, {"kept", counts.kept}, {"rejected", counts.rejected}};
  if (!result.attribution.is_null()) json["attribution"] = result.attribution;
  if (result.read_threshold) json["read_threshold"] = *result.read_threshold;
  if (result.days) json["days"] = format_days(*result.days);
  if (result.days_added) json["days_added"] = format_days(*result.days_added);
  return json;
}

std::string describe(const IngestResult& result) {
  std::string text = fmt::format("{}\n  rows read {}, kept {}", result.dataset.string(),
                                 with_thousands(result.rows_read), with_thousands(result.kept));
  const auto list = [](const std::map<std::string, int64_t>& counts) {
    std::string parts;
    for (const auto& [reason, count] : counts)
      parts += fmt::format("{}{} {}", parts.empty() ? "" : ", ", reason, with_thousands(count));
    return parts;
  };
  text += fmt::format(", rejected {}", with_thousands(result.rows_read - result.kept));
  if (!result.rejected.empty()) text += fmt::format(" ({})", list(result.rejected));
  for (const auto& [table, rejected] : result.table_rejected)
    text += fmt::format("\n  rejected rows of [{}]: {}", table, list(rejected));
  bool rejects = !result.rejected.empty() || !result.table_rejected.empty();
  for (const auto& [name, counts] : result.streams) {
    text += fmt::format("\n  stream {}: {} events", name, with_thousands(counts.kept));
    if (!counts.rejected.empty()) text += fmt::format(", rejected {}", list(counts.rejected));
    rejects = rejects || !counts.rejected.empty();
  }
  if (!result.attribution.is_null())
    text += fmt::format(
        "\n  attribution over {} days: {} impressions, {} discoveries, {} without "
        "seconds",
        result.attribution.at("days").get<int64_t>(),
        with_thousands(result.attribution.at("rows").get<int64_t>()),
        with_thousands(result.attribution.at("discoveries").get<int64_t>()),
        with_thousands(result.attribution.at("unknown").get<int64_t>()));
  if (result.days_added)
    text += fmt::format("\n  days {}, of which {} new", format_days(*result.days),
                        format_days(*result.days_added));
  if (rejects) text += "\n  each is listed in rejects.parquet";
  text += fmt::format("\n  {} users, {} items, {} clicks ({})", with_thousands(result.users),
                      with_thousands(result.items), with_thousands(result.clicks),
                      list(result.clicks_of_split));
  if (result.impressions > 0)
    text += fmt::format("\n  {} shown articles", with_thousands(result.impressions));
  text += result.read_threshold
              ? fmt::format("\n  reads: {} clicks longer than {:g} s ({})",
                            with_thousands(result.reads), *result.read_threshold, result.read_rule)
              : "\n  reads: every click counts as read";
  text += fmt::format("\n  split by {}", result.split.at("kind").get<std::string>());
  if (result.split.contains("test_from"))
    text += fmt::format(": valid from {}, test from {}",
                        format_moment(result.split.at("valid_from").get<int64_t>()),
                        format_moment(result.split.at("test_from").get<int64_t>()));
  text += fmt::format("\n  cannot exclude: {}\n  took {}\n",
                      result.split.at("cannot_exclude").get<std::string>(),
                      format_seconds(result.seconds));
  return text;
}

}  // namespace retort
