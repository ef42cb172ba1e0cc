#include "retort/study/feed_test.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>
#include <utility>

#include "retort/common/error.h"
#include "retort/common/progress.h"
#include "retort/common/text.h"
#include "retort/common/thread_pool.h"
#include "retort/log/days.h"
#include "retort/sim/day_log.h"
#include "retort/study/feed_replay.h"
#include "retort/study/feed_test_arm.h"

namespace retort {
namespace {

constexpr int64_t kFeedBlock = 256;        // users between two looks at Ctrl-C
constexpr double kCandidateShare = 0.025;  // of the items; methods E3

using FeedPart = double (*)(const FeedOutcome&);
double feed_shown(const FeedOutcome& outcome) { return outcome.shown; }

AbMeasure feed_measure(std::string name, int better, const std::vector<FeedOutcome>& users,
                       FeedPart part) {
  AbMeasure made{std::move(name), better, {}};
  for (const FeedOutcome& user : users) {
    made.ratio.numerator.push_back(part(user));
    made.ratio.denominator.push_back(feed_shown(user));
  }
  return made;
}

std::vector<AbMeasure> feed_measures(const std::vector<FeedOutcome>& users) {
  using O = const FeedOutcome&;
  return {feed_measure("seconds", 1, users, [](O o) { return o.seconds; }),
          feed_measure("expected_seconds", 1, users, [](O o) { return o.expected_seconds; }),
          feed_measure("ctr", 1, users, [](O o) { return o.clicks; }),
          feed_measure("expected_ctr", 1, users, [](O o) { return o.expected_clicks; }),
          feed_measure("reads", 1, users, [](O o) { return o.reads; }),
          feed_measure("expected_reads", 1, users, [](O o) { return o.expected_reads; }),
          feed_measure("click_bait", -1, users, [](O o) { return o.click_bait; })};
}
constexpr size_t kSeconds = 0, kExpectedSeconds = 1, kExpectedCtr = 3;  // of feed_measures

/// Who is tested: users by their number, how often they come, and in which order.
struct Testers {
  std::vector<int32_t> users, place;  // place: [all users], -1 for who does not come
  std::vector<int64_t> requests;      // [testers]
  std::vector<int32_t> arrivals;      // places by the moment of the first request

  void add(int32_t user, int64_t count) {
    place[static_cast<size_t>(user)] = static_cast<int32_t>(users.size());
    users.push_back(user);
    requests.push_back(count);
  }
};

class FeedTest {
 public:
  explicit FeedTest(const FeedTestRecipe& recipe) : recipe_(recipe) {
    result_.name = recipe.name;
    result_.source = (recipe.world.empty() ? recipe.log : recipe.world).string();
    result_.slots = recipe.slots;
    if (!recipe.world.empty()) open_world();
    log_.emplace(recipe.log.empty() ? recipe.world : recipe.log);
    if (!oracle_) log_->add_keys(users_, items_);
    for (const FeedArmRecipe& arm : recipe.arms) {
      result_.names.push_back(arm.name);
      arms_.push_back(arm.bundle.empty() ? make_oracle_arm(arm, *oracle_, *result_.day)
                                         : make_bundle_arm(arm, recipe.exclude_seen, users_, items_,
                                                           oracle_ != nullptr));
    }
    unborn_ = oracle_ ? oracle_->world().alive[static_cast<size_t>(*result_.day)]
                      : static_cast<int32_t>(items_.size());
    result_.candidates = recipe.candidates.value_or(
        std::max(2 * result_.slots, static_cast<int32_t>(std::lround(kCandidateShare * unborn_))));
    if (result_.candidates < result_.slots)
      result_.notes.push_back(fmt::format("{} candidates for {} slots: the other slots are empty",
                                          result_.candidates, result_.slots));
  }

  FeedTestResult run() {
    set_time();
    check_feed_moments();
    const LiveRanker ranker = fit_feed_ranker(*log_, begin_, result_.from, users_, items_);
    find_testers();
    if (recipe_.counterfactual) read_tested_log();
    note_unknown_testers();
    retrieve();
    for (const FeedRanker by : recipe_.rankers) result_.rankers.push_back(judge(by, ranker));
    describe_feed_arms();
    return std::move(result_);
  }

