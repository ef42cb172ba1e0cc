#include "retort/dataset/dataset.h"

#include <algorithm>
#include <cmath>

#include "tests/support/scratch_folder.h"
#include "tests/support/tiny_dataset.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"

namespace retort {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Split, NamesGoBothWays) {
  for (const Split split : {Split::kTrain, Split::kValid, Split::kTest})
    EXPECT_EQ(split_from_name(name_of(split)), split);
  EXPECT_EQ(name_of(Split::kHistory), "history");
  EXPECT_THROW(split_from_name("history"), ConfigError);
  EXPECT_THROW(split_from_name("Train"), ConfigError);
}

TEST(Protocol, SurvivesTheRoundTripAndRefusesUnknownKeys) {
  Protocol protocol;
  protocol.negatives_per_click = 3;
  protocol.sampler = "trailing";
  protocol.window = 86'400'000'000;
  protocol.recall_at = {5, 10};
  protocol.exclude_seen = true;
  const Protocol back = protocol_from_json(Json::parse(to_json(protocol).dump()));
  EXPECT_EQ(to_json(back), to_json(protocol));
  EXPECT_THAT(back.recall_at, ElementsAre(5, 10));
  EXPECT_THROW(protocol_from_json({{"sampller", "x"}}), DataError);
  EXPECT_THROW(protocol_from_json({{"exponent", "x"}}), DataError);
  EXPECT_THROW(protocol_from_json({{"uniform_share", 1.5}}), DataError);
  EXPECT_THROW(protocol_from_json({{"recall_at", {0}}}), DataError);
}

class Datasets : public ::testing::Test {
 protected:
  void SetUp() override {
    tiny_ = random_tiny_dataset(3);
    tiny_.write(folder_ / "d");
  }
  ScratchFolder folder_;
  TinyDataset tiny_;
};

TEST_F(Datasets, ShowTheClicksThatWereWritten) {
  const Dataset dataset(folder_ / "d", true);
  ASSERT_EQ(dataset.clicks().size(), static_cast<int64_t>(tiny_.clicks.size()));
  EXPECT_EQ(dataset.users(), tiny_.users);
  EXPECT_EQ(dataset.items(), tiny_.items);
  EXPECT_TRUE(dataset.has_time());
  EXPECT_EQ(dataset.read_threshold(), 30);
  int64_t last = 0;
  for (size_t i = 0; i < tiny_.clicks.size(); ++i) {
    const TinyClick& click = tiny_.clicks[i];
    EXPECT_EQ(dataset.clicks().user[i], click.user);
    EXPECT_EQ(dataset.clicks().item[i], click.item);
    EXPECT_EQ(dataset.clicks().time[i], click.time);
    EXPECT_EQ(dataset.clicks().read[i], click.seconds > 30 ? 1 : 0);
    last = std::max(last, click.time);
  }
  EXPECT_EQ(dataset.end_time(), last + 1);
}

TEST_F(Datasets, SplitsHoldEveryClickOnceInOrder) {
  const Dataset dataset(folder_ / "d");
  size_t total = 0;
  for (const Split split : {Split::kTrain, Split::kValid, Split::kTest, Split::kHistory}) {
    const auto rows = dataset.rows_of(split);
    EXPECT_TRUE(std::is_sorted(rows.begin(), rows.end()));
    for (const int64_t row : rows) EXPECT_EQ(tiny_.clicks[static_cast<size_t>(row)].split, split);
    total += rows.size();
  }
  EXPECT_EQ(total, tiny_.clicks.size());
  EXPECT_GT(dataset.rows_of(Split::kTest).size(), 0U);
}

TEST_F(Datasets, HistoriesEndStrictlyBeforeTheMoment) {
  const Dataset dataset(folder_ / "d");
  for (const TinyClick& click : tiny_.clicks)
    for (const int64_t shift : {-1, 0, 1}) {
      const int64_t time = click.time + shift;
      int64_t earlier = 0;
      for (const TinyClick& other : tiny_.clicks)
        earlier += other.user == click.user && other.time < time ? 1 : 0;
      const int64_t begin = dataset.clicks().user_begin[static_cast<size_t>(click.user)];
      ASSERT_EQ(dataset.history_end(click.user, time) - begin, earlier);
    }
  EXPECT_EQ(dataset.history_end(0, INT64_MIN), 0);
  EXPECT_THROW(dataset.history_end(tiny_.users, 0), ArgumentError);
}

