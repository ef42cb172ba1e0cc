#include "tests/support/growing_feed.h"

#include <fmt/format.h>

#include "retort/common/recipe.h"
#include "retort/common/rng.h"
#include "retort/log/days.h"

namespace retort {
namespace {

constexpr int64_t kStart = 1'709'510'400'000'000;  // 2024-03-04

constexpr const char* kFeed = R"(name = "growing"
[[events]]
path = "log.csv"
user = "user"
item = "item"
time = "time"
seconds = "seconds"
[read]
threshold = 30
[split]
test = "1d"
valid = "1d"
whole_days = true
[[features]]
name = "user_id"
side = "user"
column = "user"
[[features]]
name = "history"
side = "user"
kind = "sequence"
of = "item_id"
last = 6
[[features]]
name = "item_id"
side = "item"
column = "item"
)";

}  // namespace

std::string growing_day(int day) { return format_day(kStart + day * kDay); }

void write_growing_feed(const fs::path& folder, int days, int rows) {
  const Rng rng(11, "growing");
  uint64_t draw = 0;
  const auto below = [&](int n) {
    return static_cast<int>(rng.below(static_cast<uint64_t>(n), draw++));
  };
  std::string log = "user,item,time,seconds\n";
  for (int day = 0; day < days; ++day)
    for (int row = 0; row < rows; ++row) {
      const int user = below(20 + 4 * day);
      const bool own = below(5) > 0;
      const int item = 2 * below(15 + 2 * day) + (own ? user % 2 : 1 - user % 2);
      const int64_t time = (kStart + day * kDay + row * (kDay / rows)) / 1'000'000;
      log += fmt::format("u{},i{},{},{}\n", user, item, time, own ? 35 + below(60) : 1 + below(29));
    }
  write_file(folder / "log.csv", log);
  write_file(folder / "feed.toml", kFeed);
}

Json growing_recipe(const fs::path& folder) { return load_recipe(folder / "feed.toml", "", {}); }

}  // namespace retort
