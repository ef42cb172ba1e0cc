// Scores of a ranking model in a Parquet file, of Retort's own (`retort score`) or of any other, as
// a table that training looks pairs and lists up in.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "retort/common/file.h"
#include "retort/dataset/dataset.h"

namespace retort {

/// Where the scores are and how a row of training finds its own.
struct ScoreFile {
  std::string file{};                        // Parquet, a glob too
  std::string user = "user", item = "item";  // columns
  std::string time{}, snapshot{};  // columns; empty: "time", "snapshot" where the file has them
  /// Columns by name of the logit; empty: z_NAME of each such column, else NAME "score" of it.
  std::map<std::string, std::string> logits{};
  bool probabilities = false;  // the columns are probabilities, not logits
  /// row: of the same moment; day: of the same day (UTC); pair: of any moment. Of several the
  /// latest. Empty: row where the file has moments, day where it has dates, else pair.
  std::string match{};
  /// day: of the day so long before; pair: at least so much older than the row. Microseconds.
  int64_t lag = 0;
};

/// A column's name in a file of Retort's own: "z_read" of the logit "read".
std::string score_column(const std::string& logit);

class ScoreStore {
 public:
  /// Reads the whole file; rows are kept as numbers (some 20 bytes each). Throws ConfigError for a
  /// column that is not there or an unfit `match`, DataError where no row is of a user and an item
  /// of the dataset, or a probability is none.
  ScoreStore(const Dataset& dataset, const ScoreFile& file);

  /// What the file has and the dataset does not.
  struct Counts {
    int64_t rows = 0, kept = 0;
    int64_t unknown_user = 0, unknown_item = 0;       // rows
    int64_t no_score = 0;                             // rows without any finite score
    int64_t users = 0, items = 0, snapshots = 0;      // of the kept rows
    std::vector<std::string> some_users, some_items;  // of the unknown ones
  };
  const Counts& counts() const { return counts_; }
  /// Counts in one sentence.
  std::string describe() const;

  const std::vector<std::string>& names() const { return names_; }  // of logits, ascending
  const std::vector<std::string>& snapshots() const { return snapshots_; }
  const std::string& match() const { return file_.match; }

  /// Place of the pair's score for a row of this moment; -1: there is none.
  int64_t find(int32_t user, int32_t item, int64_t time) const;
  /// NaN where that score has no such logit. `name` is a place in names().
  float logit(size_t name, int64_t at) const { return logits_[name][static_cast<size_t>(at)]; }
  int32_t snapshot(int64_t at) const { return snapshot_[static_cast<size_t>(at)]; }

  /// Calls each(item, place) for every item that a row of this user and moment has a score of.
  template <class Each>
  void each_of(int32_t user, int64_t time, Each each) const {
    const auto end = user_begin_[static_cast<size_t>(user) + 1];
    for (int64_t at = user_begin_[static_cast<size_t>(user)]; at < end;) {
      int64_t next = at + 1;
      while (next < end && item_[static_cast<size_t>(next)] == item_[static_cast<size_t>(at)])
        ++next;
      if (const int64_t found = find_among(at, next, time); found >= 0)
        each(item_[static_cast<size_t>(at)], found);
      at = next;
    }
  }

  /// Orders each user's items, the best first, by the product of probabilities to the power of
  /// weights (fused_logit of loss/distillation.h), `weights` by logit; by the latest score of each,
  /// ties by item. Throws ConfigError for a logit that is not there.
  void make_lists(const std::map<std::string, double>& weights);
  struct List {
    std::span<const int32_t> item;
    std::span<const float> score;  // descending
  };
  /// Of a user without scores: empty.
  List list(int32_t user) const;
  /// Place of an item in the user's list, from 1; 0: it is not there.
  int32_t rank(int32_t user, int32_t item) const;

 private:
  struct Row;
  void read(const Dataset& dataset);
  void check_columns(const std::vector<std::pair<std::string, std::string>>& columns);
  void keep(std::vector<Row> rows, std::vector<float> logits, int64_t users);
  /// Of the places [begin, end) of one user and item.
  int64_t find_among(int64_t begin, int64_t end, int64_t time) const;
  std::pair<int64_t, int64_t> run_of(int32_t user, int32_t item) const;

  ScoreFile file_;
  Counts counts_;
  std::vector<std::string> names_, snapshots_;
  // By (user, item, moment, order in the file).
  std::vector<int64_t> user_begin_;  // [users + 1]
  std::vector<int32_t> item_;
  std::vector<int64_t> time_;  // kNoTime: of any moment
  std::vector<int32_t> snapshot_;
  std::vector<std::vector<float>> logits_;  // by names()
  // Lists.
  std::vector<int64_t> list_begin_;  // [users + 1]
  std::vector<int32_t> list_item_;
  std::vector<float> list_score_;
  std::vector<int32_t> rank_;  // [rows], of the row's item
};

}  // namespace retort
