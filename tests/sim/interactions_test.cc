#include "retort/sim/interactions.h"

#include <cmath>

#include "test_world.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/log/duckdb.h"
#include "retort/sim/law.h"
#include "retort/sim/world.h"

namespace retort {
namespace {

using ::testing::HasSubstr;
using testing::shared_oracle;
using testing::shared_world;
using ::testing::ThrowsMessage;

int64_t count(const std::string& condition) {
  DuckDb db;
  return db
      .query_integer("SELECT count(*) FROM read_parquet(" +
                     sql_string((shared_world().path / "impressions.parquet").string()) +
                     ") WHERE " + condition)
      .value();
}

// Whoever changes a law of the default world must say so here.
TEST(Interactions, DefaultConstantsAreFrozen) {
  EXPECT_EQ(interactions_hash(InteractionConstants()),
            "aa2ed8ddd7ea8d070b395479282dadec94afaa2134a583fb2fd3e70ad8669e58");
  EXPECT_NE(interactions_hash(InteractionConstants{.share_seconds = 0.7}),
            interactions_hash(InteractionConstants()));
}

TEST(Interactions, AreNoPartOfTheLawsOfClickingAndReading) {
  const Json other{{"world", {{"interactions", {{"share_bias", -3.0}}}}}};
  EXPECT_EQ(constants_hash(world_options(other)), constants_hash(WorldOptions()));
  EXPECT_EQ(world_options(other).interactions.share_bias, -3);
  const WorldOptions back = world_options_from_json(to_json(world_options(other)));
  EXPECT_EQ(back.interactions.share_bias, -3);
}

TEST(Interactions, KeysAreChecked) {
  const auto with = [](const char* key, double value) {
    return Json{{"world", {{"interactions", {{key, value}}}}}};
  };
  EXPECT_THAT([&] { world_options(with("share_bia", 0)); },
              ThrowsMessage<ConfigError>(HasSubstr("share_bias")));
  EXPECT_THAT([&] { world_options(with("dismiss_title", 50)); },
              ThrowsMessage<ConfigError>(HasSubstr("world.interactions.dismiss_title")));
}

// The clicks and seconds of this world as they were before anyone could share: 300 users, seed 11.
TEST(Interactions, LeaveClicksAndSecondsAsTheyWere) {
  EXPECT_EQ(shared_world().summary["counts"]["impressions"], 33000);
  EXPECT_EQ(shared_world().summary["counts"]["clicks"], 1203);
  EXPECT_NEAR(shared_world().summary["measured"]["mean_seconds"].get<double>(), 114.49930352586958,
              1e-4);
}

TEST(Interactions, FollowTheForest) {
  EXPECT_EQ(count("shared AND NOT clicked"), 0);
  EXPECT_EQ(count("followed AND NOT shared"), 0);
  EXPECT_GT(count("dismissed AND NOT clicked"), 0);
  const Json& counts = shared_world().summary["counts"];
  EXPECT_EQ(count("shared"), counts["shares"]);
  EXPECT_EQ(count("followed"), counts["follows"]);
  EXPECT_EQ(count("dismissed"), counts["dismissals"]);
}

// The rates of many draws against the laws written out by hand.
TEST(Interactions, HappenAsOftenAsTheirLawsSay) {
  const World& world = shared_oracle().world();
  double shares = 0, expected_shares = 0, follows = 0, expected_follows = 0;
  double dismissals = 0, expected_dismissals = 0, rows = 0;
  for (int32_t user = 0; user < world.users(); ++user) {
    const double own_taste = Rng(world.options.seed, "share taste").normal(user);
    for (int32_t item = 0; item < world.items(); ++item) {
      double affinity = 0;
      for (int32_t k = 0; k < world.dim(); ++k)
        affinity += static_cast<double>(world.read_taste[user * world.dim() + k]) *
                    world.phi[item * world.dim() + k];
      const double seconds = 400;
      const Interactions done = world.interactions(user, item, 1, 3, seconds);
      shares += done.shared;
      follows += done.followed;
      dismissals += done.dismissed;
      const double share = sigmoid(-4 + 0.8 * std::log(seconds / 50) + affinity + 0.5 * own_taste);
      const double author =
          Rng(world.options.seed, "author").normal(2 * world.author[static_cast<size_t>(item)]);
      expected_shares += share;
      expected_follows += share * sigmoid(-2 + 1.5 * author);
      expected_dismissals +=
          sigmoid(-4 - 0.8 * affinity + 0.4 * world.title[static_cast<size_t>(item)]);
      rows += 1;
    }
  }
  EXPECT_NEAR(shares, expected_shares, 4 * std::sqrt(expected_shares));
  EXPECT_NEAR(follows, expected_follows, 4 * std::sqrt(expected_follows));
  EXPECT_NEAR(dismissals, expected_dismissals, 4 * std::sqrt(expected_dismissals));
  EXPECT_GT(shares / rows, 0.03);
}

TEST(Interactions, WithoutAClickNothingIsShared) {
  const World& world = shared_oracle().world();
  for (int32_t item = 0; item < world.items(); ++item)
    EXPECT_FALSE(world.interactions(0, item, 0, 0, std::nan("")).shared);
}

}  // namespace
}  // namespace retort
