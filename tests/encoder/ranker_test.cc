// Oracle of features: the dataset's own assembler. That of the layers is torch, in
// tests/trainer/ranker_equality_test.cc.
#include "retort/encoder/ranker.h"

#include <cmath>
#include <limits>

#include "tests/bundle/tiny_ranker.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/bundle/bundle.h"
#include "retort/common/error.h"
#include "retort/dataset/assembler.h"
#include "retort/encoder/ranked_pairs.h"
#include "retort/encoder/retriever.h"

namespace retort {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

/// With interactions of every statistic, over clicks and over a stream, by item, attribute and bag.
TinyDataset interacting_dataset() {
  TinyDataset data = random_tiny_dataset(4, 10, 24, 500);
  const auto add = [&](const char* name, const char* of, const char* statistic, const char* stream,
                       int32_t last) {
    data.schema.features.push_back({.name = name,
                                    .side = Side::kPair,
                                    .kind = FeatureKind::kDense,
                                    .source = FeatureSource::kCross,
                                    .of = of,
                                    .stream = stream,
                                    .last = last,
                                    .statistic = statistic,
                                    .transform = {.kind = "log"}});
  };
  add("tags_seconds", "tags", "seconds", "", 7);
  add("tags_age", "tags", "age", "", 0);
  add("category_age", "category", "age", "watched", 5);
  add("item_seconds", "item", "seconds", "watched", 0);
  data.sort();
  for (size_t i = 0; i < data.clicks.size(); i += 2) {
    TinyClick event = data.clicks[i];
    event.item = (event.item * 7 + 3) % data.items;
    data.streams["watched"].push_back(event);
  }
  return data;
}

class BundleWithTeacher : public testing::Test {
 protected:
  BundleWithTeacher() {
    const auto& times = tiny_.dataset.clicks().time;
    for (const int64_t time : times) end_ = std::max(end_, time + 1);
    std::vector<int64_t> sorted(times.begin(), times.end());
    std::sort(sorted.begin(), sorted.end());
    middle_ = sorted[sorted.size() / 2];
  }

  std::vector<PairItem> all_items() const {
    std::vector<PairItem> items;
    for (int32_t item = 0; item < tiny_.dataset.items(); ++item)
      items.push_back({std::string(tiny_.dataset.item_keys()[item]), item});
    return items;
  }

  SideBatch assembled_pairs(int32_t user, int64_t moment) const {
    const auto items = static_cast<size_t>(tiny_.dataset.items());
    const std::vector<UserMoment> users(items, {user, moment});
    std::vector<ItemMoment> moments;
    for (size_t item = 0; item < items; ++item)
      moments.push_back({static_cast<int32_t>(item), moment});
    SideBatch batch;
    Assembler(tiny_.dataset).pairs(users, moments, batch);
    return batch;
  }

  /// What a user did from the moment on, as a server would have been told.
  std::vector<UserEvent> events_since(int32_t user, int64_t moment) const {
    std::vector<UserEvent> events;
    const auto add = [&](int32_t of, const TinyClick& click, const std::string& stream) {
      if (of == user && click.time >= moment)
        events.push_back(
            {"i" + std::to_string(click.item), click.time, true, click.seconds, stream});
    };
    for (const TinyClick& click : tiny_.data.clicks) add(click.user, click, "");
    for (const TinyClick& click : tiny_.data.streams.at("watched"))
      add(click.user, click, "watched");
    std::reverse(events.begin(), events.end());  // of equal times the log's last is the newest
    return events;
  }

