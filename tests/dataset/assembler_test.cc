#include "retort/dataset/assembler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/support/scratch_folder.h"
#include "tests/support/tiny_dataset.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/log/days.h"

namespace retort {
namespace {

using ::testing::ElementsAre;

constexpr int64_t kSecond = 1'000'000, kHour = 3600 * kSecond;
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

std::vector<int32_t> ids_of(const SideBatch& batch, size_t feature, size_t row) {
  const SparseColumn& column = batch.sparse.at(feature);
  return {column.ids.begin() + column.offsets.at(row),
          column.ids.begin() + column.offsets.at(row + 1)};
}

/// A feature's ids or numbers in a batch, found by its name in the schema.
class Reader {
 public:
  Reader(const Schema& schema, Side side, const SideBatch& batch)
      : schema_(schema), side_(side), batch_(batch) {}
  std::vector<int32_t> ids(const std::string& name, size_t row) const {
    const auto order = schema_.sparse_of(side_);
    for (size_t i = 0; i < order.size(); ++i)
      if (schema_.features[static_cast<size_t>(order[i])].name == name)
        return ids_of(batch_, i, row);
    throw std::out_of_range(name);
  }
  float number(const std::string& name, size_t row, int32_t part = 0) const {
    int32_t at = 0;
    for (const int index : schema_.dense_of(side_)) {
      const FeatureSpec& spec = schema_.features[static_cast<size_t>(index)];
      if (spec.name == name)
        return batch_.dense.at(row * static_cast<size_t>(schema_.dense_width(side_)) +
                               static_cast<size_t>(at + part));
      at += spec.width;
    }
    throw std::out_of_range(name);
  }

 private:
  const Schema& schema_;
  Side side_;
  const SideBatch& batch_;
};

/// Brute force over the clicks of the hand-made dataset.
class Oracle {
 public:
  explicit Oracle(const TinyDataset& data) : data_(data) {}

  std::vector<TinyClick> history(int32_t user, int64_t time, size_t last) const {
    std::vector<TinyClick> past;
    for (const TinyClick& click : data_.clicks)  // sorted by (user, time, order)
      if (click.user == user && click.time < time) past.insert(past.begin(), click);
    if (past.size() > last) past.resize(last);
    return past;
  }
  template <class Holds>
  std::vector<TinyClick> window(int64_t time, int64_t window, const Holds& holds) const {
    std::vector<TinyClick> clicks;
    for (const TinyClick& click : data_.clicks)
      if (holds(click) && click.time < time && (window == 0 || click.time >= time - window))
        clicks.push_back(click);
    return clicks;
  }
  int32_t category(int32_t item) const {
    return data_.ids.at("item.category")[static_cast<size_t>(item)];
  }

