// Features: vocabularies, bags, numbers, tables, timelines and what the reader makes of them.
#include <cmath>

#include "tests/log/ingest_support.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/dataset/assembler.h"
#include "retort/dataset/builder_fit.h"

namespace retort {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kLog =
    "user,item,time,seconds,device\n"
    "a,x,100,5,phone\na,y,200,20,desk\na,x,300,7,phone\nb,y,150,9,phone\nb,z,400,3,tv\n"
    "c,x,500,8,\n";
constexpr const char* kUsers = "id;city;age\na;Rome;30\nb;Oslo;\nd;Rome;50\n";
constexpr const char* kItems =
    "id,topic,tags,born,price\nx,art,p|q,50,1.5\ny,sport,q,60,\nw,art,,70,9\n";
constexpr const char* kHead = R"(
[users]
path = "users.csv"
delimiter = ";"
key = "id"
[items]
path = "items.csv"
key = "id"
published = "born"
[read]
threshold = 6
[split]
kind = "time"
test = "1s"
valid = "0s"
)";

class Features : public testing::Test {
 protected:
  void SetUp() override {
    log_.write("log.csv", kLog);
    log_.write("users.csv", kUsers);
    log_.write("items.csv", kItems);
  }
  Dataset make(const std::string& features) {
    log_.ingest(csv_events(kHead + features));
    return log_.open();
  }
  std::string error(const std::string& features) {
    return log_.error_of<ConfigError>(csv_events(kHead + features));
  }
  static std::vector<std::string> texts(const Vocabulary& vocabulary) {
    std::vector<std::string> all;
    for (int32_t row = 0; row < vocabulary.rows(); ++row) all.emplace_back(vocabulary.text(row));
    return all;
  }
  LogFolder log_;
};

std::string feature(const std::string& name, const std::string& side, const std::string& more) {
  return "[[features]]\nname = \"" + name + "\"\nside = \"" + side + "\"\n" + more + '\n';
}
const std::string kItemId = feature("item_id", "item", "column = \"item\"");

TEST_F(Features, VocabulariesComeFromTrainingRowsByCountThenText) {
  const Dataset data = make(kItemId + feature("topic", "item", "column = \"topic\"") +
                            feature("city", "user", "column = \"city\"") +
                            feature("user_id", "user", "column = \"user\"\nmin_count = 3"));
  EXPECT_THAT(texts(data.vocabulary("item_id")), ElementsAre("", "x", "y", "z"));
  EXPECT_THAT(texts(data.vocabulary("topic")), ElementsAre("", "art", "sport"));
  EXPECT_THAT(texts(data.vocabulary("city")), ElementsAre("", "Rome", "Oslo"));
  EXPECT_THAT(texts(data.vocabulary("user_id")), ElementsAre("", "a"));
  EXPECT_EQ(data.schema().find("topic")->rows, 3);
  const auto city = data.columns().get<int32_t>("user.city.ids");
  const auto row = [&](const char* key) { return static_cast<size_t>(*data.find_user(key)); };
  EXPECT_EQ(city[row("a")], 1);
  EXPECT_EQ(city[row("b")], 2);
  EXPECT_EQ(city[row("c")], 0);  // not in the table
  EXPECT_EQ(city[row("d")], 1);  // never clicked, in the table
}

TEST_F(Features, ItemsOfTheTableAreCandidates) {
  const Dataset data = make(kItemId);
  EXPECT_EQ(data.items(), 4);
  const auto unseen = static_cast<size_t>(data.find_item("w").value());
  EXPECT_EQ(data.train_clicks()[unseen], 0);
  EXPECT_EQ(data.columns().get<int64_t>("items.first_click")[unseen], INT64_MAX);
  EXPECT_EQ(data.columns().get<int64_t>("items.published")[unseen], 70'000'000);
  const auto z = static_cast<size_t>(data.find_item("z").value());
  EXPECT_EQ(data.columns().get<int64_t>("items.published")[z], INT64_MIN);
  EXPECT_EQ(data.columns().get<int32_t>("item.item_id.ids")[unseen], 0);
}

TEST_F(Features, AttributesForFiltersAreTextsOrNumbers) {
  const Dataset data = make(kItemId);
  const auto x = static_cast<size_t>(data.find_item("x").value());
  const auto y = static_cast<size_t>(data.find_item("y").value());
  EXPECT_EQ(data.columns().strings("items.attr.topic")[data.find_item("x").value()], "art");
  EXPECT_EQ(data.columns().get<double>("items.attr.price")[x], 1.5);
  EXPECT_TRUE(std::isnan(data.columns().get<double>("items.attr.price")[y]));
  EXPECT_FALSE(data.columns().has("items.attr.id"));
}

