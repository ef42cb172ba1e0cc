#include "retort/server/live_index.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <utility>

#include "retort/common/error.h"
#include "retort/common/log.h"
#include "retort/common/text.h"

namespace retort {
namespace {

constexpr int64_t kAlways = std::numeric_limits<int64_t>::min();
constexpr size_t kRefreshed = 1024;  // items of a refresh whose vectors are computed at once

int64_t created_of(const Bundle& bundle) {
  const Json& manifest = bundle.manifest();
  const auto created = manifest.find("created");
  if (created == manifest.end() || !created->is_string()) return bundle.moment();
  try {
    return parse_moment(created->get<std::string>(), "created");
  } catch (const ConfigError& error) {
    fail<DataError>("{}: {}", bundle.folder().string(), error.what());
  }
}

}  // namespace

/// New blocks out of those of a snapshot; the ones without a change are shared.
class LiveIndex::Editor {
 public:
  Editor(const ItemAttributes& columns, Blocks blocks,
         std::unordered_map<std::string, size_t>& block_of)
      : columns_(columns), blocks_(std::move(blocks)), block_of_(block_of) {}

  void remove(const std::string& id) {
    const auto at = block_of_.find(id);
    if (at == block_of_.end()) return;
    LiveBlock::Rows& rows = edit(at->second);
    std::erase_if(rows, [&](const auto& row) { return row->id == id; });
    block_of_.erase(at);
  }

  void add(const std::shared_ptr<const LiveRow>& row) {
    while (room_ < blocks_.size() && size_of(room_) >= LiveBlock::kRows) ++room_;
    if (room_ == blocks_.size()) blocks_.emplace_back();
    edit(room_).push_back(row);
    block_of_[row->id] = room_;
  }

  void drop_expired(int64_t now) {
    for (size_t i = 0; i < blocks_.size(); ++i) {
      if (blocks_[i] == nullptr || blocks_[i]->first_expiry() > now) continue;
      std::erase_if(edit(i), [&](const auto& row) {
        if (row->expires > now) return false;
        block_of_.erase(row->id);
        return true;
      });
    }
  }

  Blocks finish() {
    for (auto& [at, rows] : edited_)
      blocks_[at] =
          rows.empty() ? nullptr : std::make_shared<const LiveBlock>(columns_, std::move(rows));
    while (!blocks_.empty() && blocks_.back() == nullptr) blocks_.pop_back();
    return std::move(blocks_);
  }

 private:
  size_t size_of(size_t at) const {
    const auto edited = edited_.find(at);
    if (edited != edited_.end()) return edited->second.size();
    return blocks_[at] == nullptr ? 0 : blocks_[at]->rows().size();
  }
  LiveBlock::Rows& edit(size_t at) {
    const auto [edited, added] = edited_.try_emplace(at);
    if (added && blocks_[at] != nullptr) edited->second = blocks_[at]->rows();
    return edited->second;
  }