 private:
  const TinyDataset& data_;
};

int32_t log2_id(double seconds, int top) {
  int power = 0;
  while (std::pow(2.0, power + 1) <= 1 + seconds) ++power;
  return 1 + std::min(top, power);
}

class Features : public ::testing::Test {
 protected:
  void SetUp() override {
    tiny_ = random_tiny_dataset(11);
    tiny_.write(folder_ / "d");
    dataset_ = std::make_unique<Dataset>(folder_ / "d");
    // Each click's own moment, one microsecond on either side, and times beyond both ends.
    for (size_t i = 0; i < tiny_.clicks.size(); ++i)
      for (const int64_t shift : {int64_t{0}, int64_t{1}, int64_t{-1}, 9 * kDay, -9 * kDay}) {
        const TinyClick& click = tiny_.clicks[i];
        const bool own = shift == 0;
        users_.push_back({click.user, click.time + shift, own ? static_cast<int64_t>(i) : -1});
        const auto item = static_cast<int32_t>(i) % tiny_.items;  // also never clicked ones
        items_.push_back({own ? click.item : item, click.time + shift});
      }
  }
  ScratchFolder folder_;
  TinyDataset tiny_;
  std::unique_ptr<Dataset> dataset_;
  std::vector<UserMoment> users_;
  std::vector<ItemMoment> items_;
};

TEST_F(Features, HistoriesMatchBruteForce) {
  SideBatch batch;
  Assembler(*dataset_).users(users_, batch);
  const Reader reader(tiny_.schema, Side::kUser, batch);
  const Oracle oracle(tiny_);
  ASSERT_EQ(batch.rows, static_cast<int64_t>(users_.size()));
  for (size_t r = 0; r < users_.size(); ++r) {
    std::vector<int32_t> items, seconds, ages, categories;
    for (const TinyClick& click : oracle.history(users_[r].user, users_[r].time, 5)) {
      items.push_back(click.item + 1);
      seconds.push_back(std::isnan(click.seconds) ? 0 : log2_id(click.seconds, 14));
      ages.push_back(log2_id(static_cast<double>(users_[r].time - click.time) / 1e6, 30));
      if (categories.size() < 3) categories.push_back(oracle.category(click.item));
    }
    ASSERT_EQ(reader.ids("history", r), items);
    ASSERT_EQ(reader.ids("history.seconds", r), seconds);
    ASSERT_EQ(reader.ids("history.age", r), ages);
    ASSERT_EQ(reader.ids("categories", r), categories);
  }
}

TEST_F(Features, StoredContextAndTimeFeaturesAreTheirColumns) {
  SideBatch batch;
  Assembler(*dataset_).users(users_, batch);
  const Reader reader(tiny_.schema, Side::kUser, batch);
  for (size_t r = 0; r < users_.size(); ++r) {
    const UserMoment& row = users_[r];
    const auto user = static_cast<size_t>(row.user), click = static_cast<size_t>(row.click);
    ASSERT_THAT(reader.ids("user_id", r), ElementsAre(row.user + 1));
    ASSERT_THAT(reader.ids("segment", r), ElementsAre(tiny_.ids.at("user.segment")[user]));
    const bool known = row.click >= 0;
    ASSERT_THAT(reader.ids("device", r),
                ElementsAre(known ? tiny_.ids.at("clicks.device")[click] : 0));
    for (const int32_t part : {0, 1}) {
      const float raw =
          known ? tiny_.values.at("clicks.scroll")[click * 2 + static_cast<size_t>(part)] : 0;
      ASSERT_EQ(reader.number("scroll", r, part), std::isnan(raw) ? 0 : raw);
    }
    const auto hours = static_cast<int64_t>(std::floor(static_cast<double>(row.time) / kHour));
    ASSERT_THAT(reader.ids("hour", r), ElementsAre(1 + hours % 24));
    ASSERT_THAT(reader.ids("weekday", r), ElementsAre(1 + (hours / 24 + 3) % 7));
  }
}

TEST_F(Features, AggregatesMatchBruteForce) {
  SideBatch items, users;
  const Assembler assembler(*dataset_);
  assembler.items(items_, items);
  assembler.users(users_, users);
  const Reader item(tiny_.schema, Side::kItem, items), user(tiny_.schema, Side::kUser, users);
  const Oracle oracle(tiny_);
  const Transform log{.kind = "log"}, bucket{.kind = "bucket", .boundaries = {1, 3, 10}};
  for (size_t r = 0; r < items_.size(); ++r) {
    const auto [id, time] = items_[r];
    const auto same = [id = id](const TinyClick& click) { return click.item == id; };
    const auto all = oracle.window(time, 0, same);
    const auto day = oracle.window(time, kDay, same);
    int reads = 0;
    double sum = 0, first = kNaN;
    for (const TinyClick& click : day) {
      reads += click.seconds > 30 ? 1 : 0;
      sum += std::isnan(click.seconds) ? 0 : std::log1p(click.seconds);
    }
    for (const TinyClick& click : all)
      first = std::fmax(first, static_cast<double>(time - click.time) / 1e6);
    ASSERT_EQ(item.number("clicks_1h", r), oracle.window(time, kHour, same).size());
    ASSERT_THAT(item.ids("clicks_ever", r),
                ElementsAre(bucket.bucket(static_cast<double>(all.size()))));
    ASSERT_EQ(item.number("reads_1d", r), reads);
    const double mean = day.empty() ? 0 : sum / static_cast<double>(day.size());
    ASSERT_NEAR(item.number("mean_1d", r), mean, 1e-5);
    ASSERT_FLOAT_EQ(item.number("since_first", r), log(first));

    const int32_t category = oracle.category(id);
    const auto alike = [&](const TinyClick& click) {
      return category != 0 && oracle.category(click.item) == category;
    };
    ASSERT_EQ(item.number("category_clicks", r), oracle.window(time, 3 * kHour, alike).size());

    const auto own = [&](const TinyClick& click) { return click.user == users_[r].user; };
    const auto count = static_cast<double>(oracle.window(users_[r].time, kDay, own).size());
    ASSERT_FLOAT_EQ(user.number("user_clicks_1d", r), log(count));
  }
}

TEST_F(Features, ItemColumnsAndAgesMatchBruteForce) {
  SideBatch batch;
  Assembler(*dataset_).items(items_, batch);
  const Reader reader(tiny_.schema, Side::kItem, batch);
  const Transform log{.kind = "log"};
  for (size_t r = 0; r < items_.size(); ++r) {
    const auto item = static_cast<size_t>(items_[r].item);
    const auto& offsets = tiny_.offsets.at("item.tags");
    const auto& tags = tiny_.ids.at("item.tags");
    ASSERT_THAT(reader.ids("item_id", r), ElementsAre(items_[r].item + 1));
    ASSERT_EQ(reader.ids("tags", r),
              std::vector(tags.begin() + offsets[item], tags.begin() + offsets[item + 1]));
    const float length = tiny_.values.at("item.length")[item];
    ASSERT_FLOAT_EQ(reader.number("length", r), std::isnan(length) ? 0 : (length - 50) / 20);
    int64_t since = tiny_.published[item];
    if (since == INT64_MIN || since >= items_[r].time) {
      since = INT64_MAX;
      for (const TinyClick& click : tiny_.clicks)
        if (click.item == items_[r].item) since = std::min(since, click.time);
    }
    const double age =
        since < items_[r].time ? static_cast<double>(items_[r].time - since) / 1e6 : kNaN;
    ASSERT_FLOAT_EQ(reader.number("age", r), log(age));
  }
}

TEST_F(Features, CrossesMatchBruteForce) {
  SideBatch batch;
  Assembler(*dataset_).pairs(users_, items_, batch);
  const Reader reader(tiny_.schema, Side::kPair, batch);
  const Oracle oracle(tiny_);
  const Transform bucket{.kind = "bucket", .boundaries = {1, 3, 10}};
  for (size_t r = 0; r < users_.size(); ++r) {
    int category = 0, item = 0;
    const int32_t wanted = oracle.category(items_[r].item);
    for (const TinyClick& click : oracle.history(users_[r].user, users_[r].time, 200)) {
      category += wanted != 0 && oracle.category(click.item) == wanted ? 1 : 0;
      item += click.item == items_[r].item ? 1 : 0;
    }
    ASSERT_EQ(reader.number("same_category", r), category);
    ASSERT_THAT(reader.ids("same_item", r), ElementsAre(bucket.bucket(item)));
  }
}

TEST_F(Features, DropoutHitsItsShareByPositionOnly) {
  const Assembler assembler(*dataset_);
  std::vector<ItemMoment> rows(20'000, items_[0]);
  std::vector<uint64_t> positions;
  for (size_t r = 0; r < rows.size(); ++r) positions.push_back(r);
  const Rng rng(5, "dropout");
  SideBatch batch, again, tail;
  assembler.items(rows, batch, Assembler::Dropout{rng, positions});
  assembler.items(rows, again, Assembler::Dropout{rng, positions});
  const Reader reader(tiny_.schema, Side::kItem, batch);
  int dropped = 0;
  for (size_t r = 0; r < rows.size(); ++r) {
    const auto ids = reader.ids("item_id", r);
    ASSERT_EQ(ids.size(), 1U);
    ASSERT_TRUE(ids[0] == 0 || ids[0] == items_[0].item + 1);
    dropped += ids[0] == 0 ? 1 : 0;
  }
  EXPECT_NEAR(dropped, 6000, 5 * std::sqrt(20'000 * 0.3 * 0.7));
  EXPECT_EQ(batch.sparse[0].ids, again.sparse[0].ids);
  const auto last = std::span(rows).last(100);
  assembler.items(last, tail, Assembler::Dropout{rng, std::span(positions).last(100)});
  EXPECT_EQ(tail.sparse[0].ids,
            std::vector(batch.sparse[0].ids.end() - 100, batch.sparse[0].ids.end()));
  for (size_t other = 1; other < batch.sparse.size(); ++other) {  // no dropout: untouched
    SideBatch plain;
    assembler.items(rows, plain);
    ASSERT_EQ(batch.sparse[other].ids, plain.sparse[other].ids);
  }
  EXPECT_THROW(assembler.items(last, tail, Assembler::Dropout{rng, positions}), ArgumentError);
}

TEST_F(Features, TrainingRowsGoWithoutAShareOfABag) {
  for (FeatureSpec& spec : tiny_.schema.features)
    if (spec.name == "tags") spec.dropout = 0.4;
  tiny_.write(folder_ / "fewer");
  const Dataset dataset(folder_ / "fewer");
  const Assembler assembler(dataset);
  std::vector<uint64_t> positions(items_.size());
  std::iota(positions.begin(), positions.end(), uint64_t{0});
  SideBatch plain, fewer, again;
  assembler.items(items_, plain);
  assembler.items(items_, fewer, Assembler::Dropout{Rng(5, "dropout"), positions});
  assembler.items(items_, again, Assembler::Dropout{Rng(5, "dropout"), positions});
  const Reader all(tiny_.schema, Side::kItem, plain), some(tiny_.schema, Side::kItem, fewer),
      same(tiny_.schema, Side::kItem, again);
  size_t whole = 0, kept = 0;
  for (size_t row = 0; row < items_.size(); ++row) {
    const auto tags = all.ids("tags", row), left = some.ids("tags", row);
    auto from = tags.begin();  // what is left keeps its order
    for (const int32_t id : left) {
      from = std::find(from, tags.end(), id);
      ASSERT_NE(from, tags.end());
      ++from;
    }
    EXPECT_EQ(left, same.ids("tags", row));
    whole += tags.size();
    kept += left.size();
  }
  ASSERT_GT(whole, 1000U);
  EXPECT_NEAR(static_cast<double>(kept) / static_cast<double>(whole), 0.6, 0.07);
}

TEST_F(Features, BuffersAreReused) {
  const Assembler assembler(*dataset_);
  SideBatch batch;
  assembler.users(users_, batch);
  const float* dense = batch.dense.data();
  std::vector<const int32_t*> ids;
  for (const SparseColumn& column : batch.sparse) ids.push_back(column.ids.data());
  assembler.users(std::span(users_).first(7), batch);
  EXPECT_EQ(batch.rows, 7);
  assembler.users(users_, batch);
  EXPECT_EQ(batch.dense.data(), dense);
  for (size_t i = 0; i < ids.size(); ++i) EXPECT_EQ(batch.sparse[i].ids.data(), ids[i]);
}

TEST_F(Features, RowsOutOfRangeAreRefused) {
  const Assembler assembler(*dataset_);
  SideBatch batch;
  EXPECT_THROW(assembler.users(std::vector<UserMoment>{{tiny_.users, 0, -1}}, batch),
               ArgumentError);
  EXPECT_THROW(assembler.users(std::vector<UserMoment>{{0, 0, 1 << 20}}, batch), ArgumentError);
  EXPECT_THROW(assembler.items(std::vector<ItemMoment>{{-1, 0}}, batch), ArgumentError);
  EXPECT_THROW(assembler.pairs(users_, std::span(items_).first(1), batch), ArgumentError);
}

TEST(AssemblerWithoutTime, GivesEmptyHistoriesAndNoAggregates) {
  const ScratchFolder folder;
  TinyDataset tiny = random_tiny_dataset(2);
  tiny.has_time = false;
  for (TinyClick& click : tiny.clicks) click.time = 0;
  tiny.write(folder / "d");
  const Dataset dataset(folder / "d");
  const Assembler assembler(dataset);
  SideBatch users, items;
  assembler.users(std::vector<UserMoment>{{0, dataset.end_time(), -1}}, users);
  assembler.items(std::vector<ItemMoment>{{0, dataset.end_time()}}, items);
  const Reader user(tiny.schema, Side::kUser, users), item(tiny.schema, Side::kItem, items);
  EXPECT_TRUE(user.ids("history", 0).empty());
  EXPECT_TRUE(user.ids("history.age", 0).empty());
  EXPECT_THAT(user.ids("hour", 0), ElementsAre(0));
  EXPECT_EQ(item.number("clicks_1h", 0), 0);
  EXPECT_THAT(item.ids("clicks_ever", 0), ElementsAre(0));
  EXPECT_EQ(item.number("since_first", 0), 0);
}

TEST(AssemblerSchema, ThatDoesNotFitTheColumnsIsRefused) {
  const auto refused = [](const auto& damage) {
    const ScratchFolder folder;
    TinyDataset tiny = random_tiny_dataset(2);
    damage(tiny);
    tiny.write(folder / "d");
    const Dataset dataset(folder / "d");
    EXPECT_THROW(Assembler{dataset}, DataError);
  };
  refused([](TinyDataset& tiny) { tiny.ids.erase("user.segment"); });
  refused([](TinyDataset& tiny) { tiny.ids["user.segment"].pop_back(); });
  refused([](TinyDataset& tiny) { tiny.ids["user.segment"][0] = 4; });
  refused([](TinyDataset& tiny) { tiny.ids["user.segment"][0] = -1; });
  refused([](TinyDataset& tiny) { tiny.offsets["item.tags"].back() += 1; });
  refused([](TinyDataset& tiny) { tiny.values["item.length"].pop_back(); });
}

}  // namespace
}  // namespace retort
