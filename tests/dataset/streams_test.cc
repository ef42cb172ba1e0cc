// Sequences and interactions over streams, against brute force over hand-made events.
#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/support/scratch_folder.h"
#include "tests/support/tiny_dataset.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/common/rng.h"
#include "retort/dataset/assembler.h"
#include "retort/dataset/sampler/negative_sampler.h"

namespace retort {
namespace {

using ::testing::ElementsAre;

constexpr int64_t kSecond = 1'000'000, kHour = 3600 * kSecond;
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

FeatureSpec sequence(const std::string& name, const std::string& with, int64_t rows, bool distinct,
                     int32_t last = 3) {
  return {.name = name,
          .kind = FeatureKind::kSequence,
          .source = FeatureSource::kHistory,
          .vocabulary = with.empty() ? "item_id" : "",
          .rows = rows,
          .of = "item_id",
          .stream = "watched",
          .last = last,
          .distinct = distinct,
          .with = with};
}

FeatureSpec cross(const std::string& name, const std::string& of, const std::string& statistic,
                  const std::string& stream = "watched", int32_t last = 0) {
  return {.name = name,
          .side = Side::kPair,
          .kind = FeatureKind::kDense,
          .source = FeatureSource::kCross,
          .of = of,
          .stream = stream,
          .last = last,
          .statistic = statistic};
}

/// The random feed with a stream over it and features that look at the stream.
TinyDataset with_stream(int32_t events = 300) {
  TinyDataset tiny = random_tiny_dataset(3);
  const Rng rng(9, "stream");
  uint64_t draws = 0;
  const auto below = [&](int32_t n) {
    return static_cast<int32_t>(rng.below(static_cast<uint64_t>(n), draws++));
  };
  const int64_t start = tiny.clicks.front().time / kHour * kHour;
  auto& watched = tiny.streams["watched"];
  for (int32_t i = 0; i < events; ++i)
    watched.push_back({below(tiny.users), below(tiny.items), start + below(96 * 2) * kHour / 2,
                       below(5) == 0 ? kNaN : static_cast<float>(below(5000)), Split::kTrain});
  auto& features = tiny.schema.features;
  const int64_t ids = tiny.items + 1;
  features.push_back(sequence("seen", "", ids, true));
  features.push_back(sequence("seen.count", "count", 16, true));
  features.push_back(sequence("seen.seconds", "seconds", 24, true));
  features.push_back(sequence("seen.age", "age", 32, true));
  features.push_back(sequence("plain", "", ids, false, 5));
  features.push_back(sequence("plain.seconds", "seconds", 16, false, 5));
  features.push_back(cross("tag_count", "tags", ""));
  features.push_back(cross("tag_seconds", "tags", "seconds"));
  features.push_back(cross("tag_age", "tags", "age"));
  features.push_back(cross("item_count", "item", "", "watched", 7));
  features.push_back(cross("category_seconds", "category", "seconds"));
  features.push_back(cross("clicked_age", "category", "age", ""));
  return tiny;
}

class StreamFeatures : public testing::Test {
 protected:
  void SetUp() override {
    tiny_ = with_stream();
    tiny_.write(folder_ / "d");
    dataset_ = std::make_unique<Dataset>(folder_ / "d");
    watched_ = tiny_.streams["watched"];
    std::stable_sort(watched_.begin(), watched_.end(),
                     [](const TinyClick& a, const TinyClick& b) { return a.time < b.time; });
    for (size_t i = 0; i < watched_.size(); i += 3)
      for (const int64_t shift : {int64_t{0}, int64_t{1}, 500 * kHour}) {
        users_.push_back({watched_[i].user, watched_[i].time + shift});
        items_.push_back({static_cast<int32_t>(i * 7) % tiny_.items, watched_[i].time + shift});
      }
    const Assembler assembler(*dataset_);
    assembler.users(users_, user_batch_);
    assembler.pairs(users_, items_, pair_batch_);
  }
  std::vector<int32_t> ids(const std::string& name, size_t row) const {
    const auto order = tiny_.schema.sparse_of(Side::kUser);
    for (size_t i = 0; i < order.size(); ++i)
      if (tiny_.schema.features[static_cast<size_t>(order[i])].name == name) {
        const SparseColumn& column = user_batch_.sparse[i];
        return {column.ids.begin() + column.offsets[row],
                column.ids.begin() + column.offsets[row + 1]};
      }
    throw std::out_of_range(name);
  }
  float number(const std::string& name, size_t row) const {
    const auto order = tiny_.schema.dense_of(Side::kPair);
    for (size_t i = 0; i < order.size(); ++i)
      if (tiny_.schema.features[static_cast<size_t>(order[i])].name == name)
        return pair_batch_.dense[row * order.size() + i];
    throw std::out_of_range(name);
  }
  /// The user's events before the moment, newest first.
  std::vector<TinyClick> past(const UserMoment& moment, const std::vector<TinyClick>& log) const {
    std::vector<TinyClick> events;
    for (const TinyClick& event : log)
      if (event.user == moment.user && event.time < moment.time)
        events.insert(events.begin(), event);
    return events;
  }
  std::vector<int32_t> tags(int32_t item) const {
    const auto& offsets = tiny_.offsets.at("item.tags");
    const auto& ids = tiny_.ids.at("item.tags");
    return {ids.begin() + offsets[static_cast<size_t>(item)],
            ids.begin() + offsets[static_cast<size_t>(item) + 1]};
  }