 private:
  void open_world() {
    oracle_ = std::make_unique<Oracle>(recipe_.world);
    const World& world = oracle_->world();
    const int32_t day = recipe_.day.value_or(world.days() - 1);
    if (day < 1 || day >= world.days())
      fail<ConfigError>("recipe key 'day' = {}: {} has days 0 to {}, the first without a past", day,
                        result_.source, world.days() - 1);
    result_.day = day;
    result_.slots = world.options.slots;
    for (int64_t user = 0; user < world.users(); ++user) users_.add(world.user_key(user));
    for (int64_t item = 0; item < world.items(); ++item) items_.add(world.item_key(item));
  }

  /// The day of a world, or from the moment of the newest bundle to the end of the log.
  void set_time() {
    const auto [first, end] = log_->span();
    begin_ = first;
    if (oracle_) {
      begin_ = oracle_->world().start;
      result_.from = begin_ + *result_.day * kDay;
      result_.until = result_.from + kDay;
      return;
    }
    int64_t newest = first;
    for (const auto& arm : arms_) newest = std::max(newest, arm->moment().value_or(first));
    result_.from = recipe_.since.value_or(newest);
    result_.until = end;
    if (result_.from >= result_.until)
      fail<ConfigError>(
          "{}: ends at {}, and the test begins at {}; publish the arms with an earlier --at, or "
          "set an earlier 'since'",
          log_->name(), format_moment(result_.until), format_moment(result_.from));
    if (result_.from <= begin_)
      result_.notes.push_back(
          "no impressions before the tested time: the ranker and the model know nothing");
  }

  void check_feed_moments() {
    std::optional<int64_t> known;
    for (size_t arm = 0; arm < arms_.size(); ++arm) {
      const auto moment = arms_[arm]->moment();
      if (!moment) continue;
      if (*moment > result_.from)
        fail<ConfigError>(
            "arm '{}': {} knows the log until {}, and the test begins at {}; publish a run that "
            "was "
            "trained on nothing later with --at '{}', or set a later {}",
            result_.names[arm], arms_[arm]->about()["bundle"].get<std::string>(),
            format_moment(*moment), format_moment(result_.from), format_moment(result_.from),
            oracle_ ? "'day'" : "'since'");
      if (*moment != known.value_or(*moment))
        result_.notes.push_back(
            fmt::format("the bundle of '{}' knows the log until {}, another "
                        "until {}",
                        result_.names[arm], format_moment(*moment), format_moment(*known)));
      if (!known) known = moment;
    }
  }

  void find_testers() {
    testers_.place.assign(static_cast<size_t>(users_.size()), -1);
    if (!oracle_) {
      log_->each(result_.from, result_.until, false, [&](const Impression& shown) {
        const int32_t user = *users_.find(shown.user);
        if (testers_.place[static_cast<size_t>(user)] < 0) testers_.add(user, 0);
      });
    } else {
      std::vector<int64_t> first;
      for (int32_t user = 0; user < oracle_->world().users(); ++user) {
        const auto times = request_times(oracle_->world(), user, *result_.day);
        if (times.empty()) continue;
        testers_.add(user, static_cast<int64_t>(times.size()));
        first.push_back(times.front());
        result_.requests += static_cast<int64_t>(times.size());
      }
      testers_.arrivals.resize(first.size());
      std::iota(testers_.arrivals.begin(), testers_.arrivals.end(), 0);
      std::stable_sort(testers_.arrivals.begin(), testers_.arrivals.end(),
                       [&](int32_t a, int32_t b) {
                         return first[static_cast<size_t>(a)] < first[static_cast<size_t>(b)];
                       });
    }
    if (testers_.users.empty())
      fail<DataError>("{}: nobody is shown anything from {} on", result_.source,
                      format_moment(result_.from));
    result_.users = static_cast<int64_t>(testers_.users.size());
  }

