// Oracles: the assembler's rows and the published vectors of the log's own items, spelt out as raw
// features.
#include "retort/encoder/item_features.h"

#include <cmath>

#include "tests/bundle/tiny_bundle.h"
#include "tests/encoder/spelt_out.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/common/text.h"
#include "retort/dataset/assembler.h"

namespace retort {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// With a text attribute of its own, and one of numbers that a feature is made of.
TinyDataset with_attributes() {
  TinyDataset data = random_tiny_dataset(3);
  for (int32_t item = 0; item < data.items; ++item) {
    data.attributes["colour"].push_back(item % 3 == 0 ? "" : "red");
    data.numbers["size"].push_back(item);
  }
  for (FeatureSpec& spec : data.schema.features)
    if (spec.name == "length") spec.column = "size";
  return data;
}

class ItemFeatures : public testing::Test {
 protected:
  ItemFeatures() : tiny_(with_attributes(), 0.5), bundle_(tiny_.publish().path) {}

  RawItem read(const Json& features, int64_t now = 0) const {
    return raw_item(bundle_, "new", features, now);
  }
  std::string error(const Json& features) const {
    try {
      read(features);
    } catch (const DataError& error) {
      return error.what();
    }
    return "accepted";
  }
  AttributeValue attribute(const RawItem& item, const std::string& name) const {
    const auto& columns = bundle_.attributes().columns();
    return item.attributes[static_cast<size_t>(std::distance(columns.begin(), columns.find(name)))];
  }

