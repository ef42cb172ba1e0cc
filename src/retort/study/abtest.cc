#include "retort/study/abtest.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "retort/common/error.h"
#include "retort/common/log.h"
#include "retort/common/progress.h"
#include "retort/common/text.h"
#include "retort/common/thread_pool.h"
#include "retort/log/days.h"
#include "retort/study/abtest_replay.h"

namespace retort {
namespace {

constexpr int64_t kBlock = 256;  // users between two looks at Ctrl-C

/// [arms][users] what users do with one row.
using Outcomes = std::vector<std::vector<RowOutcome>>;

using Part = double (*)(const RowOutcome&);
double one(const RowOutcome&) { return 1; }
double shown(const RowOutcome& outcome) { return outcome.shown; }

AbMeasure measure(std::string name, const std::vector<RowOutcome>& users, Part part, Part of) {
  AbMeasure made{std::move(name), 1, {}};
  for (const RowOutcome& user : users) {
    made.ratio.numerator.push_back(part(user));
    made.ratio.denominator.push_back(of(user));
  }
  return made;
}

std::vector<AbMeasure> row_measures(const std::vector<RowOutcome>& users, int32_t nktd_at) {
  using O = const RowOutcome&;
  std::vector<AbMeasure> all;
  all.push_back(measure(
      "local_minutes", users, [](O o) { return o.local; }, one));
  all.push_back(measure(
      "expected_local_minutes", users, [](O o) { return o.expected_local; }, one));
  all.push_back(measure(
      "dwm", users, [](O o) { return o.dwm; }, one));
  all.push_back(measure(
      "expected_dwm", users, [](O o) { return o.expected_dwm; }, one));
  all.push_back(measure(
      "ctr", users, [](O o) { return o.clicks; }, shown));
  all.push_back(measure(
      "expected_ctr", users, [](O o) { return o.expected_clicks; }, shown));
  all.push_back(measure(
      fmt::format("nktd@{}", nktd_at), users, [](O o) { return std::isnan(o.nktd) ? 0 : o.nktd; },
      [](O o) { return std::isnan(o.nktd) ? 0.0 : 1.0; }));
  all.back().better = -1;
  static constexpr Part kOffered[kChannels] = {
      [](O o) { return o.offered[0]; }, [](O o) { return o.offered[1]; },
      [](O o) { return o.offered[2]; }, [](O o) { return o.offered[3]; }};
  for (size_t channel = 0; channel < kChannels; ++channel) {
    all.push_back(measure(fmt::format("exposure_{}", kChannelNames[channel]), users,
                          kOffered[channel], shown));
    all.back().better = channel == 0 ? 1 : 0;
  }
  return all;
}

/// All rows together, and what was started before the day.
std::vector<AbMeasure> platform_measures(const std::vector<Outcomes>& rows, size_t arm,
                                         const std::vector<double>& other) {
  std::vector<RowOutcome> all(other.size());
  for (const Outcomes& row : rows)
    for (size_t user = 0; user < all.size(); ++user) {
      all[user].dwm += row[arm][user].dwm;
      all[user].expected_dwm += row[arm][user].expected_dwm;
    }
  const auto dwm = [](const RowOutcome& o) { return o.dwm; };
  const auto expected = [](const RowOutcome& o) { return o.expected_dwm; };
  std::vector<AbMeasure> made;
  made.push_back(measure("platform_minutes", all, dwm, one));
  made.push_back(measure("expected_platform_minutes", all, expected, one));
  for (AbMeasure& total : made)
    for (size_t user = 0; user < other.size(); ++user) total.ratio.numerator[user] += other[user];
  made.push_back(measure("dwm", all, dwm, one));
  made.push_back(measure("expected_dwm", all, expected, one));
  return made;
}

/// What a publication says is of models.
bool is_oracle(const AbTestArm& arm) {
  return std::any_of(arm.rows.begin(), arm.rows.end(),
                     [](const auto& source) { return source && !source->oracle.empty(); });
}

std::optional<double> published_of(const AbTestRecipe& recipe, const std::string& section,
                                   const std::string& metric) {
  const auto figures = recipe.published.find(section);
  if (figures == recipe.published.end()) return std::nullopt;
  std::string stem = metric.substr(0, metric.find('@'));
  if (stem.starts_with("expected_")) stem = stem.substr(std::string_view("expected_").size());
  const auto figure = figures->second.find(stem);
  return figure == figures->second.end() ? std::nullopt : std::optional(figure->second);
}

AbSection compare_arms(const std::string& section,
                       const std::vector<std::vector<AbMeasure>>& measures,
                       const AbTestRecipe& recipe) {
  AbComparison comparison;
  for (const AbTestArm& arm : recipe.arms) comparison.arms.push_back(arm.name);
  comparison.bootstrap = recipe.bootstrap;
  comparison.published = [&](size_t arm, const std::string& metric) {
    return is_oracle(recipe.arms[arm]) ? std::nullopt : published_of(recipe, section, metric);
  };
  return sum_up(section, measures, comparison);
}

/// The arms' channels and the day that they are tested on.
class Test {
 public:
  explicit Test(const AbTestRecipe& recipe)
      : recipe_(recipe), oracle_(recipe.world), channels_(recipe.arms.size()) {
    for (size_t arm = 0; arm < recipe.arms.size(); ++arm) {
      for (const ShowType type : kShowTypes) {
        const auto row = static_cast<size_t>(type);
        if (const auto& source = recipe.arms[arm].rows[row])
          channels_[arm][row] = make_arm_channel(*source, oracle_, type);
      }
    }
  }

