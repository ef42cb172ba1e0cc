#include "retort/sim/long_video_day.h"

#include <algorithm>
#include <iterator>
#include <string_view>

#include <fmt/format.h>

#include "retort/common/error.h"
#include "retort/log/days.h"
#include "retort/sim/law.h"

namespace retort {
namespace {

constexpr double kMinute = 60e6;  // microseconds
constexpr int64_t kPlaybacksADay = 1024;

constexpr std::string_view kContinue = "continue", kRewatch = "rewatch";
constexpr std::string_view kForYou[] = {"tv_for_you", "movies_for_you"};
constexpr std::string_view kTypeNames[] = {"tv", "movie"};

// Positions of the draws of a reaction.
constexpr uint64_t kTaste = 0, kSave = 1;

/// One user's day: the shows of the familiar rows that go on, then the two For You rows.
class UserDay {
 public:
  UserDay(const LongVideoDay& day, int32_t user, std::vector<Started>& started,
          LongVideoBlock& block)
      : world_(day.world()), day_(day), user_(user), started_(started), block_(block) {}

  void run(ExposureRow& row) {
    ++block_.tally.opens;
    open_ = world_.open_time(user_, day_.day());
    for (Started& show : started_) go_on(show);
    for (const LongVideoPolicy& policy : day_.rows()) show_row(policy, row);
    write_playbacks();
  }

 private:
  struct Playback {
    int32_t item;
    double minutes;
    std::string_view collection;
    int64_t imp_id;             // -1: from a familiar row
    std::string_view reaction;  // "" for none
    bool saved;
  };

  int64_t user_day() const { return day_.day() * world_.users() + user_; }
  LongVideoTally::Type& tally(int32_t item) {
    return block_.tally.type[static_cast<size_t>(world_.type_of(item))];
  }

  void go_on(Started& started) {
    const int32_t item = started.item;
    const LaterPlayback later =
        later_day(world_.options.constants, world_.show(item), world_.satisfaction(user_, item),
                  world_.watch_draws(user_, item, day_.day()), started.watching);
    if (later.minutes <= 0) return;
    playbacks_.push_back(
        {item, later.minutes, later.rewatch ? kRewatch : kContinue, -1, "", false});
  }

  bool never_played(int32_t item) const {
    return std::none_of(started_.begin(), started_.end(),
                        [item](const Started& started) { return started.item == item; });
  }

  void show_row(const LongVideoPolicy& policy, ExposureRow& row) {
    const auto type = static_cast<uint64_t>(policy.type());
    policy.fill(user_, row);
    const Rng draws = Rng(world_.options.log_seed, "exposures")
                          .fork(static_cast<uint64_t>(user_day()))
                          .fork(type);
    policy.draw_row(
        row, draws, world_.options.slots, [this](int32_t item) { return never_played(item); },
        items_);
    scored_.clear();
    for (const int32_t item : items_) scored_.push_back({item, day_.ranker().score(user_, item)});
    std::stable_sort(scored_.begin(), scored_.end(), [](const Scored& a, const Scored& b) {
      return a.scores.mixed() > b.scores.mixed();
    });
    const int64_t request = 2 * user_day() + static_cast<int64_t>(type);
    for (size_t k = 0; k < scored_.size(); ++k) {
      show_slot(scored_[k].item, scored_[k].scores, request, static_cast<int32_t>(k) + 1);
    }
  }

  void show_slot(int32_t item, const LiveRanker::Scores& scores, int64_t request,
                 int32_t position) {
    const int64_t imp_id = request * world_.options.slots + position - 1;
    const double click = examination(position) * sigmoid(world_.click_logit(user_, item));
    const bool clicked = world_.click_draw(user_, item, day_.day()) < click;
    LongVideoTally::Type& counts = tally(item);
    ++counts.impressions;
    counts.clicks += clicked ? 1 : 0;
    counts.expected_clicks += click;
    block_.shown.push_back({user_, item, position, clicked});
    const auto type = static_cast<size_t>(world_.type_of(item));
    const double keep = Rng(world_.options.log_seed, "kept").uniform(static_cast<uint64_t>(imp_id));
    fmt::format_to(std::back_inserter(block_.impressions),
                   "{},{},{},{},{},{},{},{},{},{},{},{},{}\n", imp_id, request,
                   world_.user_key(user_), world_.item_key(item), kForYou[type], kTypeNames[type],
                   position, open_, clicked, keep, static_cast<float>(scores.click),
                   static_cast<float>(scores.dwm), day_.day());
    if (clicked) discover(item, imp_id, kForYou[type]);
  }

  void discover(int32_t item, int64_t imp_id, std::string_view collection) {
    const LongVideoConstants& c = world_.options.constants;
    const Show show = world_.show(item);
    const double satisfaction = world_.satisfaction(user_, item);
    Started started{item, {}};
    const double minutes = first_playback(
        c, show, satisfaction, world_.watch_draws(user_, item, day_.day()), started.watching);
    const Draws draws = world_.reaction_draws(user_, item);
    const double taste = draws.uniform(kTaste);
    const double unlike = 1 - satisfaction;
    std::string_view reaction;
    if (taste < c.like * satisfaction * satisfaction) {
      reaction = "like";
    } else if (1 - taste <= c.dislike * unlike * unlike) {
      reaction = "dislike";
    }
    const bool saved =
        !finished(c, show, started.watching.seen) && draws.uniform(kSave) < c.save * satisfaction;
    playbacks_.push_back({item, minutes, collection, imp_id, reaction, saved});
    started_.push_back(started);
  }

