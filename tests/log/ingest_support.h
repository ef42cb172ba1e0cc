// Small logs written for one test, ingested and opened.
#pragma once

#include <string>
#include <vector>

#include "tests/support/scratch_folder.h"

#include "retort/common/recipe.h"
#include "retort/dataset/builder.h"
#include "retort/dataset/dataset.h"
#include "retort/log/duckdb.h"

namespace retort {

/// A folder of log files and the datasets made of them.
class LogFolder {
 public:
  const fs::path& path() const { return folder_.path(); }
  fs::path out() const { return folder_ / "dataset"; }
  void write(const std::string& name, const std::string& text) const;
  /// Writes the rows of a query as a Parquet file.
  void write_parquet(const std::string& name, const std::string& sql) const;
  /// Ingests a recipe in TOML. The features user_id and item_id are added when it names none.
  IngestResult ingest(const std::string& toml) const;
  Dataset open() const { return Dataset(out(), true); }
  /// What ingest throws: the message of E; fails the test if it throws nothing or another class.
  template <class E>
  std::string error_of(const std::string& toml) const {
    try {
      ingest(toml);
    } catch (const E& error) {
      return error.what();
    }
    return "no error";
  }
  /// Names below the folder that are neither log files nor finished datasets.
  std::vector<std::string> leftovers() const;

 private:
  ScratchFolder folder_;
};

/// "key" of a user's clicks in stored order, such as "a b c".
std::string items_of(const Dataset& dataset, const std::string& user);
/// The same of one split only.
std::string items_of(const Dataset& dataset, const std::string& user, Split split);
/// rows_read == kept + rejected, with the wanted numbers.
void expect_counts(const IngestResult& result, int64_t read, int64_t kept);

/// [[events]] of log.csv with user, item, time, seconds.
std::string csv_events(const std::string& more = "");

}  // namespace retort