  AbTestResult run() {
    result_.name = recipe_.name;
    result_.world = recipe_.world.string();
    result_.day = recipe_.day.value_or(first_unseen_day());
    result_.midnight = midnight(result_.day);
    check_moments();
    const LoggedPast past =
        read_logged_past(recipe_.world, oracle_, result_.day, recipe_.channels.trailing);
    for (int32_t user = 0; user < oracle_.world().users(); ++user)
      if (oracle_.world().opens(user, result_.day)) users_.push_back(user);
    if (users_.empty())
      fail<DataError>("{}: nobody opens the platform on day {}", result_.world, result_.day);
    result_.users = static_cast<int64_t>(users_.size());
    note_unknown_users();
    std::vector<Outcomes> rows;
    for (const ShowType type : kShowTypes) {
      if (!recipe_.has_row(type)) continue;
      rows.push_back(replay(type, past));
      std::vector<std::vector<AbMeasure>> measures;
      for (const auto& users : rows.back())
        measures.push_back(row_measures(users, recipe_.nktd_at));
      const std::string name(kAbTestRows[static_cast<size_t>(type)]);
      result_.sections.push_back(compare_arms(name, measures, recipe_));
    }
    std::vector<double> other;
    for (const int32_t user : users_)
      other.push_back(past.other_minutes[static_cast<size_t>(user)]);
    std::vector<std::vector<AbMeasure>> platform;
    for (size_t arm = 0; arm < recipe_.arms.size(); ++arm)
      platform.push_back(platform_measures(rows, arm, other));
    result_.sections.push_back(compare_arms("platform", platform, recipe_));
    describe_arms();
    return std::move(result_);
  }

 private:
  int64_t midnight(int32_t day) const { return oracle_.world().start + day * kDay; }

  /// Calls visit(arm, type, channel).
  template <class Visit>
  void each_channel(const Visit& visit) const {
    for (size_t arm = 0; arm < channels_.size(); ++arm)
      for (const ShowType type : kShowTypes)
        if (const auto& channel = channels_[arm][static_cast<size_t>(type)])
          visit(arm, type, *channel);
  }