  /// One after another from the opening on; where a day is too short for all, their starts move
  /// closer in proportion, so that each lies in its day.
  void write_playbacks() {
    double total = 0, until = 0;
    for (const Playback& playback : playbacks_) total += playback.minutes * kMinute;
    const auto left = static_cast<double>(world_.start + (day_.day() + 1) * kDay - open_);
    const double scale = total < left ? 1 : left / total;
    check(static_cast<int64_t>(playbacks_.size()) < kPlaybacksADay, "{} playbacks a day",
          playbacks_.size());
    for (size_t k = 0; k < playbacks_.size(); ++k) {
      const int64_t start = open_ + static_cast<int64_t>(until * scale);
      write_playback(playbacks_[k], start, user_day() * kPlaybacksADay + static_cast<int64_t>(k));
      until += playbacks_[k].minutes * kMinute;
    }
  }

  void write_playback(const Playback& playback, int64_t start, int64_t pb_id) {
    LongVideoTally::Type& counts = tally(playback.item);
    ++counts.playbacks;
    counts.minutes += playback.minutes;
    if (playback.imp_id < 0) counts.familiar_minutes += playback.minutes;
    block_.played.push_back({user_, playback.item, playback.minutes});
    const std::string user = world_.user_key(user_), item = world_.item_key(playback.item);
    const std::string_view type = kTypeNames[static_cast<size_t>(world_.type_of(playback.item))];
    fmt::format_to(std::back_inserter(block_.playbacks), "{},{},{},{},{},{},{},{}\n", pb_id, user,
                   item, type, start, static_cast<float>(playback.minutes), playback.collection,
                   playback.imp_id < 0 ? "" : std::to_string(playback.imp_id));
    const auto end = start + static_cast<int64_t>(playback.minutes * kMinute);
    if (!playback.reaction.empty()) write_reaction(user, item, type, end, playback.reaction);
    if (playback.saved) write_reaction(user, item, type, end, "save");
  }

  void write_reaction(std::string_view user, std::string_view item, std::string_view type,
                      int64_t time, std::string_view kind) {
    ++block_.tally.reactions;
    fmt::format_to(std::back_inserter(block_.reactions), "{},{},{},{},{}\n", user, item, type, time,
                   kind);
  }

  struct Scored {
    int32_t item;
    LiveRanker::Scores scores;
  };
  const LongVideoWorld& world_;
  const LongVideoDay& day_;
  int32_t user_;
  std::vector<Started>& started_;
  LongVideoBlock& block_;
  int64_t open_ = 0;
  std::vector<Playback> playbacks_;
  std::vector<int32_t> items_;
  std::vector<Scored> scored_;
};

}  // namespace

void LongVideoTally::add(const LongVideoTally& other) {
  for (size_t t = 0; t < type.size(); ++t) {
    type[t].impressions += other.type[t].impressions;
    type[t].clicks += other.type[t].clicks;
    type[t].playbacks += other.type[t].playbacks;
    type[t].expected_clicks += other.type[t].expected_clicks;
    type[t].minutes += other.type[t].minutes;
    type[t].familiar_minutes += other.type[t].familiar_minutes;
  }
  opens += other.opens;
  reactions += other.reactions;
}

LongVideoDay::LongVideoDay(const LongVideoWorld& world, const LiveRanker& ranker, int32_t day)
    : world_(world), ranker_(ranker), day_(day) {
  if (day >= world.log_days()) return;
  for (const ShowType type : kShowTypes) rows_.emplace_back(world, type, day);
}

void LongVideoDay::simulate(int64_t begin, int64_t end, Audience& audience,
                            LongVideoBlock& block) const {
  ExposureRow row;
  for (int64_t u = begin; u < end; ++u) {
    const auto user = static_cast<int32_t>(u);
    if (!world_.opens(user, day_)) continue;
    UserDay(*this, user, audience[static_cast<size_t>(u)], block).run(row);
  }
}

LiveRanker make_live_ranker(const LongVideoWorld& world) {
  const LongVideoConstants& c = world.options.constants;
  return {{.memory = c.ranker_memory,
           .show_prior = c.ranker_show_prior,
           .user_prior = c.ranker_user_prior,
           .minutes_prior = c.ranker_minutes_prior},
          world.genres_seen,
          world.options.genres,
          world.users()};
}

void learn_day(const std::vector<LongVideoBlock>& blocks, LiveRanker& ranker) {
  ranker.forget();
  for (const LongVideoBlock& block : blocks) {
    for (const Shown& shown : block.shown) {
      ranker.learn_impression(shown.user, shown.item, examination(shown.position), shown.clicked);
    }
    for (const Played& played : block.played) {
      ranker.learn_minutes(played.user, played.item, played.minutes);
    }
  }
}

}  // namespace retort