  const ItemAttributes& columns_;
  Blocks blocks_;
  std::unordered_map<std::string, size_t>& block_of_;
  std::map<size_t, LiveBlock::Rows> edited_;
  size_t room_ = 0;  // the first block that may have room
};

LiveIndex::LiveIndex(const Bundle& bundle, const TowerEncoder& encoder, LiveItems& items)
    : bundle_(bundle), encoder_(encoder), items_(items), created_(created_of(bundle)) {
  items_.attach(*this);
  try {
    refresh();
  } catch (...) {
    items_.detach(*this);
    throw;
  }
}

LiveIndex::~LiveIndex() { items_.detach(*this); }

std::shared_ptr<const LiveIndex::Snapshot> LiveIndex::snapshot() const {
  const std::lock_guard lock(snapshot_mutex_);
  return snapshot_;
}

void LiveIndex::hide(ItemFilter& filter) const {
  const std::shared_ptr<const Hidden> hidden = snapshot()->hidden;
  if (hidden == nullptr) return;
  filter.intersect(hidden->visible);
  const int64_t now = items_.now();
  for (const auto& [moment, item] : hidden->expiring) {
    if (moment > now) break;
    if (filter.bits.empty()) filter = ItemFilter::all(bundle_.items());
    filter.forbid(item);
  }
}

std::vector<LiveIndex::Hit> LiveIndex::search(std::span<const float> query, int32_t k,
                                              const std::string& where,
                                              std::span<const std::string> exclude) const {
  check(std::ssize(query) == bundle_.vector_dim() && k >= 0,
        "live items: a query of {} values and k = {}; vectors have {}", query.size(), k,
        bundle_.vector_dim());
  const std::shared_ptr<const Snapshot> now_held = snapshot();
  const Blocks& blocks = now_held->blocks;
  if (blocks.empty() && !where.empty()) filter_items(where, bundle_.attributes());  // may refuse
  // So many more that, once the excluded ones are left out, k remain.
  const int64_t most = std::ssize(blocks) * static_cast<int64_t>(LiveBlock::kRows);
  TopK best(static_cast<int32_t>(std::min(most, k + std::ssize(exclude))));
  const int64_t now = items_.now();
  for (size_t i = 0; i < blocks.size(); ++i)
    if (blocks[i] != nullptr)
      blocks[i]->offer(query, where, now, static_cast<int32_t>(i * LiveBlock::kRows), best);
  const std::unordered_set<std::string_view> excluded(exclude.begin(), exclude.end());
  std::vector<Hit> hits;
  for (const ScoredItem& found : best.take()) {
    if (std::ssize(hits) == k) break;
    const auto at = static_cast<size_t>(found.item);
    const std::string& id = blocks[at / LiveBlock::kRows]->rows()[at % LiveBlock::kRows]->id;
    if (!excluded.contains(id)) hits.push_back({id, found.score});
  }
  return hits;
}

std::vector<LiveIndex::Own> LiveIndex::find(std::span<const std::string> ids,
                                            const std::string& where) const {
  const std::shared_ptr<const Snapshot> held = snapshot();
  const int64_t now = items_.now();
  if (held->blocks.empty() && !where.empty()) filter_items(where, bundle_.attributes());
  std::vector<const LiveRow*> found(ids.size());
  for (const auto& block : held->blocks) {
    if (block == nullptr) continue;
    std::optional<ItemFilter> matching;
    for (size_t i = 0; i < ids.size(); ++i) {
      const LiveRow* row = found[i] == nullptr ? block->find(ids[i], now) : nullptr;
      if (row == nullptr) continue;
      if (!where.empty() && !matching) matching = block->matching(where);
      if (!matching || matching->allows(block->place_of(row))) found[i] = row;
    }
  }
  std::vector<Own> own;
  for (const LiveRow* row : found)
    if (row != nullptr) own.push_back({row->id, row->vector});
  return own;
}

void LiveIndex::refresh() {
  const std::lock_guard one(refresh_mutex_);
  {
    const std::lock_guard lock(change_mutex_);
    refreshing_ = true;
    touched_.clear();
  }
  const std::vector<LiveRecord> records = items_.all();
  for (size_t begin = 0; begin < records.size(); begin += kRefreshed) {
    const size_t rows = std::min(kRefreshed, records.size() - begin);
    apply(prepare(std::span(records).subspan(begin, rows)), true);
  }
  const std::lock_guard lock(change_mutex_);
  refreshing_ = false;
  touched_.clear();
}

std::optional<RawItem> LiveIndex::read(const LiveRecord& record, int64_t now,
                                       std::string& error) const {
  for (const UnknownNames unknown : {UnknownNames::kRefuse, UnknownNames::kIgnore}) {
    try {
      return raw_item(bundle_, record.id, record.features, now, unknown);
    } catch (const DataError& thrown) {
      if (error.empty()) error = thrown.what();
    }
  }
  return std::nullopt;
}

std::vector<LiveChange> LiveIndex::prepare(std::span<const LiveRecord> records) const {
  const int64_t now = items_.now();
  std::vector<LiveChange> changes;
  std::vector<RawItem> raw;
  std::vector<size_t> place;
  for (size_t i = 0; i < records.size(); ++i) {
    LiveChange& change = changes.emplace_back(LiveChange::of(records[i]));
    if (records[i].gone(now)) continue;
    if (auto item = read(records[i], now, change.error)) {
      raw.push_back(std::move(*item));
      place.push_back(i);
    }
  }
  std::vector<const RawItem*> readable;
  for (const RawItem& item : raw) readable.push_back(&item);
  const std::vector<float> vectors = encode_items(bundle_, encoder_, readable);
  const auto dim = static_cast<size_t>(bundle_.vector_dim());
  for (size_t at = 0; at < place.size(); ++at) {
    const auto vector = std::span(vectors).subspan(at * dim, dim);
    LiveChange& change = changes[place[at]];
    if (std::all_of(vector.begin(), vector.end(), [](float x) { return std::isfinite(x); }))
      change.row =
          std::make_shared<const LiveRow>(LiveRow{.id = change.id,
                                                  .expires = change.expires,
                                                  .vector = {vector.begin(), vector.end()},
                                                  .attributes = std::move(raw[at].attributes)});
    else
      change.error = "features: too large, its vector is not finite";
  }
  return changes;
}

void LiveIndex::apply(std::span<const LiveChange> changes, bool refreshing) {
  const int64_t now = items_.now();
  const std::lock_guard lock(change_mutex_);
  Editor editor(bundle_.attributes(), snapshot()->blocks, block_of_);
  editor.drop_expired(now);
  for (const LiveChange& change : changes) {
    if (refreshing && touched_.contains(change.id)) continue;
    if (!refreshing && refreshing_) touched_.insert(change.id);
    const bool gone = change.deleted || change.expires <= now;
    const auto item = bundle_.find_item(change.id);
    const bool live = !gone && change.row != nullptr && (!item || created_ < change.updated);
    editor.remove(change.id);
    if (live) editor.add(change.row);
    if (!gone && change.row == nullptr) {
      if (rejected_.insert(change.id).second)
        log_warning("live", "{}: item '{}' is not found there: {}", bundle_.folder().string(),
                    change.id, change.error);
    } else {
      rejected_.erase(change.id);
    }
    change_hidden(change, live);
  }
  auto next = std::make_shared<Snapshot>();
  next->blocks = editor.finish();
  next->hidden = hidden_changed_ ? make_hidden() : snapshot()->hidden;
  next->rejected = std::ssize(rejected_);
  hidden_changed_ = false;
  const std::lock_guard replace(snapshot_mutex_);
  snapshot_ = std::move(next);
}

/// From when on the bundle's own row of the item is left out.
void LiveIndex::change_hidden(const LiveChange& change, bool live) {
  const auto item = bundle_.find_item(change.id);
  if (!item) return;
  const int64_t from = live || change.deleted ? kAlways : change.expires;
  const auto known = hidden_from_.find(*item);
  if (known == hidden_from_.end() ? from == kNever : known->second == from) return;
  hidden_changed_ = true;
  if (from == kNever)
    hidden_from_.erase(known);
  else
    hidden_from_[*item] = from;
}

std::shared_ptr<const LiveIndex::Hidden> LiveIndex::make_hidden() const {
  auto hidden = std::make_shared<Hidden>();
  hidden->count = std::ssize(hidden_from_);
  for (const auto& [item, from] : hidden_from_) {
    if (from != kAlways) {
      hidden->expiring.emplace_back(from, item);
      continue;
    }
    if (hidden->visible.bits.empty()) hidden->visible = ItemFilter::all(bundle_.items());
    hidden->visible.forbid(item);
  }
  std::sort(hidden->expiring.begin(), hidden->expiring.end());
  return hidden;
}

LiveCounts LiveIndex::counts() const {
  const std::shared_ptr<const Snapshot> held = snapshot();
  LiveCounts counts;
  for (const auto& block : held->blocks)
    if (block != nullptr) counts.items += std::ssize(block->rows());
  if (held->hidden != nullptr) counts.hidden = held->hidden->count;
  counts.rejected = held->rejected;
  return counts;
}

}  // namespace retort
