// Datasets made by hand: plain vectors in, a dataset folder out, without ingest. The columns are
// computed by straightforward loops, so that they can stand as an oracle too.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "retort/dataset/dataset.h"

namespace retort {

struct TinyClick {
  int32_t user = 0, item = 0;
  int64_t time = 0;  // microseconds
  float seconds = std::numeric_limits<float>::quiet_NaN();
  Split split = Split::kTrain;
  std::map<std::string, uint8_t> labels{};  // 0 or 1; a name that is missing here: unknown
};

/// A shown article.
struct TinyShown {
  int32_t user = 0, item = 0;
  int64_t time = 0, request = 0, position = 0;
  int64_t click = -1;  // position in `clicks` as sorted; -1 = not clicked
  float seconds = std::numeric_limits<float>::quiet_NaN();
  Split split = Split::kTrain;
  float score_click = 0, score_dwm = 0;
  int32_t snapshot = 0;
  std::map<std::string, uint8_t> labels{};  // as those of clicks
};

/// Users are named "u0", "u1", .., items "i0", "i1", ..; the feature whose column is "user" or
/// "item" gets row 1 + index and the vocabulary of the keys (schema rows: 1 + count).
struct TinyDataset {
  int32_t users = 0, items = 0;
  std::vector<TinyClick> clicks;  // written sorted by (user, time), equal ones in this order
  Schema schema;
  Protocol protocol;
  bool has_time = true;
  double read_threshold = 30;      // read = seconds > threshold
  std::vector<int64_t> published;  // [items] or empty
  /// Stored features by column stem: "user.segment", "item.category", "clicks.device". Rows of
  /// "clicks." are in the order of `clicks` above.
  std::map<std::string, std::vector<int32_t>> ids;      // one a row, or with `offsets` several
  std::map<std::string, std::vector<int64_t>> offsets;  // bags
  std::map<std::string, std::vector<float>> values;     // [rows * width]
  std::map<std::string, std::vector<std::string>> vocabularies;  // rows; [0] is ""
  std::map<std::string, std::vector<std::string>> attributes;    // items.attr.NAME, [items]
  std::map<std::string, std::vector<double>> numbers;     // items.attr.NAME of numbers, [items]
  std::map<std::string, std::vector<TinyClick>> streams;  // events, their split unused; any order
  std::vector<TinyShown> shown;                           // impressions, sorted when written
  bool unclicked_seconds = false, logged_scores = false;  // of `shown`
  std::vector<uint8_t> candidates;                        // [items] or empty: all

  /// Sorts `clicks` (and the columns aligned with them) as they will be written.
  void sort();
  /// Calls sort(), writes the folder (which must not exist) and its manifest.
  void write(const fs::path& folder);
};

/// A random feed of four days with every kind of feature, equal times, unknown seconds, missing
/// values, out-of-vocabulary ids, and items nobody clicked. Splits by time (60/20/20).
TinyDataset random_tiny_dataset(uint64_t seed, int32_t users = 12, int32_t items = 20,
                                int32_t clicks = 400);

}  // namespace retort