  const TinyPublication tiny_{interacting_dataset()};
  int64_t end_ = 0, middle_ = 0;
};

void expect_same(const SideBatch& got, const SideBatch& expected) {
  ASSERT_EQ(got.rows, expected.rows);
  ASSERT_EQ(got.sparse.size(), expected.sparse.size());
  for (size_t i = 0; i < got.sparse.size(); ++i) {
    EXPECT_EQ(got.sparse[i].ids, expected.sparse[i].ids) << "sparse feature " << i;
    EXPECT_EQ(got.sparse[i].offsets, expected.sparse[i].offsets) << "sparse feature " << i;
  }
  ASSERT_EQ(got.dense.size(), expected.dense.size());
  for (size_t i = 0; i < got.dense.size(); ++i)
    ASSERT_NEAR(got.dense[i], expected.dense[i], 1e-5 * std::max(1.0F, std::abs(expected.dense[i])))
        << "dense value " << i;
}

TEST_F(BundleWithTeacher, KnowsItemsAndPairsAsOfItsMomentAsTheDatasetDoes) {
  publish_with_ranker(tiny_, middle_);
  const Bundle bundle(tiny_.bundles());
  ASSERT_NE(bundle.teacher(), nullptr);
  std::vector<int32_t> items;
  std::vector<ItemMoment> moments;
  for (int32_t item = 0; item < bundle.items(); ++item) {
    items.push_back(item);
    moments.push_back({item, middle_});
  }
  SideBatch expected;
  Assembler(tiny_.dataset).items(moments, expected);
  expect_same(bundle.teacher()->item_features(items), expected);
  for (int32_t user = 0; user < bundle.users(); ++user)
    expect_same(pair_features_of(bundle, user, {}, all_items(), middle_),
                assembled_pairs(user, middle_));
}

TEST_F(BundleWithTeacher, EventsSinceAreCountedAsIfTheLogHadThem) {
  publish_with_ranker(tiny_, middle_);
  const Bundle bundle(tiny_.bundles());
  for (int32_t user = 0; user < bundle.users(); ++user) {
    SCOPED_TRACE(user);
    expect_same(pair_features_of(bundle, user, events_since(user, middle_), all_items(), end_),
                assembled_pairs(user, end_));
    // Of somebody the bundle does not know, all that they ever did.
    expect_same(pair_features_of(bundle, {}, events_since(user, 0), all_items(), end_),
                assembled_pairs(user, end_));
  }
}

TEST_F(BundleWithTeacher, RanksAsTheModelDoesOnTheDatasetsFeatures) {
  publish_with_ranker(tiny_, end_);
  const Bundle bundle(tiny_.bundles());
  const Retriever retriever(bundle);
  ASSERT_NE(retriever.ranker(), nullptr);
  const int32_t user = 3;
  Batch batch;
  const UserMoment moment{user, end_};
  Assembler(tiny_.dataset).users(std::span(&moment, 1), batch.users);
  std::vector<ItemMoment> moments;
  for (int32_t item = 0; item < bundle.items(); ++item) moments.push_back({item, end_});
  Assembler(tiny_.dataset).items(moments, batch.items);
  batch.pairs = assembled_pairs(user, end_);
  batch.user_of_row.assign(moments.size(), 0);
  const RankerLogits logits = retriever.ranker()->score(batch);
  const std::vector<RankedPair> pairs =
      rank_pairs(bundle, *retriever.ranker(), {bundle.user_features(std::span(&user, 1)), user},
                 all_items(), end_);
  ASSERT_EQ(pairs.size(), moments.size());
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  for (size_t i = 0; i < pairs.size(); ++i) {
    EXPECT_NEAR(*pairs[i].pctr, sigmoid(logits.at("click")[i]), 1e-6);
    EXPECT_NEAR(*pairs[i].pcvr, sigmoid(logits.at("read_given_click")[i]), 1e-6);
    EXPECT_NEAR(*pairs[i].pctcvr, *pairs[i].pctr * *pairs[i].pcvr, 1e-6);
    EXPECT_FALSE(pairs[i].seconds);
    EXPECT_EQ(pairs[i].tasks.size(), 3U);
  }
}

TEST_F(BundleWithTeacher, OneWithoutHasNone) {
  tiny_.publish();
  const Bundle bundle(tiny_.bundles());
  EXPECT_EQ(bundle.teacher(), nullptr);
  EXPECT_EQ(Retriever(bundle).ranker(), nullptr);
  EXPECT_THROW(pair_features_of(bundle, 0, {}, {}, end_), ArgumentError);
}

TEST_F(BundleWithTeacher, TablesAreQuantisedAsTheStudentsAre) {
  BundleContents contents = tiny_.contents();
  contents.teacher = tiny_ranker(tiny_.dataset.schema());
  contents.teacher_weights = tiny_.scratch / "teacher.safetensors";
  contents.embeddings = TableStorage::kInt8;
  save_ranker(*contents.teacher, contents.teacher_weights);
  publish_bundle(contents, tiny_.bundles());
  const Bundle bundle(tiny_.bundles());
  EXPECT_EQ(bundle.teacher()->weights()->tensors().at("teacher.item_id.weight").dtype, "I8");
  EXPECT_NE(Retriever(bundle).ranker(), nullptr);
}

TEST_F(BundleWithTeacher, ASpecOrWeightsThatDoNotFitAreRefused) {
  BundleContents contents = tiny_.contents();
  contents.teacher = tiny_ranker(tiny_.dataset.schema());
  contents.teacher_weights = tiny_.scratch / "teacher.safetensors";
  save_ranker(*contents.teacher, contents.teacher_weights);
  contents.teacher->item.sparse_index[0] = 1;
  EXPECT_THAT([&] { publish_bundle(contents, tiny_.bundles()); },
              ThrowsMessage<DataError>(HasSubstr("is not at place 1 of the schema")));
  contents.teacher = tiny_ranker(tiny_.dataset.schema());
  contents.teacher->tasks.push_back({"like", 1});
  publish_bundle(contents, tiny_.bundles());
  const Bundle bundle(tiny_.bundles());
  EXPECT_THAT([&] { Retriever{bundle}; },
              ThrowsMessage<DataError>(HasSubstr("'teacher.tower_like.layer0.weight' is missing")));
}

TEST(RankerSpec, NamesTheKeyThatIsWrong) {
  const Json good = to_json(tiny_ranker(random_tiny_dataset(1).schema));
  const auto refused = [&](const char* pointer, const Json& value, const char* message) {
    Json json = good;
    json[Json::json_pointer(pointer)] = value;
    EXPECT_THAT([&] { ranker_spec_from_json(json); }, ThrowsMessage<DataError>(HasSubstr(message)))
        << pointer;
  };
  EXPECT_EQ(to_json(ranker_spec_from_json(good)), good);
  refused("/kind", "ranknet", "key 'kind' is 'ranknet'");
  refused("/expert_layers", Json::array(), "key 'expert_layers' is empty");
  refused("/expert_layers", {7, 0}, "key 'expert_layers[1]' is 0");
  refused("/tasks/1/parent", "read", "key 'tasks[1].parent' is 'read', which is no task before it");
  refused("/tasks/1/name", "click", "key 'tasks[1].name' is 'click'");
  refused("/seconds_cap", 60, "with 'seconds_cap'");
  refused("/item/side", "user", "key 'item.side' is 'user'");
  refused("/kind", "aligned", "has a key 'mixture'");
  refused("/kind", "single", "has one task, not 2");
}

TEST(RankedPairs, SaysNothingOfTasksThatTheModelDoesNotHave) {
  RankerSpec spec;
  spec.tasks = {{"like"}, {"read"}};
  RankedPair pair = ranked_pairs(spec, {{"like", {0.0F}}, {"read", {-1.0F}}})[0];
  EXPECT_FALSE(pair.pctr);
  EXPECT_FALSE(pair.pcvr);
  EXPECT_NEAR(*pair.pctcvr, 0.26894, 1e-5);
  // Reads that follow from clicks by another task's way.
  spec.tasks = {{"click"}, {"stay", 0}, {"read", 1}};
  pair = ranked_pairs(spec, forest_outputs(spec, {{0.0F}, {1.0F}, {-1.0F}}))[0];
  EXPECT_NEAR(*pair.pctr, 0.5, 1e-6);
  EXPECT_NEAR(*pair.pcvr, 0.73106 * 0.26894, 1e-5);
  EXPECT_NEAR(*pair.pctcvr, *pair.pctr * *pair.pcvr, 1e-6);
}

TEST(Forest, SecondsOfAnImpressionAreTheIntegralOverTheCappedLogNormal) {
  RankerSpec spec;
  spec.tasks = {{"click"}, {kRankedSeconds}, {kRankedDeviation}};
  spec.seconds_cap = 100;
  const RankerLogits logits = forest_outputs(spec, {{0.5F}, {1.0F}, {0.2F}});
  const double mean = logits.at(kRankedSeconds)[0], deviation = std::exp(0.2);
  EXPECT_NEAR(mean, 1 + std::log(100.0) / 2, 1e-6);
  double expected = 0, mass = 0;
  for (double z = -9; z < 9; z += 1e-3) {
    const double weight = std::exp(-z * z / 2);
    expected += weight * std::min(std::exp(mean + deviation * z), 100.0);
    mass += weight;
  }
  const double click = 1 / (1 + std::exp(-0.5));
  EXPECT_NEAR(*ranked_pairs(spec, logits)[0].seconds, click * expected / mass, 1e-3);
}

TEST(Forest, LogNdtrHoldsOnBothTails) {
  EXPECT_NEAR(log_ndtr(0), -0.6931471805599453, 1e-14);
  EXPECT_NEAR(log_ndtr(-10), -53.23128515051247, 1e-10);
  EXPECT_NEAR(log_ndtr(-19.9),
              log_ndtr(-20.1) + (20.1 * 20.1 - 19.9 * 19.9) / 2 + std::log(20.1 / 19.9), 1e-4);
  EXPECT_NEAR(log_ndtr(-40), -804.6084420137538, 1e-8);
  EXPECT_NEAR(log_ndtr(6) / -9.865876452437573e-10, 1, 1e-8);
}

}  // namespace
}  // namespace retort
