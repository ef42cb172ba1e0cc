// Where an arm's personalised candidates come from: a bundle, or the truth.
#include <algorithm>
#include <utility>

#include "retort/bundle/bundle.h"
#include "retort/common/error.h"
#include "retort/common/text.h"
#include "retort/encoder/retriever.h"
#include "retort/study/abtest_replay.h"

namespace retort {
namespace {

class BundleChannel : public ArmChannel {
 public:
  BundleChannel(const ArmSource& source, const LongVideoOracle& oracle, ShowType type)
      : oracle_(oracle),
        bundle_(source.bundle),
        retriever_(bundle_),
        fusion_(source.fusion),
        type_(type) {
    const std::string path = bundle_.folder().string();
    if (fusion_) check_fusion(bundle_.spec(), *fusion_, path);
    bundle_.candidates().each(0, bundle_.items(), [&](int32_t item) {
      const std::string_view key = bundle_.item_keys()[item];
      const auto number = oracle.find_item(key);
      if (!number)
        fail<DataError>(
            "{}: item '{}' is not of the world; give the world whose log it was trained on", path,
            key);
      if (oracle.world().type_of(*number) != type)
        fail<ConfigError>(
            "{}: recommends '{}', which is no show of the row '{}'; name the bundle of the other "
            "row's dataset",
            path, key, kAbTestRows[static_cast<size_t>(type)]);
    });
  }

  std::vector<Scored> retrieve(int32_t user, int32_t k, const LoggedPast& past) const override {
    const LongVideoWorld& world = oracle_.world();
    RetrieveOptions options{.k = k, .exclude_seen = true};
    options.fusion = fusion_;
    for (const int32_t item : past.played[static_cast<size_t>(user)])
      options.exclude.push_back(world.item_key(item));
    const int32_t first = world.first_of(type_), end = first + world.count_of(type_);
    for (int32_t unborn = first + world.alive(type_, past.day); unborn < end; ++unborn)
      options.exclude.push_back(world.item_key(unborn));
    const Retrieval found = knows(user) ? retriever_.retrieve(world.user_key(user), options)
                                        : retriever_.retrieve(Json::object(), options);
    std::vector<Scored> items;
    for (const Retrieval::Item& item : found.items)
      items.push_back({*oracle_.find_item(item.id), item.score});
    return items;
  }

  std::optional<int64_t> moment() const override { return bundle_.known_until(); }
  bool knows(int32_t user) const override {
    return bundle_.find_user(oracle_.world().user_key(user)).has_value();
  }
  Json about() const override {
    const double fusion = fusion_.value_or(bundle_.spec().fusion);
    return {{"bundle", bundle_.folder().string()},
            {"model", bundle_.model()},
            {"version", bundle_.version()},
            {"moment", format_moment(bundle_.moment())},
            {"fusion", bundle_.spec().user.mixture ? Json(fusion) : Json()}};
  }

 private:
  const LongVideoOracle& oracle_;
  Bundle bundle_;
  Retriever retriever_;
  std::optional<double> fusion_;
  ShowType type_;
};

class OracleChannel : public ArmChannel {
 public:
  OracleChannel(std::string by, const LongVideoOracle& oracle, ShowType type)
      : by_(std::move(by)), oracle_(oracle), type_(type) {}

  std::vector<Scored> retrieve(int32_t user, int32_t k, const LoggedPast& past) const override {
    const LongVideoWorld& world = oracle_.world();
    const int32_t first = world.first_of(type_), end = first + world.alive(type_, past.day);
    std::vector<Scored> items;
    for (int32_t item = first; item < end; ++item) {
      if (past.has_played(user, item)) continue;
      const double minutes = by_ == "minutes" ? oracle_.quick_expected_dwm(user, item) : 1;
      items.push_back({item, static_cast<float>(oracle_.p_click(user, item) * minutes)});
    }
    std::stable_sort(items.begin(), items.end(),
                     [](const Scored& a, const Scored& b) { return a.score > b.score; });
    if (items.size() > static_cast<size_t>(k)) items.resize(static_cast<size_t>(k));
    return items;
  }

  std::optional<int64_t> moment() const override { return std::nullopt; }
  bool knows(int32_t) const override { return true; }
  Json about() const override { return {{"oracle", by_}}; }

 private:
  std::string by_;
  const LongVideoOracle& oracle_;
  ShowType type_;
};

}  // namespace

std::unique_ptr<ArmChannel> make_arm_channel(const ArmSource& source, const LongVideoOracle& oracle,
                                             ShowType type) {
  if (!source.oracle.empty()) return std::make_unique<OracleChannel>(source.oracle, oracle, type);
  return std::make_unique<BundleChannel>(source, oracle, type);
}

}  // namespace retort
