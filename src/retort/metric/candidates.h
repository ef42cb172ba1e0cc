// Which events of a split are judged, and which items are candidates at each of them: all that the
// dataset's protocol admits, or those of them that are alive. Used by the catalogue's ranks and by
// baselines.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "retort/dataset/dataset.h"
#include "retort/metric/catalogue.h"

namespace retort {

/// One judged event. `moment` is the grid moment its item vectors are computed at.
struct JudgedEvent {
  int64_t click = 0;   // position in Clicks
  int64_t scored = 0;  // the click at whose moment and in whose context it is judged: itself, or
                       // the first judged of its user where the protocol has one list a user
  int64_t slot = 0;    // place in the result
  int32_t user = 0;
  int32_t item = 0;
  int64_t time = 0;  // of `scored`
  int64_t moment = 0;
};

/// Events that `options` select, by time ascending (then by position). With `one_group` all get
/// the same moment. Throws ConfigError for an alive window on a log without time.
std::vector<JudgedEvent> judged_events(const Dataset& dataset, const CatalogueOptions& options,
                                       bool one_group);

/// The candidates of consecutive events that share a moment. Events must come by time ascending.
class CandidateWindow {
 public:
  CandidateWindow(const Dataset& dataset, const CatalogueOptions& options);

  /// Starts a group: `items()` is every item that is a candidate at some event of it.
  void start(std::span<const JudgedEvent> group);
  std::span<const int32_t> items() const { return items_; }  // ascending
  /// Position of an item in items(), -1 if it is not there.
  int32_t position(int32_t item) const { return position_[item]; }
  /// Marks in `mask` [items().size()] which items are candidates of `event`, the next one of the
  /// group; with exclude_seen those the user clicked before are not, nor those with an event of the
  /// protocol's exclude_streams before it (the event's own item excepted).
  void mask(const JudgedEvent& event, std::span<uint8_t> mask);
  /// False if every item of items() is a candidate of every event: no mask is needed.
  bool masks() const { return window_ > 0 || exclude_seen_; }
  /// log_share of items() by clicks: of the training split for the whole catalogue, else of the
  /// alive window before `moment`.
  std::vector<float> log_q(int64_t moment) const;
  /// Items that were a candidate at any event so far.
  int64_t distinct() const;

 private:
  int32_t sighted(int64_t at) const;
  void advance(int64_t time);
  void set_alive(int32_t item);
  void set_items(std::vector<int32_t> items);

  const Dataset& dataset_;
  int64_t window_;
  bool exclude_seen_, by_impressions_;
  std::vector<const Stream*> seen_streams_;
  std::vector<int32_t> items_, position_;
  std::span<const int64_t> times_;         // of what makes items alive, ascending
  std::vector<int32_t> sights_in_window_;  // [items of the dataset]
  std::vector<uint8_t> alive_;             // [items_], alive at the last event
  std::vector<uint8_t> ever_;              // [items of the dataset]
  int64_t first_ = 0, last_ = 0;           // window as positions of times_
};

}  // namespace retort
