// RRA eq. 7 against eq. 8: the fused score of every item, sorted, against retrieval with the fused
// vector.
#include <algorithm>
#include <memory>

#include "tests/bundle/tiny_bundle.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/encoder/retriever.h"
#include "retort/metric/catalogue.h"

namespace retort {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr int32_t kUsers = 12, kItems = 60;

/// The history with its side information as a sequence; an item is its row of the same table.
ModelSpec two_tasks(const Schema& schema, double beta) {
  ModelSpec spec;
  spec.kind = "multi_task";
  spec.user = {"user", make_input(schema, Side::kUser, "user", 4, false)};
  const FieldSpec item{"item_id", "item", kItems + 1, 4};
  spec.item = {"item", {Side::kItem, {item}, {0}, 0}};
  SequenceSpec history{"user.recent", {}, {}, 3, 1, 2, 5};
  for (size_t i = 0; i < spec.user.input.fields.size(); ++i) {
    FieldSpec field = spec.user.input.fields[i];
    if (!field.feature.starts_with("history")) continue;
    field.table = field.feature == "history" ? item.table : "user.recent." + field.feature;
    history.fields.push_back(field);
    history.sparse_index.push_back(static_cast<int>(i));
  }
  spec.user.sequences = {history};
  spec.user.mixture = MixtureSpec{3, 2, {6}, {5, 4}, {"click", "dwm"}};
  spec.beta = beta;
  spec.fusion = 0.25;
  return spec;
}

class Fusion : public testing::TestWithParam<double> {
 protected:
  Fusion() : tiny_(random_tiny_dataset(8, kUsers, kItems, 400)) {
    const ModelSpec spec = two_tasks(tiny_.data.schema, GetParam());
    const fs::path weights = tiny_.scratch / "two_tasks.safetensors";
    save_weights(spec, random_weights(spec, 3), weights);
    const TowerEncoder towers(spec, std::make_shared<SafetensorsFile>(weights));
    BundleContents contents = tiny_.contents();
    contents.spec = spec;
    contents.weights = weights;
    contents.towers = &towers;
    bundle_ = std::make_unique<Bundle>(publish_bundle(contents, tiny_.bundles()).path);
    retriever_ = std::make_unique<Retriever>(*bundle_);
  }
  /// Of one user and all items by one task alone, without popularity.
  std::vector<double> scores(int32_t user, double task) const {
    const std::vector<float> u =
        retriever_->encode(bundle_->user_features(std::span(&user, 1)), task);
    const auto dim = static_cast<size_t>(bundle_->vector_dim());
    std::vector<double> scores;
    for (size_t item = 0; item < kItems; ++item) {
      double score = 0;
      for (size_t d = 0; d < 4; ++d) score += u[d] * bundle_->item_vectors()[item * dim + d];
      scores.push_back(score);
    }
    return scores;
  }
  /// Items by w * score_1 + (1 - w) * score_2 + beta * log q.
  std::vector<std::pair<double, int32_t>> ranked(int32_t user, double w) const {
    const std::vector<double> first = scores(user, 1), second = scores(user, 0);
    const std::vector<float> log_q = log_share(tiny_.dataset.train_clicks());
    std::vector<std::pair<double, int32_t>> ranked;
    for (int32_t item = 0; item < kItems; ++item) {
      const auto at = static_cast<size_t>(item);
      ranked.emplace_back(w * first[at] + (1 - w) * second[at] + GetParam() * log_q[at], item);
    }
    std::ranges::sort(ranked, [](const auto& a, const auto& b) { return a.first > b.first; });
    return ranked;
  }
  void expect_ranked(const Retrieval& got, int32_t user, double w) const {
    const auto expected = ranked(user, w);
    ASSERT_EQ(got.items.size(), expected.size());
    for (size_t i = 0; i < expected.size(); ++i) {
      EXPECT_NEAR(got.items[i].score, expected[i].first, 1e-4);
      EXPECT_EQ(got.items[i].id, fmt::format("i{}", expected[i].second)) << "rank " << i;
    }
  }

  const TinyPublication tiny_;
  std::unique_ptr<Bundle> bundle_;
  std::unique_ptr<Retriever> retriever_;
};
INSTANTIATE_TEST_SUITE_P(Beta, Fusion, testing::Values(0.0, 0.5));

TEST_P(Fusion, RetrievesInTheOrderOfTheFusedScores) {
  bool changes = false;
  for (int32_t user = 0; user < kUsers; ++user) {
    const std::string key = fmt::format("u{}", user);
    for (const double w : {0.0, 0.3, 0.7, 1.0})
      expect_ranked(retriever_->retrieve(key, {.k = kItems, .fusion = w}), user, w);
    expect_ranked(retriever_->retrieve(key, {.k = kItems}), user, 0.25);  // the bundle's own
    changes = changes || ranked(user, 0)[0].second != ranked(user, 1)[0].second;
  }
  EXPECT_TRUE(changes);  // else nothing was shown
}

TEST_P(Fusion, HoldsForAUserOutsideTheLog) {
  const Json features{{"history", {"i1", "i5"}}, {"hour", 7}};
  std::vector<float> best;
  for (const double w : {0.0, 1.0, 0.5})
    for (const Retrieval::Item& item :
         retriever_->retrieve(features, {.k = kItems, .fusion = w}).items)
      if (item.id == "i7") best.push_back(item.score);
  ASSERT_EQ(best.size(), 3u);
  EXPECT_NEAR(best[2], (best[0] + best[1]) / 2, 1e-4);
  EXPECT_NE(best[0], best[1]);
}

TEST_P(Fusion, SideInformationThatIsAbsentIsMissingAtEachStep) {
  const Json brief{{"history", {"i1", "i5"}}};
  const Json full{{"history", {"i1", "i5"}},
                  {"history.seconds", {nullptr, nullptr}},
                  {"history.age", {nullptr, nullptr}}};
  EXPECT_EQ(to_json(retriever_->retrieve(brief, {.k = 5})),
            to_json(retriever_->retrieve(full, {.k = 5})));
  const Json none = Json::object();
  EXPECT_EQ(retriever_->retrieve(none, {.k = 5}).items.size(), 5u);
}

TEST_P(Fusion, AShareOutsideZeroToOneIsRefused) {
  for (const double wrong : {-0.5, 1.5})
    EXPECT_THAT([&] { retriever_->retrieve("u1", {.fusion = wrong}); },
                ThrowsMessage<ConfigError>(HasSubstr("expected 0 to 1")));
}

}  // namespace
}  // namespace retort