  void read_tested_log() {
    log_->require_propensities(result_.from, result_.until);
    double seconds = 0, clicks = 0;
    log_->each(result_.from, result_.until, true, [&](const Impression& shown) {
      const auto user = users_.find(shown.user), item = items_.find(shown.item);
      const int32_t place = user ? testers_.place[static_cast<size_t>(*user)] : -1;
      if (place < 0 || !item)
        fail<DataError>("{}: user '{}' or item '{}' is not of the world, or not of this day",
                        log_->name(), shown.user, shown.item);
      const double clicked = shown.clicked ? 1 : 0;
      logged_seconds_.push_back({place, *item, shown.position, shown.propensity, shown.seconds});
      logged_clicks_.push_back({place, *item, shown.position, shown.propensity, clicked});
      seconds += shown.seconds;
      clicks += clicked;
    });
    const auto rows = static_cast<double>(logged_seconds_.size());
    if (rows == 0) fail<DataError>("{}: no impressions in the tested time", log_->name());
    result_.logged_seconds = seconds / rows;
    result_.logged_ctr = clicks / rows;
  }

  void note_unknown_testers() {
    for (size_t arm = 0; arm < arms_.size(); ++arm) {
      const auto unknown = std::count_if(testers_.users.begin(), testers_.users.end(),
                                         [&](int32_t user) { return !arms_[arm]->knows(user); });
      if (unknown > 0)
        result_.notes.push_back(
            fmt::format("{} of {} users are not in the bundle of arm '{}': served without features",
                        unknown, result_.users, result_.names[arm]));
    }
  }

  void retrieve() {
    const auto count = result_.users;
    candidates_.assign(arms_.size(), std::vector<std::vector<int32_t>>(testers_.users.size()));
    Progress progress("retrieving", count * static_cast<int64_t>(arms_.size()), "users");
    for (size_t arm = 0; arm < arms_.size(); ++arm) {
      for (int64_t from = 0; from < count; from += kFeedBlock) {
        check_interrupt("abtest");
        const int64_t until = std::min(count, from + kFeedBlock);
        parallel_for(from, until, 8, [&](int64_t begin, int64_t end) {
          for (auto at = static_cast<size_t>(begin); at < static_cast<size_t>(end); ++at)
            candidates_[arm][at] =
                arms_[arm]->retrieve(testers_.users[at], result_.candidates, unborn_);
        });
        progress.add(until - from);
      }
    }
  }

  Slates slates_of(size_t arm, FeedRanker by, const LiveRanker& ranker) const {
    Slates slates{result_.slots, {}};
    const auto slots = static_cast<size_t>(result_.slots);
    slates.items.assign(testers_.users.size() * slots, -1);
    parallel_for(0, result_.users, 64, [&](int64_t begin, int64_t end) {
      for (auto at = static_cast<size_t>(begin); at < static_cast<size_t>(end); ++at) {
        const auto slate =
            rank_candidates(ranker, by, testers_.users[at], candidates_[arm][at], result_.slots);
        std::copy(slate.begin(), slate.end(),
                  slates.items.begin() + static_cast<int64_t>(at * slots));
      }
    });
    return slates;
  }

  FeedRankerResult judge(FeedRanker by, const LiveRanker& ranker) {
    check_interrupt("abtest");
    FeedRankerResult judged;
    judged.ranker = kFeedRankers[static_cast<size_t>(by)];
    std::vector<Slates> slates;
    for (size_t arm = 0; arm < arms_.size(); ++arm) slates.push_back(slates_of(arm, by, ranker));
    if (oracle_) replay(slates, judged);
    if (recipe_.counterfactual)
      for (size_t arm = 0; arm < arms_.size(); ++arm)
        judged.estimates.push_back(estimate(slates[arm], ranker, arm, judged));
    return judged;
  }