TEST_F(Features, BagsSplitTextsAtTheSeparator) {
  const Dataset data = make(
      kItemId + feature("tags", "item", "kind = \"bag\"\ncolumn = \"tags\"\nseparator = \"|\""));
  EXPECT_THAT(texts(data.vocabulary("tags")), ElementsAre("", "q", "p"));
  const auto ids = data.columns().get<int32_t>("item.tags.ids");
  const auto offsets = data.columns().get<int64_t>("item.tags.offsets");
  const auto x = static_cast<size_t>(data.find_item("x").value());
  ASSERT_EQ(offsets[x + 1] - offsets[x], 2);
  EXPECT_EQ(ids[static_cast<size_t>(offsets[x])], 2);
  EXPECT_EQ(ids[static_cast<size_t>(offsets[x]) + 1], 1);
  const auto w = static_cast<size_t>(data.find_item("w").value());
  EXPECT_EQ(offsets[w + 1] - offsets[w], 0);
}

TEST_F(Features, SharedAndHashedVocabularies) {
  const Dataset data =
      make(kItemId + feature("topic", "item", "column = \"topic\"\nvocabulary = \"word\"") +
           feature("city", "user", "column = \"city\"\nvocabulary = \"word\"") +
           feature("hashed", "item", "column = \"item\"\nhash = 5"));
  EXPECT_THAT(texts(data.vocabulary("word")), ElementsAre("", "Rome", "Oslo", "art", "sport"));
  EXPECT_EQ(data.schema().find("city")->rows, 5);
  EXPECT_EQ(data.schema().find("hashed")->rows, 5);
  const auto ids = data.columns().get<int32_t>("item.hashed.ids");
  for (int32_t item = 0; item < data.items(); ++item)
    EXPECT_EQ(ids[static_cast<size_t>(item)], hashed_row(data.item_keys()[item], 5));
}

TEST_F(Features, ContextComesFromTheEvent) {
  const Dataset data = make(
      kItemId + feature("device", "user", "from = \"event\"\ncolumn = \"device\"") +
      feature("late", "user", "kind = \"dense\"\nfrom = \"event\"\ncolumn = \"time::INT / 2\""));
  EXPECT_THAT(texts(data.vocabulary("device")), ElementsAre("", "phone", "desk", "tv"));
  const auto device = data.columns().get<int32_t>("clicks.device.ids");
  EXPECT_THAT(device, ElementsAre(1, 2, 1, 1, 3, 0));
  EXPECT_EQ(data.columns().get<float>("clicks.late.values")[1], 100);
}

TEST_F(Features, ListsOfNumbersKeepTheirWidth) {
  log_.write_parquet(
      "items.parquet",
      "SELECT * FROM (VALUES ('x', [1.0, 2.0]), ('y', [3.0]), ('z', NULL)) t(id, v)");
  const std::string recipe =
      csv_events(
          "[items]\npath = \"items.parquet\"\nkey = \"id\"\n[read]\nthreshold = 6\n[ingest]\n"
          "max_rejected = 0.5\n[split]\nkind = \"user_last\"\n") +
      feature("vector", "item", "kind = \"dense\"\ncolumn = \"v\"\nwidth = 2");
  const auto result = log_.ingest(recipe);
  EXPECT_EQ(result.table_rejected.at("items").at("unparsable_value"), 1);
  const Dataset data = log_.open();
  const auto values = data.columns().get<float>("item.vector.values");
  ASSERT_EQ(values.size(), 6u);
  const auto x = static_cast<size_t>(data.find_item("x").value());
  EXPECT_EQ(values[2 * x], 1);
  EXPECT_EQ(values[2 * x + 1], 2);
  const auto y = static_cast<size_t>(data.find_item("y").value());
  EXPECT_TRUE(std::isnan(values[2 * y]));
}

TEST_F(Features, StandardisationWeighsTrainingRows) {
  const Dataset data = make(
      kItemId +
      feature("age", "user",
              "kind = \"dense\"\ncolumn = \"age\"\ntransform = "
              "\"standard\"") +
      feature("before", "item", "kind = \"dense\"\nas_of = \"clicks\"\ntransform = \"standard\""));
  const Transform age = data.schema().find("age")->transform;
  EXPECT_EQ(age.mean, 30);  // three training rows of a; b has no age, d no click
  EXPECT_EQ(age.deviation, 1);
  // Clicks on the item before each training click: x 0 1, y 0 1, z 0.
  const Transform before = data.schema().find("before")->transform;
  EXPECT_NEAR(before.mean, 0.4, 1e-12);
  EXPECT_NEAR(before.deviation, std::sqrt(0.24), 1e-12);
}

