#include "tests/log/ingest_support.h"

#include <fstream>

#include <gtest/gtest.h>

namespace retort {
namespace {

constexpr const char* kIds = R"(
[[features]]
name = "user_id"
side = "user"
column = "user"
[[features]]
name = "item_id"
side = "item"
column = "item"
)";

}  // namespace

void LogFolder::write(const std::string& name, const std::string& text) const {
  fs::create_directories((path() / name).parent_path());
  std::ofstream(path() / name, std::ios::binary) << text;
}

void LogFolder::write_parquet(const std::string& name, const std::string& sql) const {
  fs::create_directories((path() / name).parent_path());
  DuckDb().run("COPY (" + sql + ") TO " + sql_string((path() / name).string()) +
               " (FORMAT parquet)");
}

IngestResult LogFolder::ingest(const std::string& toml) const {
  write("recipe.toml", toml + (toml.find("[[features]]") == std::string::npos ? kIds : ""));
  fs::remove_all(out());
  return retort::ingest(load_recipe(path() / "recipe.toml", "", {}),
                        {.from = path(), .out = out()});
}

std::vector<std::string> LogFolder::leftovers() const {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(path()))
    if (entry.is_directory() && entry.path().filename() != "logs")
      names.push_back(entry.path().filename().string());
  return names;
}

std::string items_of(const Dataset& dataset, const std::string& user, Split split) {
  std::string text;
  const auto index = static_cast<size_t>(dataset.find_user(user).value());
  const Clicks& clicks = dataset.clicks();
  for (int64_t at = clicks.user_begin[index]; at < clicks.user_begin[index + 1]; ++at) {
    const auto row = static_cast<size_t>(at);
    if (clicks.split[row] != static_cast<uint8_t>(split)) continue;
    text += (text.empty() ? "" : " ") + std::string(dataset.item_keys()[clicks.item[row]]);
  }
  return text;
}

std::string items_of(const Dataset& dataset, const std::string& user) {
  std::string text;
  const auto index = static_cast<size_t>(dataset.find_user(user).value());
  const Clicks& clicks = dataset.clicks();
  for (int64_t at = clicks.user_begin[index]; at < clicks.user_begin[index + 1]; ++at)
    text += (text.empty() ? "" : " ") +
            std::string(dataset.item_keys()[clicks.item[static_cast<size_t>(at)]]);
  return text;
}

void expect_counts(const IngestResult& result, int64_t read, int64_t kept) {
  int64_t rejected = 0;
  for (const auto& [reason, count] : result.rejected) rejected += count;
  EXPECT_EQ(result.rows_read, read);
  EXPECT_EQ(result.kept, kept);
  EXPECT_EQ(result.rows_read, result.kept + rejected);
}

std::string csv_events(const std::string& more) {
  return "[[events]]\npath = \"log.csv\"\nuser = \"user\"\nitem = \"item\"\ntime = \"time\"\n"
         "seconds = \"seconds\"\n" +
         more;
}

}  // namespace retort
