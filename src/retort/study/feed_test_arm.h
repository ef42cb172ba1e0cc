// Where an arm's candidates come from: a bundle that answers as in service, or the truth.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "retort/common/json.h"
#include "retort/sim/oracle.h"
#include "retort/study/feed_test_recipe.h"
#include "retort/study/impression_log.h"

namespace retort {

/// Const methods are thread-safe. Users and items by their numbers of the test.
class FeedArm {
 public:
  virtual ~FeedArm() = default;
  /// The k best for the user, best first. `unborn`: no item from this number on; for whom that
  /// is nobody, the number of items.
  virtual std::vector<int32_t> retrieve(int32_t user, int32_t k, int32_t unborn) const = 0;
  /// Until when it knows the log, microseconds since 1970; nullopt: nothing of it.
  virtual std::optional<int64_t> moment() const = 0;
  virtual bool knows(int32_t user) const = 0;  // others are served without features
  virtual Json about() const = 0;              // for the result
};

/// `users`, `items` must outlive the arm. Items of the bundle that `items` does not hold are added
/// to it, or with `closed` are a DataError: of another world. Throws as Bundle does, and
/// ConfigError for a fusion that the model cannot have.
std::unique_ptr<FeedArm> make_bundle_arm(const FeedArmRecipe& recipe, bool exclude_seen,
                                         const KeyNumbers& users, KeyNumbers& items, bool closed);
/// By p_click, or p_click E[min(T, c)], on the day; numbers are the world's. `oracle` must outlive
/// it.
std::unique_ptr<FeedArm> make_oracle_arm(const FeedArmRecipe& recipe, const Oracle& oracle,
                                         int32_t day);

}  // namespace retort
