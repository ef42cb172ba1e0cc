#include "retort/dataset/request_order.h"

#include <algorithm>

#include "retort/common/error.h"

namespace retort {
namespace {

constexpr size_t kEpochs = 4;  // whose bounds are kept

/// Consecutive impressions of one user, moment and request; those without a number are alone with
/// their moment.
std::vector<RequestOrder::Request> requests_of(const Impressions& shown, Split split,
                                               RequestOrder::Moments moments) {
  std::vector<RequestOrder::Request> requests;
  const auto wanted = static_cast<uint8_t>(split);
  for (int64_t begin = 0; begin < shown.size();) {
    const auto first = static_cast<size_t>(begin);
    RequestOrder::Request request{begin, 0, 0};
    for (auto at = first;
         at < shown.item.size() && shown.request[at] == shown.request[first] &&
         shown.user[at] == shown.user[first] && shown.time[at] == shown.time[first];
         ++at) {
      ++request.size;
      request.rows += shown.split[at] == wanted ? 1 : 0;
    }
    const int64_t time = shown.time[first];
    if (request.rows > 0 && time >= moments.since && time < moments.until)
      requests.push_back(request);
    begin += request.size;
  }
  return requests;
}

}  // namespace

RequestOrder::RequestOrder(const Dataset& dataset, Split split, int64_t limit, int64_t batch,
                           Moments moments) {
  const Impressions& shown = dataset.impressions();
  if (shown.size() == 0)
    fail<ConfigError>(
        "train.rows: {} has no impressions, only clicks; ingest a log with shown articles or write "
        "rows = \"clicks\"",
        dataset.folder().string());
  requests_ = requests_of(shown, split, moments);
  const auto all = static_cast<int64_t>(requests_.size());
  count_ = limit > 0 ? std::min(limit, all) : all;
  for (int64_t place = 0; place < count_ && count_ < all; ++place)
    requests_[static_cast<size_t>(place)] = requests_[static_cast<size_t>(place * all / count_)];
  requests_.resize(static_cast<size_t>(count_));
  int64_t longest = 1;
  for (const Request& request : requests_) {
    rows_ += request.rows;
    longest = std::max<int64_t>(longest, request.rows);
    for (int64_t at = request.begin; at < request.begin + request.size; ++at)
      clicks_ += shown.split[static_cast<size_t>(at)] == static_cast<uint8_t>(split) &&
                         shown.clicked[static_cast<size_t>(at)] != 0
                     ? 1
                     : 0;
  }
  if (batch < 3 * longest)
    fail<ConfigError>("train.batch: {} rows are too few for requests of up to {}; write {} or more",
                      batch, longest, 3 * longest);
  const int64_t width = batch - longest + 1;
  batches_ = (rows_ + width - 1) / width;
}

const RequestOrder::Request& RequestOrder::at(int64_t place,
                                              const std::optional<Permutation>& shuffle) const {
  if (shuffle) place = static_cast<int64_t>((*shuffle)(static_cast<uint64_t>(place)));
  return requests_[static_cast<size_t>(place)];
}

RequestOrder::Packed RequestOrder::packed(int64_t epoch, int64_t index,
                                          const std::optional<Permutation>& shuffle) const {
  const auto of_epoch = bounds(shuffle ? epoch : 0, shuffle);
  const auto at = static_cast<size_t>(index);
  return {of_epoch->place[at], of_epoch->place[at + 1], of_epoch->row[at + 1] - of_epoch->row[at]};
}

std::shared_ptr<const RequestOrder::Bounds> RequestOrder::bounds(
    int64_t epoch, const std::optional<Permutation>& shuffle) const {
  const std::lock_guard lock(mutex_);
  if (const auto known = bounds_.find(epoch); known != bounds_.end()) return known->second;
  // A request belongs to the batch in which its first row falls when the epoch's rows are cut into
  // equal stretches. A stretch is at least as long as a request, so no batch is empty, and with the
  // end of its last request not longer than a batch.
  auto made = std::make_shared<Bounds>();
  int64_t row = 0;
  for (int64_t place = 0; place < count_; ++place) {
    const int64_t batch = row * batches_ / rows_;
    while (std::ssize(made->place) <= batch) {
      made->place.push_back(place);
      made->row.push_back(row);
    }
    row += at(place, shuffle).rows;
  }
  made->place.push_back(count_);
  made->row.push_back(rows_);
  if (bounds_.size() >= kEpochs) bounds_.erase(bounds_.begin());
  bounds_.emplace(epoch, made);
  return made;
}

}  // namespace retort