  const TinyPublication tiny_;
  const Bundle bundle_;
};

TEST_F(ItemFeatures, SpeltOutEqualTheAssembledOnesAndThePublishedVectors) {
  const TowerEncoder encoder(bundle_.spec(), bundle_.weights());
  const Assembler assembler(tiny_.dataset);
  std::vector<RawItem> items;
  for (int32_t item = 0; item < tiny_.data.items; ++item) {
    const ItemMoment row{item, bundle_.moment()};
    SideBatch expected;
    assembler.items(std::span(&row, 1), expected);
    items.push_back(read(spelt_out_item(tiny_.data, item, bundle_.moment()), bundle_.moment()));
    const SideBatch& got = items.back().features;
    for (size_t i = 0; i < expected.sparse.size(); ++i) {
      EXPECT_EQ(got.sparse[i].ids, expected.sparse[i].ids) << "item " << item << " feature " << i;
      EXPECT_EQ(got.sparse[i].offsets, expected.sparse[i].offsets);
    }
    ASSERT_EQ(got.dense.size(), expected.dense.size());
    for (size_t i = 0; i < expected.dense.size(); ++i)
      EXPECT_NEAR(got.dense[i], expected.dense[i], 1e-6) << "item " << item << " number " << i;
  }
  std::vector<const RawItem*> pointers;
  for (const RawItem& item : items) pointers.push_back(&item);
  const std::vector<float> vectors = encode_items(bundle_, encoder, pointers);
  ASSERT_EQ(vectors.size(), bundle_.item_vectors().size());
  for (size_t i = 0; i < vectors.size(); ++i)
    EXPECT_NEAR(vectors[i], bundle_.item_vectors()[i], 1e-5);
}

TEST_F(ItemFeatures, PopularityIsThatOfPublishing) {
  int64_t training = 0, nobody = -1;
  std::vector<int> clicks(20);
  for (const TinyClick& click : tiny_.data.clicks)
    if (click.split == Split::kTrain) ++clicks[static_cast<size_t>(click.item)], ++training;
  for (size_t item = 0; item < clicks.size(); ++item) {
    const float published = bundle_.item_vectors()[item * 6 + 5];
    EXPECT_NEAR(popularity_of(bundle_, clicks[item]), published, 1e-6);
    if (clicks[item] == 0) nobody = static_cast<int64_t>(item);
  }
  ASSERT_GE(nobody, 0);
  EXPECT_EQ(bundle_.manifest()["popularity_clicks"], training);
  EXPECT_NEAR(popularity_of(bundle_, 7), 0.5 * std::log(8.0 / (training + 20.0)), 1e-6);
  const TinyPublication plain(random_tiny_dataset(3));
  EXPECT_EQ(popularity_of(Bundle(plain.publish().path), 7), 0);
}

TEST_F(ItemFeatures, AbsentOnesAreMissingAndUnknownTextsAreRowZero) {
  const RawItem nothing = read(Json::object());
  const RawItem strange = read({{"category", "never heard of"}, {"tags", {"t2", "new"}}});
  EXPECT_THAT(nothing.features.sparse[0].ids, ElementsAre(0));  // item_id: the key is new
  EXPECT_THAT(nothing.features.sparse[1].ids, ElementsAre(0));
  EXPECT_THAT(nothing.features.sparse[2].ids, ElementsAre());
  EXPECT_THAT(nothing.features.dense, testing::Each(0));
  EXPECT_THAT(strange.features.sparse[1].ids, ElementsAre(0));
  EXPECT_THAT(strange.features.sparse[2].ids, ElementsAre(2, 0));
  EXPECT_EQ(raw_item(bundle_, "i4", Json::object(), 0).features.sparse[0].ids[0], 5);
}

TEST_F(ItemFeatures, AgeIsSincePublicationAsOfNow) {
  const auto age = [&](const Json& features, int64_t now) {
    return read(features, now).features.dense[1];
  };
  const int64_t noon = parse_moment("2024-03-04 12:00:00", "");
  EXPECT_FLOAT_EQ(age({{"published", "2024-03-04T11:00:00Z"}}, noon), std::log1p(3600.0f));
  EXPECT_FLOAT_EQ(age({{"published", noon - 2'000'000}}, noon), std::log1p(2.0f));
  EXPECT_EQ(age({{"published", noon}}, noon), 0);
  EXPECT_FLOAT_EQ(age({{"published", noon - 2'000'000}, {"age", 5}}, noon), std::log1p(5.0f));
}

TEST_F(ItemFeatures, AttributesComeUnderTheirOwnNamesOrThoseOfFeatures) {
  const RawItem item = read(
      {{"category", "sport"}, {"tags", {"t1", "brand new"}}, {"colour", "blue"}, {"length", 12}});
  using Texts = std::vector<std::string>;
  EXPECT_EQ(attribute(item, "category"), AttributeValue(Texts{"sport"}));
  EXPECT_EQ(attribute(item, "tags"), AttributeValue(Texts{"t1", "brand new"}));
  EXPECT_EQ(attribute(item, "colour"), AttributeValue(Texts{"blue"}));
  EXPECT_EQ(attribute(item, "size"), AttributeValue(12.0));
  const RawItem by_column = read({{"size", 30}});
  EXPECT_EQ(attribute(by_column, "size"), AttributeValue(30.0));
  EXPECT_FLOAT_EQ(by_column.features.dense[0], (30 - 50) / 20.0f);
  EXPECT_TRUE(std::isnan(std::get<double>(attribute(read(Json::object()), "size"))));
  EXPECT_EQ(attribute(read(Json::object()), "colour"), AttributeValue(Texts{}));
}

TEST_F(ItemFeatures, WrongOnesAreRefusedNamingTheFeature) {
  EXPECT_THAT(error(Json::array()), HasSubstr("no JSON object"));
  EXPECT_THAT(error({{"categry", "a"}}),
              HasSubstr("'categry' is no item feature of the model; did you mean 'category'?"));
  EXPECT_THAT(error({{"segment", "a"}}), HasSubstr("'segment' is no item feature"));
  EXPECT_THAT(error({{"tags", "t1"}}), HasSubstr("'tags' is \"t1\", expected a list"));
  EXPECT_THAT(error({{"length", "long"}}), HasSubstr("'length' holds \"long\""));
  EXPECT_THAT(error({{"clicks_ever", "many"}}), HasSubstr("'clicks_ever' holds \"many\""));
  EXPECT_THAT(error({{"published", "soon"}}), HasSubstr("'published' is \"soon\""));
  EXPECT_THAT(error({{"published", 9.3e18}}), HasSubstr("'published'"));
  EXPECT_THAT(error({{"colour", {{"r", 1}}}}), HasSubstr("'colour' is {\"r\":1}"));
  EXPECT_THAT(error({{"popularity_clicks", -1}}), HasSubstr("'popularity_clicks' is -1"));
  EXPECT_NO_THROW(raw_item(bundle_, "new", {{"other", 1}}, 0, UnknownNames::kIgnore));
}

}  // namespace
}  // namespace retort