TEST_F(Datasets, KeysAndVocabulariesAreFound) {
  const Dataset dataset(folder_ / "d");
  EXPECT_EQ(dataset.find_user("u0"), 0);
  EXPECT_EQ(dataset.find_item("i7"), 7);
  EXPECT_EQ(dataset.find_user("nobody"), std::nullopt);
  EXPECT_EQ(dataset.find_item(""), std::nullopt);
  EXPECT_EQ(dataset.vocabulary("category").find("sport"), 2);
  EXPECT_EQ(dataset.vocabulary("item_id").find("i7"), 8);
  EXPECT_EQ(dataset.vocabulary("category").find("none"), 0);
  EXPECT_THROW(dataset.vocabulary("mood"), ArgumentError);
  EXPECT_THROW(dataset.timeline("tags"), ArgumentError);
  EXPECT_EQ(dataset.timeline("category").begin.size(), 6U);
}

TEST_F(Datasets, RefuseDamageNamingTheFile) {
  std::string bytes = read_file(folder_ / "d/clicks.item.i32");
  bytes[5] ^= 4;
  write_file(folder_ / "d/clicks.item.i32", bytes);
  try {
    Dataset(folder_ / "d", true);
    ADD_FAILURE() << "a flipped bit was not seen";
  } catch (const DataError& error) {
    EXPECT_THAT(error.what(), HasSubstr("clicks.item.i32"));
  }
}

// The manifest is rewritten after the damage, as a faulty writer would.
TEST_F(Datasets, RefuseColumnsThatDoNotFitTogether) {
  const fs::path folder = folder_ / "d";
  const auto expect_refused = [&](const std::string& column, const auto& damage) {
    const std::string good = read_file(folder / column);
    const Json manifest = read_manifest(folder);
    damage();
    write_manifest(folder, manifest);
    try {
      const Dataset dataset(folder);
      ADD_FAILURE() << column;
    } catch (const DataError& error) {
      EXPECT_THAT(error.what(), HasSubstr(folder.string()));
    }
    write_file(folder / column, good);
    write_manifest(folder, manifest);
  };
  const auto cut = [&](const std::string& column, size_t bytes) {
    const std::string good = read_file(folder / column);
    expect_refused(column, [&] { write_file(folder / column, good.substr(bytes)); });
  };
  cut("clicks.time.i64", 8);
  cut("clicks.seconds.f32", 4);
  cut("users.clicks_begin.i64", 8);
  cut("items.train_clicks.i64", 8);
  cut("timeline.item.reads.i32", 4);
  cut("by_time.click.i64", 8);
  expect_refused("clicks.split.u8", [&] {
    write_file(folder / "clicks.split.u8", std::string(tiny_.clicks.size(), '\7'));
  });
  expect_refused("clicks.item.i32", [&] {
    write_column<int32_t>(folder, "clicks.item",
                          std::vector<int32_t>(tiny_.clicks.size(), tiny_.items));
  });
  EXPECT_NO_THROW(Dataset(folder, true));
}

TEST_F(Datasets, OfAnotherFormatAreRefused) {
  Json manifest = read_manifest(folder_ / "d");
  manifest["format"] = 2;
  write_manifest(folder_ / "d", manifest);
  EXPECT_THROW(Dataset(folder_ / "d"), DataError);
  manifest["format"] = 1;
  manifest.erase("has_time");
  write_manifest(folder_ / "d", manifest);
  EXPECT_THROW(Dataset(folder_ / "d"), DataError);
}

TEST(DatasetWithoutTime, HasEveryClickBeforeItsEnd) {
  const ScratchFolder folder;
  TinyDataset tiny;
  tiny.users = 2;
  tiny.items = 3;
  tiny.has_time = false;
  tiny.clicks = {{0, 1}, {1, 2}, {0, 0}};
  tiny.write(folder / "d");
  const Dataset dataset(folder / "d");
  EXPECT_FALSE(dataset.has_time());
  EXPECT_EQ(dataset.history_end(0, dataset.end_time()), 2);
  EXPECT_EQ(dataset.history_end(0, 0), 0);
}

}  // namespace
}  // namespace retort
