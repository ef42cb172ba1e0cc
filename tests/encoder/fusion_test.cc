// RRA eq. 7 against eq. 8: the fused score of every item, sorted, against retrieval with the fused
// vector.
#include <algorithm>

#include "tests/encoder/two_tasks.h"
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

class Fusion : public testing::TestWithParam<double> {
 protected:
  /// Of one user and all items by one task alone, without popularity.
  std::vector<double> scores(int32_t user, double task) const {
    const std::vector<float> u =
        retriever_.encode(bundle_.user_features(std::span(&user, 1)), task);
    const auto dim = static_cast<size_t>(bundle_.vector_dim());
    std::vector<double> scores;
    for (size_t item = 0; item < kItems; ++item) {
      double score = 0;
      for (size_t d = 0; d < 4; ++d) score += u[d] * bundle_.item_vectors()[item * dim + d];
      scores.push_back(score);
    }
    return scores;
  }
  /// Items by w * score_1 + (1 - w) * score_2 + beta * log q.
  std::vector<std::pair<double, int32_t>> ranked(int32_t user, double w) const {
    const std::vector<double> first = scores(user, 1), second = scores(user, 0);
    const std::vector<float> log_q = log_share(published_.tiny.dataset.train_clicks());
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

  const TwoTaskPublication published_{GetParam()};
  const Bundle bundle_{published_.path};
  const Retriever retriever_{bundle_};
};
INSTANTIATE_TEST_SUITE_P(Beta, Fusion, testing::Values(0.0, 0.5));

TEST_P(Fusion, RetrievesInTheOrderOfTheFusedScores) {
  bool changes = false;
  for (int32_t user = 0; user < kUsers; ++user) {
    const std::string key = fmt::format("u{}", user);
    for (const double w : {0.0, 0.3, 0.7, 1.0})
      expect_ranked(retriever_.retrieve(key, {.k = kItems, .fusion = w}), user, w);
    expect_ranked(retriever_.retrieve(key, {.k = kItems}), user, 0.25);  // the bundle's own
    changes = changes || ranked(user, 0)[0].second != ranked(user, 1)[0].second;
  }
  EXPECT_TRUE(changes);  // else nothing was shown
}

TEST_P(Fusion, HoldsForAUserOutsideTheLog) {
  const Json features{{"history", {"i1", "i5"}}, {"hour", 7}};
  std::vector<float> best;
  for (const double w : {0.0, 1.0, 0.5})
    for (const Retrieval::Item& item :
         retriever_.retrieve(features, {.k = kItems, .fusion = w}).items)
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
  EXPECT_EQ(to_json(retriever_.retrieve(brief, {.k = 5})),
            to_json(retriever_.retrieve(full, {.k = 5})));
  const Json none = Json::object();
  EXPECT_EQ(retriever_.retrieve(none, {.k = 5}).items.size(), 5u);
}

TEST_P(Fusion, SharesOfTwoTasksAreDividedByTheirSum) {
  const auto by_fusion = retriever_.retrieve("u3", {.k = kItems, .fusion = 0.75});
  EXPECT_EQ(to_json(retriever_.retrieve("u3", {.k = kItems, .shares = {3, 1}})),
            to_json(by_fusion));
  EXPECT_EQ(to_json(retriever_.retrieve("u3", {.k = kItems, .shares = {0.75}})),
            to_json(by_fusion));
  EXPECT_THROW(retriever_.retrieve("u3", {.shares = {1, 1, 1}}), ConfigError);
}

TEST_P(Fusion, AShareOutsideZeroToOneIsRefused) {
  for (const double wrong : {-0.5, 1.5})
    EXPECT_THAT([&] { retriever_.retrieve("u1", {.fusion = wrong}); },
                ThrowsMessage<ConfigError>(HasSubstr("expected 0 to 1")));
}

}  // namespace
}  // namespace retort
