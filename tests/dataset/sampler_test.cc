#include <cmath>
#include <limits>
#include <map>
#include <thread>

#include "tests/support/scratch_folder.h"
#include "tests/support/tiny_dataset.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/dataset/sampler/alias_table.h"
#include "retort/dataset/sampler/negative_sampler.h"

namespace retort {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kHour = 3'600'000'000;
constexpr int kDraws = 60'000;

std::vector<int> histogram(size_t size, const auto& draw) {
  std::vector<int> counts(size, 0);
  for (uint64_t position = 0; position < kDraws; ++position)
    ++counts.at(static_cast<size_t>(draw(position)));
  return counts;
}

/// Pearson's chi-square against the law, at a level of about one in a million; impossible items
/// must not occur at all.
void expect_law(const std::vector<int>& counts, const std::vector<double>& law) {
  ASSERT_EQ(counts.size(), law.size());
  double chi = 0, total = 0;
  int cells = 0;
  for (size_t i = 0; i < law.size(); ++i) {
    total += law[i];
    const double expected = law[i] * kDraws;
    if (law[i] == 0) {
      EXPECT_EQ(counts[i], 0) << "item " << i;
      continue;
    }
    chi += (counts[i] - expected) * (counts[i] - expected) / expected;
    ++cells;
  }
  EXPECT_NEAR(total, 1.0, 1e-12);
  const double freedom = cells - 1;  // Wilson-Hilferty: the cube root is nearly normal
  const double z =
      (std::cbrt(chi / std::max(freedom, 1.0)) - (1 - 2 / (9 * std::max(freedom, 1.0)))) /
      std::sqrt(2 / (9 * std::max(freedom, 1.0)));
  EXPECT_LT(z, 4.8) << "chi-square " << chi << " with " << freedom << " degrees of freedom";
}

TEST(AliasTable, FollowsItsWeights) {
  const std::vector<std::vector<double>> laws{{1},
                                              {0, 1, 0},
                                              {0.25, 0.25, 0.25, 0.25},
                                              {0.7, 0.1, 0.1, 0.1},
                                              {0.001, 0.999},
                                              {0.5, 0, 0.25, 0, 0.25}};
  for (const auto& law : laws) {
    const AliasTable table(law);
    expect_law(histogram(law.size(), [&](uint64_t p) { return table.draw(Rng(3, "t"), p); }), law);
  }
}

TEST(AliasTable, NeverDrawsAWeightOfZeroWhateverTheRounding) {
  std::vector<double> weights;
  for (int i = 0; i < 999; ++i) weights.push_back(i % 3 == 0 ? 0.0 : 0.1 * (1 + i % 7));
  const AliasTable table(weights);
  const Rng rng(1, "t");
  for (uint64_t position = 0; position < 200'000; ++position)
    ASSERT_NE(table.draw(rng, position) % 3, 0);
}

TEST(AliasTable, RefusesWeightsThatAreNoLaw) {
  EXPECT_THROW(AliasTable(std::vector<double>{}), ArgumentError);
  EXPECT_THROW(AliasTable(std::vector<double>{0, 0}), ArgumentError);
  EXPECT_THROW(AliasTable(std::vector<double>{1, -1}), ArgumentError);
  EXPECT_THROW(AliasTable(std::vector<double>{1, std::nan("")}), ArgumentError);
}

class Samplers : public ::testing::Test {
 protected:
  void SetUp() override {
    tiny_ = random_tiny_dataset(21);
    tiny_.write(folder_ / "d");
    dataset_ = std::make_unique<Dataset>(folder_ / "d");
  }
  /// Shares of the clicks that `holds` accepts, to a power.
  std::vector<double> shares(const auto& holds, double exponent = 1) const {
    std::vector<double> law(static_cast<size_t>(tiny_.items), 0);
    for (const TinyClick& click : tiny_.clicks)
      law[static_cast<size_t>(click.item)] += holds(click) ? 1 : 0;
    double sum = 0;
    for (double& weight : law) sum += weight = weight > 0 ? std::pow(weight, exponent) : 0;
    for (double& weight : law) weight /= sum;
    return law;
  }
  void expect_draws_and_log_q(const NegativeSampler& sampler, const std::vector<double>& law,
                              int64_t time) const {
    const Rng rng(17, "negatives");
    expect_law(histogram(law.size(), [&](uint64_t p) { return sampler.draw(rng, p, time); }), law);
    for (int32_t item = 0; item < tiny_.items; ++item) {
      const double expected = std::log(law[static_cast<size_t>(item)]);
      if (std::isinf(expected))
        EXPECT_EQ(sampler.log_q(item, time), expected);
      else
        EXPECT_NEAR(sampler.log_q(item, time), expected, 1e-12);
    }
  }
  ScratchFolder folder_;
  TinyDataset tiny_;
  std::unique_ptr<Dataset> dataset_;
};

bool in_train(const TinyClick& click) { return click.split == Split::kTrain; }

TEST_F(Samplers, FrequencyFollowsTrainingClicksToThePower) {
  for (const double exponent : {1.0, 0.75, 0.0, 2.0}) {
    const auto sampler = make_sampler("frequency", *dataset_, {.exponent = exponent});
    expect_draws_and_log_q(*sampler, shares(in_train, exponent), 0);
  }
}

TEST_F(Samplers, UniformGivesEveryItemItsTurn) {
  const auto sampler = make_sampler("uniform", *dataset_, {});
  const auto count = static_cast<size_t>(tiny_.items);
  expect_draws_and_log_q(*sampler, std::vector<double>(count, 1.0 / static_cast<double>(count)), 0);
}

TEST_F(Samplers, MixedIsTheMixture) {
  for (const double share : {0.0, 0.3, 1.0}) {
    const auto sampler =
        make_sampler("mixed", *dataset_, {.exponent = 0.75, .uniform_share = share});
    std::vector<double> law = shares(in_train, 0.75);
    for (double& q : law) q = (1 - share) * q + share / static_cast<double>(law.size());
    expect_draws_and_log_q(*sampler, law, 0);
  }
}

TEST_F(Samplers, TrailingFollowsTheClicksOfTheWindow) {
  const int64_t window = 6 * kHour;
  const auto sampler = make_sampler("trailing", *dataset_, {.window = window});
  for (const size_t at : {size_t{5}, size_t{100}, size_t{399}}) {
    const int64_t time = tiny_.clicks[at].time;  // equal times are no past
    const auto alive = [&](const TinyClick& click) {
      return click.time < time && click.time >= time - window;
    };
    expect_draws_and_log_q(*sampler, shares(alive), time);
  }
}

TEST_F(Samplers, TrailingFallsBackToTrainingFrequencyInAnEmptyWindow) {
  const auto sampler = make_sampler("trailing", *dataset_, {.window = kHour});
  int64_t first = std::numeric_limits<int64_t>::max();
  for (const TinyClick& click : tiny_.clicks) first = std::min(first, click.time);
  expect_draws_and_log_q(*sampler, shares(in_train), first);
  expect_draws_and_log_q(*sampler, shares(in_train), dataset_->end_time() + 100 * kHour);
}

SamplerOptions options_of(std::string_view name) {
  SamplerOptions options;
  if (name == "trailing") options.window = 24 * kHour;
  if (name == "mixed") options.uniform_share = 0.5;
  return options;
}

TEST_F(Samplers, DrawsDependOnGeneratorAndPositionOnly) {
  for (const SamplerEntry& entry : samplers()) {
    const auto options = options_of(entry.name);
    const auto one = entry.make(*dataset_, options), two = entry.make(*dataset_, options);
    const Rng rng(4, "negatives"), other(5, "negatives");
    const int64_t time = tiny_.clicks.back().time;
    int same = 0;
    for (uint64_t position = 200; position-- > 0;) {  // backwards, beside forwards
      ASSERT_EQ(one->draw(rng, position, time), two->draw(rng, position, time)) << entry.name;
      ASSERT_EQ(one->draw(rng, 199 - position, time), two->draw(rng, 199 - position, time));
      same += one->draw(rng, position, time) == one->draw(other, position, time) ? 1 : 0;
    }
    EXPECT_LT(same, 150) << entry.name;
  }
}

TEST_F(Samplers, EveryEntryIsBuiltByNameAndDescribed) {
  EXPECT_EQ(samplers().size(), 4U);
  for (const SamplerEntry& entry : samplers()) {
    EXPECT_FALSE(entry.summary.empty());
    EXPECT_FALSE(entry.source.empty());
    EXPECT_NE(make_sampler(std::string(entry.name), *dataset_, options_of(entry.name)), nullptr);
  }
}

TEST_F(Samplers, RefuseUnknownNamesAndOptionsTheyDoNotUse) {
  const auto error_of = [&](const std::string& name, const SamplerOptions& options) -> std::string {
    try {
      make_sampler(name, *dataset_, options);
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_THAT(error_of("popular", {}), HasSubstr("frequency, uniform, mixed, trailing"));
  EXPECT_THAT(error_of("frequency", {.window = kHour}), HasSubstr("window"));
  EXPECT_THAT(error_of("frequency", {.uniform_share = 0.5}), HasSubstr("uniform_share"));
  EXPECT_THAT(error_of("uniform", {.exponent = 0.5}), HasSubstr("exponent"));
  EXPECT_THAT(error_of("trailing", {.exponent = 0.5, .window = kHour}), HasSubstr("exponent"));
  EXPECT_THAT(error_of("trailing", {}), HasSubstr("window"));
  EXPECT_THAT(error_of("mixed", {.uniform_share = 1.5}), HasSubstr("uniform_share"));
  EXPECT_THAT(error_of("frequency", {.exponent = -1}), HasSubstr("exponent"));
}

TEST(SamplersOf, ALogWithoutTimeOrTrainingClicksAreRefused) {
  const ScratchFolder folder;
  TinyDataset tiny;
  tiny.users = 1;
  tiny.items = 2;
  tiny.has_time = false;
  tiny.clicks = {{0, 1, 0, 5, Split::kTest}};
  tiny.write(folder / "d");
  const Dataset dataset(folder / "d");
  EXPECT_THROW(make_sampler("trailing", dataset, {.window = kHour}), ConfigError);
  EXPECT_THROW(make_sampler("frequency", dataset, {}), DataError);
  EXPECT_NO_THROW(make_sampler("uniform", dataset, {}));
}

}  // namespace
}  // namespace retort
