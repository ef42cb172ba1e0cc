#include "retort/study/discordance.h"

#include <algorithm>
#include <set>
#include <utility>

#include "retort/common/error.h"
#include "retort/common/progress.h"
#include "retort/dataset/pair_batch.h"
#include "retort/kernel/dense.h"
#include "retort/log/days.h"
#include "retort/metric/nktd.h"

namespace retort {
namespace {

/// (user, time) of everything shown, or of the clicks of a log that tells no more, by time.
std::vector<std::pair<int64_t, int32_t>> moments_of(const Dataset& dataset, Split split) {
  std::vector<std::pair<int64_t, int32_t>> moments;
  const Impressions& shown = dataset.impressions();
  for (int64_t row = 0; row < shown.size(); ++row)
    if (shown.split[row] == static_cast<uint8_t>(split))
      moments.emplace_back(shown.time[row], shown.user[row]);
  if (moments.empty())
    for (const int64_t click : dataset.rows_of(split))
      moments.emplace_back(dataset.clicks().time[click], dataset.clicks().user[click]);
  std::sort(moments.begin(), moments.end());
  return moments;
}

}  // namespace

void RankerScore::score(const Batch& batch, std::span<float> out) const {
  if (fusion < 0) return ranker->score(batch, "read", out);
  std::vector<float> dwm(out.size());
  ranker->score(batch, "click", out);
  ranker->score(batch, "dwm", dwm);
  for (size_t row = 0; row < out.size(); ++row)
    out[row] = static_cast<float>(fusion * out[row] + (1 - fusion) * dwm[row]);
}

Discordance::Discordance(const Dataset& dataset, const CatalogueOptions& options, int64_t limit)
    : dataset_(dataset), options_(options), assembler_(dataset) {
  std::set<std::pair<int32_t, int64_t>> seen;
  std::vector<JudgedEvent> all;
  for (const auto& [time, user] : moments_of(dataset, options.split))
    if (seen.emplace(user, time / kDay).second)
      all.push_back({.click = -1, .user = user, .item = -1, .time = time, .moment = time});
  const auto size = static_cast<int64_t>(all.size());
  const int64_t kept = limit > 0 ? std::min(limit, size) : size;
  for (int64_t at = 0; at < kept; ++at)
    requests_.push_back(all[static_cast<size_t>(at * size / kept)]);
  for (const JudgedEvent& request : requests_) users_.push_back(request.user);
}

Discordance::Values Discordance::measure(const Towers& towers, const RankerScore& ranker,
                                         int32_t n) const {
  Values values;
  CandidateWindow window(dataset_, options_);
  Progress progress("ranking requests", requests(), "requests");
  const auto dim = static_cast<size_t>(towers.dim());
  std::vector<float> user(dim), vectors, retrieval, ranked;
  Batch batch;
  for (const JudgedEvent& request : requests_) {
    check_interrupt("evaluation");
    window.start(std::span(&request, 1));
    std::vector<uint8_t> mask(window.items().size(), 1);
    if (window.masks()) window.mask(request, mask);
    std::vector<int32_t> items;
    for (size_t at = 0; at < mask.size(); ++at)
      if (mask[at] != 0) items.push_back(window.items()[at]);
    const PairGroup group{{request.user, request.time, -1}, items};
    assemble_pairs(assembler_, std::span(&group, 1), batch);
    vectors.resize(items.size() * dim);
    retrieval.resize(items.size());
    ranked.resize(items.size());
    towers.encode_users(batch.users, user);
    towers.encode_items(batch.items, vectors);
    for (size_t at = 0; at < items.size(); ++at)
      retrieval[at] = dot(user.data(), vectors.data() + at * dim, towers.dim());
    ranker.score(batch, ranked);
    values.own.push_back(nktd_at(retrieval, ranked, n, NktdSupport::kOwn));
    values.ranker.push_back(nktd_at(retrieval, ranked, n, NktdSupport::kRanker));
    progress.update(static_cast<int64_t>(values.own.size()));
  }
  return values;
}

}  // namespace retort
