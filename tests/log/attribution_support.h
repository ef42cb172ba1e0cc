// Hand-made logs of playbacks and impressions, attributed.
#pragma once

#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/log/ingest_support.h"
#include <gtest/gtest.h>

#include "retort/log/attribution.h"
#include "retort/log/days.h"

namespace retort {

inline constexpr double kHour = 1.0 / 24, kMinute = kHour / 60;  // days
inline constexpr int64_t kStart = 19'786 * kDay;                 // 2024-03-04

inline constexpr const char* kAttributionRecipe = R"(
[attribution.playbacks]
path = "playbacks.csv"
id = "pb_id::INT"
user = "user_id"
item = "item_id"
time = "time"
minutes = "minutes"
collection = "collection"
impression = "imp_id"
[attribution.impressions]
path = "impressions.csv"
where = "type = 'tv'"
id = "imp_id"
user = "user_id"
item = "item_id"
time = "time"
collection = "collection"
[attribution.collections]
path = "collections.csv"
id = "id"
kind = "kind"
[split]
kind = "time"
whole_days = true
)";

struct PlaybackLine {
  std::string user, item;
  double day, minutes;
  std::string collection;
  int impression;  // 0 = none
};
struct ImpressionLine {
  int id;
  std::string user, item;
  double day;
  std::string collection, type;
};
struct DwmLabel {
  bool clicked;
  std::optional<double> minutes;
  bool operator==(const DwmLabel&) const = default;
};
inline void PrintTo(const DwmLabel& label, std::ostream* out) {
  *out << (label.clicked ? "clicked " : "not clicked ")
       << (label.minutes ? std::to_string(*label.minutes) : "unknown");
}

/// Microseconds of a moment in days from the log's begin.
inline int64_t micros(double day) { return kStart + std::llround(day * static_cast<double>(kDay)); }

/// Logs that a test writes line by line.
class Attribution : public testing::Test {
 protected:
  void played(const std::string& user, const std::string& item, double day, double minutes,
              const std::string& collection, int impression = 0) {
    playbacks_.push_back({user, item, day, minutes, collection, impression});
  }
  int shown(const std::string& user, const std::string& item, double day,
            const std::string& collection = "tv_for_you", const std::string& type = "tv") {
    const int id = static_cast<int>(impressions_.size()) + 1;
    impressions_.push_back({id, user, item, day, collection, type});
    return id;
  }
  /// Shown, and played at once.
  int discovered(const std::string& user, const std::string& item, double day, double minutes) {
    const int id = shown(user, item, day);
    played(user, item, day + kMinute, minutes, "tv_for_you", id);
    return id;
  }
  void write() const {
    std::string text = "pb_id,user_id,item_id,time,minutes,collection,imp_id\n";
    for (size_t i = 0; i < playbacks_.size(); ++i) {
      const PlaybackLine& p = playbacks_[i];
      text += fmt::format("{},{},{},{},{},{},{}\n", i + 1, p.user, p.item, micros(p.day), p.minutes,
                          p.collection, p.impression > 0 ? std::to_string(p.impression) : "");
    }
    log_.write("playbacks.csv", text + extra_playbacks_);
    text = "imp_id,user_id,item_id,time,collection,type,clicked,note\n";
    for (const ImpressionLine& i : impressions_)
      text += fmt::format("{},{},{},{},{},{},true,n{}\n", i.id, i.user, i.item, micros(i.day),
                          i.collection, i.type, i.id);
    log_.write("impressions.csv", text);
    log_.write("collections.csv",
               "id,kind\ntv_for_you,unfamiliar\nmovies_for_you,unfamiliar\ncontinue,familiar\n"
               "rewatch,familiar\n");
  }
  Json recipe(const std::string& sets) const {
    log_.write("recipe.toml", "[attribution]\n" + sets + kAttributionRecipe);
    return load_recipe(log_.path() / "recipe.toml", "", {});
  }
  /// Labels by impression id.
  std::map<int, DwmLabel> attribute(const std::string& sets, double max_rejected = 0) {
    write();
    const Json json = recipe(sets);
    const SplitOptions split = read_split_options(json, {});
    const AttributionOptions options = read_attribution(json, split).value();
    DuckDb db;
    create_reject_table(db);
    made_ = retort::attribute(db, options, split, log_.path(), max_rejected);
    return labels(db);
  }
  static std::map<int, DwmLabel> labels(DuckDb& db) {
    std::map<int, DwmLabel> labels;
    db.query("SELECT CAST(imp_id AS INTEGER), clicked, seconds FROM attributed",
             [&](const ResultChunk& chunk) {
               for (int64_t row = 0; row < chunk.rows(); ++row) {
                 std::optional<double> minutes;
                 if (!chunk.is_null(2, row)) minutes = chunk.number(2, row) / 60;
                 labels[static_cast<int>(chunk.integer(0, row))] = {chunk.boolean(1, row), minutes};
               }
             });
    return labels;
  }
  /// A playback far behind everything: the log's end.
  void end_log(double day) { played("last", "last", day, 1, "search"); }

  LogFolder log_;
  std::vector<PlaybackLine> playbacks_;
  std::vector<ImpressionLine> impressions_;
  std::string extra_playbacks_;
  AttributionMade made_;
};

}  // namespace retort