  int32_t first_unseen_day() const {
    int64_t latest = oracle_.world().start;
    each_channel([&](size_t, ShowType, const ArmChannel& channel) {
      latest = std::max(latest, channel.moment().value_or(latest));
    });
    return static_cast<int32_t>((latest - oracle_.world().start + kDay - 1) / kDay);
  }

  /// No arm may know the day; that one knows more of the log than another is worth a note.
  void check_moments() {
    std::array<std::optional<int64_t>, 2> known;  // by row, of the first bundle
    each_channel([&](size_t arm, ShowType type, const ArmChannel& channel) {
      if (!channel.moment()) return;
      const int64_t moment = *channel.moment();
      if (moment > result_.midnight)
        fail<ConfigError>(
            "arm '{}': {} knows the log until {}, and the test day {} begins at {}; publish a run "
            "that "
            "was trained on nothing later with --at '{}', or set a later 'day'",
            recipe_.arms[arm].name, channel.about()["bundle"].get<std::string>(),
            format_moment(moment), result_.day, format_moment(result_.midnight),
            format_moment(result_.midnight));
      const auto row = static_cast<size_t>(type);
      if (moment != known[row].value_or(moment))
        result_.notes.push_back(
            fmt::format("row '{}': the bundle of '{}' knows the log until {}, another until {}",
                        kAbTestRows[row], recipe_.arms[arm].name, format_moment(moment),
                        format_moment(*known[row])));
      if (!known[row]) known[row] = moment;
    });
  }

  void note_unknown_users() {
    each_channel([&](size_t arm, ShowType type, const ArmChannel& channel) {
      const auto unknown = std::count_if(users_.begin(), users_.end(),
                                         [&](int32_t user) { return !channel.knows(user); });
      if (unknown > 0)
        result_.notes.push_back(fmt::format(
            "{} of {} users are not in the bundle of arm '{}', row '{}': served without features",
            unknown, users_.size(), recipe_.arms[arm].name,
            kAbTestRows[static_cast<size_t>(type)]));
    });
  }

  Outcomes replay(ShowType type, const LoggedPast& past) const {
    const SharedChannels shared(past, oracle_.world(), type, recipe_.channels);
    const RowReplay row{oracle_, past, shared, recipe_};
    Outcomes outcomes(channels_.size(), std::vector<RowOutcome>(users_.size()));
    const auto count = static_cast<int64_t>(users_.size());
    Progress progress(fmt::format("replaying {}", kAbTestRows[static_cast<size_t>(type)]),
                      count * static_cast<int64_t>(channels_.size()), "requests");
    for (size_t arm = 0; arm < channels_.size(); ++arm) {
      const ArmChannel& channel = *channels_[arm][static_cast<size_t>(type)];
      for (int64_t from = 0; from < count; from += kBlock) {
        check_interrupt("abtest");
        const int64_t until = std::min(count, from + kBlock);
        parallel_for(from, until, 8, [&](int64_t begin, int64_t end) {
          for (auto user = static_cast<size_t>(begin); user < static_cast<size_t>(end); ++user)
            outcomes[arm][user] = row.run(users_[user], channel);
        });
        progress.add(until - from);
      }
    }
    return outcomes;
  }

  void describe_arms() {
    result_.arms = Json::array();
    for (const AbTestArm& arm : recipe_.arms) result_.arms.push_back({{"name", arm.name}});
    each_channel([&](size_t arm, ShowType type, const ArmChannel& channel) {
      result_.arms[arm][std::string(kAbTestRows[static_cast<size_t>(type)])] = channel.about();
    });
  }

  const AbTestRecipe& recipe_;
  const LongVideoOracle oracle_;
  std::vector<std::array<std::unique_ptr<ArmChannel>, 2>> channels_;  // [arms]
  std::vector<int32_t> users_;                                        // who open, ascending
  AbTestResult result_;
};

}  // namespace

AbTestResult run_abtest(const AbTestRecipe& recipe) { return Test(recipe).run(); }

}  // namespace retort
