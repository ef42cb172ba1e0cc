// Oracle: counting and sorting the exact scores.
#include "retort/metric/event_rank.h"

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "retort/common/rng.h"

namespace retort {
namespace {

/// Scores of one event with many ties; what it gives is off by up to the margin.
class NoisyScorer : public BlockScorer {
 public:
  NoisyScorer(int64_t candidates, float margin, uint64_t seed) : margin_(margin) {
    const Rng rng(seed, "scores");
    const float noise = std::isinf(margin) ? 1 : margin;
    for (int64_t i = 0; i < candidates; ++i) {
      const auto draw = static_cast<uint64_t>(i);
      exact_.push_back(static_cast<float>(rng.below(static_cast<uint64_t>(candidates) / 3, draw)) *
                       0.01f);
      given_.push_back(exact_.back() +
                       noise * static_cast<float>(2 * rng.uniform((1u << 20) + draw) - 1));
    }
  }
  void expect(std::span<const JudgedEvent>) override {}
  bool moving() const override { return false; }
  void start(std::span<const int32_t>, int64_t) override {}
  void prepare(int64_t, int64_t) override {}
  Tile tile() const override { return {1, 1}; }
  void score(int64_t, int64_t, int64_t, int64_t, float*, int64_t) const override {}
  float margin(int64_t) const override { return margin_; }
  float exact(int64_t, int64_t candidate) const override {
    ++asked;
    return exact_[candidate];
  }
  int32_t twin(int64_t candidate) const override { return static_cast<int32_t>(candidate); }
  std::vector<float> exact_, given_;
  mutable int64_t asked = 0;

 private:
  float margin_;
};

TEST(EventRank, EqualsExactCountingWhateverTheNoiseMaskAndCorrection) {
  constexpr int64_t kCandidates = 900, kBlock = 256;
  for (const float margin : {0.0f, 0.001f, 0.02f, 0.5f, INFINITY})
    for (const bool masked : {false, true})
      for (const float beta : {0.0f, -0.7f})
        for (const int32_t top : {0, 1, 30, 2000})
          for (uint64_t seed = 0; seed < 4; ++seed) {
            NoisyScorer scorer(kCandidates, margin, seed);
            const Rng rng(seed, "mask");
            std::vector<uint8_t> mask(kCandidates, 1);
            std::vector<float> log_q(kCandidates), exact(kCandidates);
            for (uint64_t i = 0; i < kCandidates; ++i) {
              if (masked) mask[i] = rng.below(3, i) != 0;
              log_q[i] = static_cast<float>(std::log(rng.uniform(10'000 + i) + 0.01));
              exact[i] = beta == 0 ? scorer.exact_[i] : scorer.exact_[i] + beta * log_q[i];
            }
            const int32_t own = static_cast<int32_t>(rng.below(kCandidates, 1 << 20));
            mask[own] = 1;
            const Correction correction =
                beta == 0 ? Correction{} : Correction{beta, log_q, 0.7f * 4.7f};
            if (margin == 0 && beta != 0) scorer.given_ = scorer.exact_;
            EventRank rank(scorer, 0, own, scorer.exact_[own], correction, top);
            for (int64_t begin = 0; begin < kCandidates; begin += kBlock) {
              const int64_t size = std::min(kBlock, kCandidates - begin);
              rank.add(begin, std::span(scorer.given_).subspan(begin, size),
                       masked ? mask.data() + begin : nullptr);
            }
            int32_t above = 0, equal = -1;
            std::vector<ScoredItem> all;
            for (int32_t i = 0; i < kCandidates; ++i) {
              if (mask[i] == 0) continue;
              above += exact[i] > exact[own];
              equal += exact[i] == exact[own];
              all.push_back({i, exact[i]});
            }
            EXPECT_EQ(rank.rank(Ties::kBest), 1 + above);
            EXPECT_EQ(rank.rank(Ties::kMid), 1 + above + equal / 2);
            EXPECT_EQ(rank.rank(Ties::kWorst), 1 + above + equal);
            std::sort(all.begin(), all.end(), ranks_before);
            std::vector<int32_t> expected, best;
            for (size_t i = 0; i < std::min<size_t>(all.size(), static_cast<size_t>(top)); ++i)
              expected.push_back(all[i].item);
            rank.each_best([&](int32_t candidate) { best.push_back(candidate); });
            std::sort(expected.begin(), expected.end());
            std::sort(best.begin(), best.end());
            ASSERT_EQ(best, expected) << margin << ' ' << masked << ' ' << beta << ' ' << top;
            EXPECT_TRUE(margin != 0 || scorer.asked == 0);
          }
}

TEST(EventRank, AnItemThatIsNoCandidateHasRankZero) {
  NoisyScorer scorer(100, 0.01f, 1);
  const Correction none;
  EventRank rank(scorer, 0, -1, 0, none, 3);
  rank.add(0, scorer.given_, nullptr);
  EXPECT_EQ(rank.rank(Ties::kMid), 0);
  int count = 0;
  rank.each_best([&](int32_t) { ++count; });
  EXPECT_EQ(count, 3);
}

}  // namespace
}  // namespace retort