TEST(Fit, BucketsHoldAboutEquallyMany) {
  std::vector<double> values;
  for (int i = 0; i < 100; ++i) values.push_back((i * 37) % 100);
  Transform transform;
  fit_buckets(values, 4, transform);
  EXPECT_THAT(transform.boundaries, ElementsAre(25, 50, 75));
  std::vector<double> skewed{0, 0, 0, 0, 0, 0, 0, 1, 2, 3};
  fit_buckets(skewed, 5, transform);
  EXPECT_THAT(transform.boundaries, ElementsAre(2));
  std::vector<double> none;
  fit_buckets(none, 5, transform);
  EXPECT_TRUE(transform.boundaries.empty());
}

TEST_F(Features, TimelinesCountReadsAndSeconds) {
  const Dataset data =
      make(kItemId + feature("topic", "item", "column = \"topic\"") +
           feature("topic_clicks", "item",
                   "kind = \"dense\"\nas_of = \"clicks\"\nof = \"topic\"\ntransform = \"log\""));
  const Timeline& topic = data.timeline("topic");
  EXPECT_THAT(topic.begin, ElementsAre(0, 1, 4, 6));  // z unknown, art: x x x, sport: y y
  EXPECT_THAT(topic.reads, ElementsAre(0, 0, 1, 2, 1, 2));
  EXPECT_NEAR(topic.log_seconds[3], std::log1p(5) + std::log1p(7) + std::log1p(8), 1e-6);
  EXPECT_EQ(data.timeline("user").begin.size(), static_cast<size_t>(data.users()) + 1);
}

TEST_F(Features, TheAssemblerReadsWhatIngestWrote) {
  const Dataset data = make(
      kItemId +
      feature("history", "user",
              "kind = \"sequence\"\nof = \"item_id\"\nlast = 2\nwith = "
              "[\"seconds\", \"age\"]") +
      feature("hour", "user", "time = \"hour\"") +
      feature("item_age", "item", "kind = \"dense\"\ntime = \"age\"") +
      feature("clicks_3m", "item", "kind = \"dense\"\nas_of = \"clicks\"\nwindow = \"3m\"") +
      feature("price", "item", "column = \"price\"\ntransform = \"bucket\"\nboundaries = [1, 2]") +
      feature("crossed", "pair", "kind = \"dense\"\ncross = \"item\""));
  const Assembler assembler(data);
  const int32_t a = data.find_user("a").value(), x = data.find_item("x").value();
  SideBatch users, items, pairs;
  const std::vector<UserMoment> user{{a, 300'000'000, 2}};
  const std::vector<ItemMoment> item{{x, 300'000'000}};
  assembler.users(user, users);
  assembler.items(item, items);
  assembler.pairs(user, item, pairs);
  ASSERT_EQ(users.sparse.size(), 4u);
  EXPECT_THAT(users.sparse[0].ids, ElementsAre(2, 1));  // y at 200, x at 100
  EXPECT_THAT(users.sparse[1].ids, ElementsAre(5, 3));  // 1 + floor(log2(1 + 20)), .. 5
  EXPECT_THAT(items.dense, ElementsAre(250, 0));        // born at 50; its click at 100 is too old
  EXPECT_THAT(items.sparse[1].ids, ElementsAre(2));
  EXPECT_THAT(pairs.dense, ElementsAre(1));
}

TEST_F(Features, WrongEntriesAreNamed) {
  EXPECT_THAT(error(kItemId + kItemId), HasSubstr("'item_id' occurs twice"));
  EXPECT_THAT(error(feature("f", "user", "colum = \"city\"")), HasSubstr("features.f"));
  EXPECT_THAT(error(feature("f", "item", "time = \"hour\"\nkind = \"dense\"")), HasSubstr("hour"));
  EXPECT_THAT(error(feature("f", "user", "kind = \"sequence\"\nof = \"nothing\"\nlast = 3")),
              HasSubstr("nothing"));
  EXPECT_THAT(error(kItemId + feature("f", "user",
                                      "kind = \"sequence\"\nof = \"item_id\"\nlast = "
                                      "200")),
              HasSubstr("1 to 100"));
  EXPECT_THAT(error(feature("f", "item", "kind = \"dense\"\nas_of = \"click\"")),
              HasSubstr("'click' is none of"));
  EXPECT_THAT(error(feature("f", "item", "from = \"event\"\ncolumn = \"device\"")),
              HasSubstr("user side"));
  EXPECT_THAT(
      log_.error_of<DataError>(csv_events(kHead + feature("f", "user", "column = \"citty\""))),
      HasSubstr("did you mean 'city'"));
  EXPECT_THAT(log_.error_of<DataError>(csv_events(
                  kHead + feature("f", "user", "from = \"event\"\ncolumn = \"devise\""))),
              HasSubstr("did you mean 'device'"));
  EXPECT_THAT(log_.leftovers(), testing::IsEmpty());
}

}  // namespace
}  // namespace retort
