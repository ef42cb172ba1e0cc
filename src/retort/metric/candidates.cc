#include "retort/metric/candidates.h"

#include <algorithm>

#include "retort/common/error.h"

namespace retort {
namespace {

int64_t grid_moment(int64_t time, int64_t refresh) {
  if (refresh <= 0) return time;
  const int64_t remainder = time % refresh;
  return time - (remainder < 0 ? remainder + refresh : remainder);
}

/// First position of ascending times that is at least `time`.
int64_t first_at(std::span<const int64_t> times, int64_t time) {
  return std::lower_bound(times.begin(), times.end(), time) - times.begin();
}

/// One list a user: all his events are judged at the first of them, which comes first in Clicks.
void judge_at_first(const Clicks& clicks, std::vector<JudgedEvent>& events) {
  for (size_t at = 1; at < events.size(); ++at) {
    const JudgedEvent& before = events[at - 1];
    if (events[at].user != before.user) continue;
    events[at].scored = before.scored;
    events[at].time = clicks.time[before.scored];
  }
}

}  // namespace

std::vector<JudgedEvent> judged_events(const Dataset& dataset, const CatalogueOptions& options,
                                       bool one_group) {
  if (options.alive_window > 0 && !dataset.has_time()) {
    fail<ConfigError>(
        "{}: evaluate.alive needs a log with time; leave it out to judge over all "
        "items",
        dataset.folder().string());
  }
  const Clicks& clicks = dataset.clicks();
  std::vector<int64_t> positions;
  for (const int64_t click : dataset.rows_of(options.split)) {
    if (!options.reads_only || clicks.read[click] != 0) positions.push_back(click);
  }
  const int64_t all = static_cast<int64_t>(positions.size());
  const int64_t kept = options.limit > 0 ? std::min(options.limit, all) : all;
  std::vector<JudgedEvent> events;
  events.reserve(kept);
  for (int64_t slot = 0; slot < kept; ++slot) {
    const int64_t click = positions[slot * all / kept];
    events.push_back(
        {click, click, slot, clicks.user[click], clicks.item[click], clicks.time[click], 0});
  }
  if (dataset.protocol().lists == "user") judge_at_first(clicks, events);
  for (JudgedEvent& event : events)
    event.moment = one_group ? 0 : grid_moment(event.time, options.refresh);
  std::stable_sort(events.begin(), events.end(),
                   [](const JudgedEvent& a, const JudgedEvent& b) { return a.time < b.time; });
  return events;
}

CandidateWindow::CandidateWindow(const Dataset& dataset, const CatalogueOptions& options)
    : dataset_(dataset),
      window_(options.alive_window),
      exclude_seen_(options.exclude_seen),
      by_impressions_(dataset.protocol().alive_by == "impressions"),
      position_(dataset.items(), -1),
      times_(by_impressions_ ? dataset.impressions().time : dataset.sorted_time()),
      sights_in_window_(dataset.items(), 0),
      ever_(dataset.items(), 0) {
  if (window_ > 0 && by_impressions_ && times_.empty())
    fail<DataError>(
        "{}: evaluate.alive_by is \"impressions\", but the dataset has none, only clicks; ingest a "
        "log with shown items, or write \"clicks\"",
        dataset.folder().string());
  if (exclude_seen_)
    for (const std::string& name : dataset.protocol().exclude_streams)
      seen_streams_.push_back(&dataset.stream(name));
  if (window_ > 0) return;
  const auto all = dataset.candidates();
  set_items({all.begin(), all.end()});
}

void CandidateWindow::set_items(std::vector<int32_t> items) {
  for (const int32_t item : items_) position_[item] = -1;
  items_ = std::move(items);
  for (size_t at = 0; at < items_.size(); ++at) position_[items_[at]] = static_cast<int32_t>(at);
}

void CandidateWindow::start(std::span<const JudgedEvent> group) {
  if (window_ <= 0) {
    for (const int32_t item : items_) ever_[item] = 1;
    return;
  }
  const int64_t begin = first_at(times_, group.front().time - window_);
  const int64_t end = first_at(times_, group.back().time);
  std::vector<int32_t> items;
  for (int64_t at = begin; at < end; ++at) {
    const int32_t item = sighted(at);
    if (dataset_.is_candidate(item)) items.push_back(item);
  }
  std::sort(items.begin(), items.end());
  items.erase(std::unique(items.begin(), items.end()), items.end());
  set_items(std::move(items));
  alive_.assign(items_.size(), 0);
  advance(group.front().time);
  for (const int32_t item : items_) set_alive(item);
}

/// The item of number `at` of what makes items alive.
int32_t CandidateWindow::sighted(int64_t at) const {
  return by_impressions_ ? dataset_.impressions().item[at]
                         : dataset_.clicks().item[dataset_.by_time()[at]];
}

void CandidateWindow::set_alive(int32_t item) {
  if (position_[item] < 0) return;
  const bool alive = sights_in_window_[item] > 0;
  alive_[position_[item]] = alive;
  ever_[item] |= alive;
}

void CandidateWindow::advance(int64_t time) {
  const int64_t size = static_cast<int64_t>(times_.size()), old_first = first_, old_last = last_;
  while (last_ < size && times_[last_] < time) ++sights_in_window_[sighted(last_++)];
  while (first_ < last_ && times_[first_] < time - window_) --sights_in_window_[sighted(first_++)];
  for (int64_t at = old_last; at < last_; ++at) set_alive(sighted(at));
  for (int64_t at = old_first; at < first_; ++at) set_alive(sighted(at));
}

void CandidateWindow::mask(const JudgedEvent& event, std::span<uint8_t> mask) {
  if (window_ > 0) {
    advance(event.time);
    std::copy(alive_.begin(), alive_.end(), mask.begin());
  } else {
    std::fill(mask.begin(), mask.end(), 1);
  }
  if (!exclude_seen_) return;
  const Clicks& clicks = dataset_.clicks();
  const int64_t begin = clicks.user_begin[event.user];
  const int64_t end = dataset_.has_time() ? dataset_.history_end(event.user, event.time)
                                          : clicks.user_begin[event.user + 1];
  for (int64_t click = begin; click < end; ++click) {
    const bool past =
        dataset_.has_time() || clicks.split[click] == static_cast<uint8_t>(Split::kTrain);
    if (past && position_[clicks.item[click]] >= 0) mask[position_[clicks.item[click]]] = 0;
  }
  for (const Stream* stream : seen_streams_) {
    const int64_t past = stream->past_end(event.user, event.time);
    for (int64_t at = stream->user_begin[event.user]; at < past; ++at) {
      const int32_t item = stream->item[at];
      if (item != event.item && position_[item] >= 0) mask[position_[item]] = 0;
    }
  }
}

std::vector<float> CandidateWindow::log_q(int64_t moment) const {
  std::vector<int64_t> counts(items_.size(), 0);
  if (window_ <= 0) {
    for (size_t at = 0; at < items_.size(); ++at) counts[at] = dataset_.train_clicks()[items_[at]];
    return log_share(counts);
  }
  const auto clicked = dataset_.sorted_time();
  const int64_t end = first_at(clicked, moment);
  for (int64_t at = first_at(clicked, moment - window_); at < end; ++at) {
    const int32_t position = position_[dataset_.clicks().item[dataset_.by_time()[at]]];
    if (position >= 0) ++counts[position];
  }
  return log_share(counts);
}

int64_t CandidateWindow::distinct() const {
  return std::count(ever_.begin(), ever_.end(), uint8_t{1});
}

}  // namespace retort