  void replay(const std::vector<Slates>& slates, FeedRankerResult& judged) const {
    std::vector<std::vector<AbMeasure>> measures;
    const auto slots = static_cast<size_t>(result_.slots);
    for (const Slates& shown : slates) {
      std::vector<FeedOutcome> outcomes(testers_.users.size());
      parallel_for(0, result_.users, 32, [&](int64_t begin, int64_t end) {
        for (auto at = static_cast<size_t>(begin); at < static_cast<size_t>(end); ++at)
          outcomes[at] =
              replay_feed(*oracle_, testers_.users[at], *result_.day, testers_.requests[at],
                          std::span(shown.items).subspan(at * slots, slots), recipe_.read_seconds);
      });
      measures.push_back(feed_measures(outcomes));
      std::vector<int32_t> seen = shown.items;
      std::sort(seen.begin(), seen.end());
      const auto until = std::unique(seen.begin(), seen.end());
      const auto distinct = std::count_if(seen.begin(), until, [](int32_t i) { return i >= 0; });
      judged.coverage.push_back(static_cast<double>(distinct) / unborn_);
    }
    const auto published = [&](size_t lower, size_t arm,
                               const std::string& metric) -> std::optional<double> {
      const auto &mine = recipe_.arms[arm].published, &base = recipe_.arms[lower].published;
      if (!mine || !base || !metric.ends_with("seconds")) return std::nullopt;
      return *mine / *base - 1;
    };
    judged.section =
        sum_up(judged.ranker, measures,
               {.arms = result_.names,
                .bootstrap = recipe_.bootstrap,
                .published = [&](size_t arm,
                                 const std::string& metric) { return published(0, arm, metric); },
                .arrivals = testers_.arrivals});
    std::vector<size_t> order;
    for (size_t arm = 0; arm < arms_.size(); ++arm)
      if (recipe_.arms[arm].published) order.push_back(arm);
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
      return *recipe_.arms[a].published < *recipe_.arms[b].published;
    });
    for (size_t place = 1; place < order.size(); ++place) {
      const size_t lower = order[place - 1], arm = order[place];
      const auto two = [&](size_t which) {
        return std::vector{measures[which][kExpectedSeconds], measures[which][kSeconds]};
      };
      AbSection pair = sum_up(
          "order", {two(lower), two(arm)},
          {.arms = {result_.names[lower], result_.names[arm]},
           .bootstrap = recipe_.bootstrap,
           .published = [&](size_t,
                            const std::string& metric) { return published(lower, arm, metric); },
           .arrivals = testers_.arrivals});
      for (AbDifference& difference : pair.differences) {
        judged.order.push_back(std::move(difference));
        judged.order_below.push_back(result_.names[lower]);
      }
    }
  }

  FeedEstimate estimate(const Slates& slates, const LiveRanker& ranker, size_t arm,
                        const FeedRankerResult& judged) const {
    const auto by_log = [&](const std::vector<LoggedSlot>& log, auto reward) {
      const auto model = [&](int32_t place, int32_t item) {
        return reward(ranker, testers_.users[static_cast<size_t>(place)], item);
      };
      return estimate_off_policy(off_policy_rows(log, slates, recipe_.match, model), result_.users,
                                 recipe_.bootstrap);
    };
    FeedEstimate made{by_log(logged_seconds_, &expected_reading),
                      by_log(logged_clicks_, &expected_clicks),
                      {},
                      {}};
    if (!judged.section) return made;
    made.expected_seconds = judged.section->metrics[arm][kExpectedSeconds].value.value;
    made.expected_ctr = judged.section->metrics[arm][kExpectedCtr].value.value;
    return made;
  }

  void describe_feed_arms() {
    result_.arms = Json::array();
    for (size_t arm = 0; arm < arms_.size(); ++arm) {
      Json about{{"name", result_.names[arm]}};
      about.update(arms_[arm]->about());
      result_.arms.push_back(about);
    }
  }

  const FeedTestRecipe& recipe_;
  std::unique_ptr<Oracle> oracle_;  // null without a world
  std::optional<ImpressionLog> log_;
  KeyNumbers users_, items_;
  std::vector<std::unique_ptr<FeedArm>> arms_;
  int32_t unborn_ = 0;  // no item from this number on
  int64_t begin_ = 0;   // of the log
  Testers testers_;
  std::vector<std::vector<std::vector<int32_t>>> candidates_;  // [arms][testers]
  std::vector<LoggedSlot> logged_seconds_, logged_clicks_;     // of the tested time
  FeedTestResult result_;
};

}  // namespace

FeedTestResult run_feed_test(const FeedTestRecipe& recipe) { return FeedTest(recipe).run(); }

}  // namespace retort
