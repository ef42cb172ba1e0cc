#include "retort/study/feed_test_arm.h"

#include <algorithm>
#include <string>
#include <utility>

#include "retort/bundle/bundle.h"
#include "retort/common/error.h"
#include "retort/common/text.h"
#include "retort/encoder/retriever.h"

namespace retort {
namespace {

class BundleFeedArm : public FeedArm {
 public:
  BundleFeedArm(const FeedArmRecipe& recipe, bool exclude_seen, const KeyNumbers& users,
                KeyNumbers& items, bool closed)
      : users_(users), items_(items), bundle_(recipe.bundle), retriever_(bundle_) {
    const std::string path = bundle_.folder().string();
    if (recipe.fusion) check_fusion(bundle_.spec(), *recipe.fusion, path);
    options_.exclude_seen = exclude_seen;
    options_.fusion = recipe.fusion;
    for (int32_t item = 0; item < bundle_.items(); ++item) {
      const std::string_view key = bundle_.item_keys()[item];
      if (closed && !items.find(key))
        fail<DataError>(
            "{}: item '{}' is not of the world; give the world whose log it was trained on", path,
            key);
      items.add(key);
    }
  }

  std::vector<int32_t> retrieve(int32_t user, int32_t k, int32_t unborn) const override {
    RetrieveOptions options = options_;
    options.k = k;
    for (int64_t item = unborn; item < items_.size(); ++item)
      options.exclude.push_back(items_[static_cast<int32_t>(item)]);
    const Retrieval found = knows(user) ? retriever_.retrieve(users_[user], options)
                                        : retriever_.retrieve(Json::object(), options);
    std::vector<int32_t> items;
    for (const Retrieval::Item& item : found.items) items.push_back(*items_.find(item.id));
    return items;
  }

  std::optional<int64_t> moment() const override { return bundle_.known_until(); }
  bool knows(int32_t user) const override { return bundle_.find_user(users_[user]).has_value(); }
  Json about() const override {
    return {{"bundle", bundle_.folder().string()},
            {"model", bundle_.model()},
            {"version", bundle_.version()},
            {"moment", format_moment(bundle_.moment())},
            {"beta", bundle_.spec().beta}};
  }

 private:
  const KeyNumbers& users_;
  const KeyNumbers& items_;
  Bundle bundle_;
  Retriever retriever_;
  RetrieveOptions options_;
};

class OracleFeedArm : public FeedArm {
 public:
  OracleFeedArm(std::string by, const Oracle& oracle, int32_t day)
      : by_(std::move(by)), oracle_(oracle), day_(day) {}

  std::vector<int32_t> retrieve(int32_t user, int32_t k, int32_t unborn) const override {
    std::vector<std::pair<double, int32_t>> scored;
    for (int32_t item = 0; item < unborn; ++item)
      scored.emplace_back(
          by_ == "value" ? -oracle_.value(user, item, day_) : -oracle_.p_click(user, item, day_),
          item);
    const auto count = std::min(scored.size(), static_cast<size_t>(k));
    std::partial_sort(scored.begin(), scored.begin() + static_cast<int64_t>(count), scored.end());
    std::vector<int32_t> items;
    for (size_t place = 0; place < count; ++place) items.push_back(scored[place].second);
    return items;
  }

  std::optional<int64_t> moment() const override { return std::nullopt; }
  bool knows(int32_t) const override { return true; }
  Json about() const override { return {{"oracle", by_}}; }

 private:
  std::string by_;
  const Oracle& oracle_;
  int32_t day_;
};

}  // namespace

std::unique_ptr<FeedArm> make_bundle_arm(const FeedArmRecipe& recipe, bool exclude_seen,
                                         const KeyNumbers& users, KeyNumbers& items, bool closed) {
  return std::make_unique<BundleFeedArm>(recipe, exclude_seen, users, items, closed);
}

std::unique_ptr<FeedArm> make_oracle_arm(const FeedArmRecipe& recipe, const Oracle& oracle,
                                         int32_t day) {
  return std::make_unique<OracleFeedArm>(recipe.oracle, oracle, day);
}

}  // namespace retort