  ScratchFolder folder_;
  TinyDataset tiny_;
  std::unique_ptr<Dataset> dataset_;
  std::vector<TinyClick> watched_;
  std::vector<UserMoment> users_;
  std::vector<ItemMoment> items_;
  SideBatch user_batch_, pair_batch_;
};

int32_t log2_id(double x) { return 1 + static_cast<int32_t>(std::floor(std::log2(1 + x))); }

TEST_F(StreamFeatures, DistinctSequencesHoldEachItemOnceWithAllItsEvents) {
  size_t full = 0;
  for (size_t row = 0; row < users_.size(); ++row) {
    const auto events = past(users_[row], watched_);
    std::vector<int32_t> items, counts, seconds, ages;
    for (const TinyClick& event : events) {
      if (std::find(items.begin(), items.end(), event.item + 1) != items.end()) continue;
      items.push_back(event.item + 1);
      double sum = 0;
      int count = 0, known = 0;
      for (const TinyClick& other : events) {
        if (other.item != event.item) continue;
        ++count;
        known += std::isnan(other.seconds) ? 0 : 1;
        sum += std::isnan(other.seconds) ? 0 : other.seconds;
      }
      counts.push_back(log2_id(count));
      seconds.push_back(known == 0 ? 0 : log2_id(sum));
      ages.push_back(log2_id(static_cast<double>(users_[row].time - event.time) / 1e6));
      if (items.size() == 3) break;
    }
    full += items.size() == 3 ? 1 : 0;
    ASSERT_EQ(ids("seen", row), items) << row;
    ASSERT_EQ(ids("seen.count", row), counts) << row;
    ASSERT_EQ(ids("seen.seconds", row), seconds) << row;
    ASSERT_EQ(ids("seen.age", row), ages) << row;
  }
  EXPECT_GT(full, users_.size() / 3);
}

TEST_F(StreamFeatures, PlainSequencesHoldEveryEvent) {
  for (size_t row = 0; row < users_.size(); ++row) {
    auto events = past(users_[row], watched_);
    if (events.size() > 5) events.resize(5);
    std::vector<int32_t> items, seconds;
    for (const TinyClick& event : events) {
      items.push_back(event.item + 1);
      seconds.push_back(std::isnan(event.seconds) ? 0 : log2_id(event.seconds));
    }
    ASSERT_EQ(ids("plain", row), items);
    ASSERT_EQ(ids("plain.seconds", row), seconds);
  }
}

TEST_F(StreamFeatures, InteractionsCountSumAndDateEventsThatShare) {
  int shared = 0, none = 0;
  for (size_t row = 0; row < users_.size(); ++row) {
    const int32_t item = items_[row].item;
    const auto of_item = tags(item);
    double count = 0, seconds = 0, age = 0, of_category = 0, same_item = 0;
    const auto events = past(users_[row], watched_);
    const int32_t category = tiny_.ids.at("item.category")[static_cast<size_t>(item)];
    for (size_t i = 0; i < events.size(); ++i) {
      const TinyClick& event = events[i];
      const double known = std::isnan(event.seconds) ? 0 : event.seconds;
      same_item += i < 7 && event.item == item ? 1 : 0;
      if (tiny_.ids.at("item.category")[static_cast<size_t>(event.item)] == category)
        of_category += known;
      const auto other = tags(event.item);
      if (std::none_of(of_item.begin(), of_item.end(), [&](int32_t tag) {
            return std::find(other.begin(), other.end(), tag) != other.end();
          }))
        continue;
      if (count == 0) age = static_cast<double>(users_[row].time - event.time) / 1e6;
      ++count;
      seconds += known;
    }
    shared += count > 0 ? 1 : 0;
    none += of_item.empty() ? 1 : 0;
    ASSERT_EQ(number("tag_count", row), count);
    ASSERT_FLOAT_EQ(number("tag_seconds", row), static_cast<float>(seconds));
    ASSERT_FLOAT_EQ(number("tag_age", row), static_cast<float>(age));
    ASSERT_EQ(number("item_count", row), same_item);
    ASSERT_FLOAT_EQ(number("category_seconds", row),
                    category == 0 ? 0 : static_cast<float>(of_category));
    double clicked_age = 0;
    for (const TinyClick& click : past(users_[row], tiny_.clicks))
      if (category != 0 &&
          tiny_.ids.at("item.category")[static_cast<size_t>(click.item)] == category) {
        clicked_age = static_cast<double>(users_[row].time - click.time) / 1e6;
        break;
      }
    ASSERT_FLOAT_EQ(number("clicked_age", row), static_cast<float>(clicked_age));
  }
  EXPECT_GT(shared, 20);
  EXPECT_GT(none, 5);
}

TEST_F(StreamFeatures, AreReadByNameAndCheckedWhenOpened) {
  EXPECT_EQ(dataset_->stream("watched").item.size(), watched_.size());
  EXPECT_THROW(dataset_->stream("liked"), ArgumentError);
  tiny_.streams["watched"][5].item = tiny_.items;
  tiny_.write(folder_ / "wrong");
  EXPECT_THROW(Dataset(folder_ / "wrong"), DataError);
}

TEST(HiddenFeatures, StandOnNoSideButServeOthers) {
  TinyDataset tiny = with_stream();
  for (FeatureSpec& spec : tiny.schema.features) spec.hidden = spec.name == "tags";
  const ScratchFolder folder;
  tiny.write(folder / "d");
  const Dataset dataset(folder / "d");
  for (const int index : dataset.schema().sparse_of(Side::kItem))
    EXPECT_NE(dataset.schema().features[static_cast<size_t>(index)].name, "tags");
  SideBatch pairs;
  const std::vector<UserMoment> user{{0, tiny.clicks.back().time}};
  const std::vector<ItemMoment> item{{0, tiny.clicks.back().time}};
  Assembler(dataset).pairs(user, item, pairs);
  EXPECT_EQ(pairs.rows, 1);
}

TEST(StreamSchema, GoesToJsonAndBackAndRefusesWhatMakesNoSense) {
  const Schema schema = with_stream().schema;
  EXPECT_EQ(to_json(schema_from_json(to_json(schema))), to_json(schema));
  const auto refused = [&](const std::string& name, auto change) {
    Schema wrong = schema;
    for (FeatureSpec& spec : wrong.features)
      if (spec.name == name) change(spec);
    EXPECT_THROW(schema_from_json(to_json(wrong)), DataError) << name;
  };
  refused("plain.seconds", [](FeatureSpec& spec) { spec.with = "count"; });
  refused("segment", [](FeatureSpec& spec) { spec.stream = "watched"; });
  refused("segment", [](FeatureSpec& spec) { spec.distinct = true; });
  refused("segment", [](FeatureSpec& spec) { spec.hidden = true; });
  refused("tag_count", [](FeatureSpec& spec) { spec.statistic = "reads"; });
  refused("tag_count", [](FeatureSpec& spec) { spec.last = -1; });
  refused("seen", [](FeatureSpec& spec) { spec.of = "tags"; });
}

TEST(Candidates, AreTheItemsThatUniformNegativesAreDrawnFrom) {
  TinyDataset tiny = random_tiny_dataset(4);
  const ScratchFolder folder;
  tiny.write(folder / "all");
  EXPECT_EQ(Dataset(folder / "all").candidates().size(), static_cast<size_t>(tiny.items));
  tiny.candidates.assign(static_cast<size_t>(tiny.items), 0);
  for (const size_t item : {2, 5, 11}) tiny.candidates[item] = 1;
  tiny.write(folder / "some");
  const Dataset dataset(folder / "some");
  EXPECT_THAT(dataset.candidates(), ElementsAre(2, 5, 11));
  EXPECT_TRUE(dataset.is_candidate(5));
  EXPECT_FALSE(dataset.is_candidate(6));
  const auto sampler = make_sampler("uniform", dataset, {});
  const Rng rng(1, "draws");
  std::map<int32_t, int> drawn;
  for (uint64_t at = 0; at < 3000; ++at) ++drawn[sampler->draw(rng, at, 0)];
  ASSERT_EQ(drawn.size(), 3u);
  for (const int32_t item : dataset.candidates()) EXPECT_NEAR(drawn[item], 1000, 130);
  EXPECT_DOUBLE_EQ(sampler->log_q(5, 0), -std::log(3.0));
  EXPECT_EQ(sampler->log_q(6, 0), -std::numeric_limits<double>::infinity());
  tiny.candidates.assign(static_cast<size_t>(tiny.items), 0);
  tiny.write(folder / "none");
  EXPECT_THROW(make_sampler("uniform", Dataset(folder / "none"), {}), DataError);
}

}  // namespace
}  // namespace retort
