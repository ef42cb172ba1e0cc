#include "retort/dataset/loader.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "retort/common/error.h"

namespace retort {
namespace {

constexpr int kRedraws = 8;

LoaderOptions checked(const LoaderOptions& options) {
  if (options.negatives < 0)
    fail<ConfigError>("negatives.per_click: {} is negative", options.negatives);
  if (options.batch < 1 + options.negatives)
    fail<ConfigError>("train.batch: {} rows cannot hold a click and its {} negatives",
                      options.batch, options.negatives);
  if (options.limit < 0) fail<ConfigError>("limit: {} is negative", options.limit);
  check(options.part >= 0 && options.part < options.parts, "Loader: part {} of {}", options.part,
        options.parts);
  return options;
}

/// The items each user clicked in the training split, sorted, as compressed rows.
class TrainedItems {
 public:
  explicit TrainedItems(const Dataset& dataset) {
    const Clicks& clicks = dataset.clicks();
    begin_.push_back(0);
    for (int64_t user = 0; user < dataset.users(); ++user) {
      for (int64_t at = clicks.user_begin[static_cast<size_t>(user)];
           at < clicks.user_begin[static_cast<size_t>(user) + 1]; ++at)
        if (clicks.split[static_cast<size_t>(at)] == static_cast<uint8_t>(Split::kTrain))
          items_.push_back(clicks.item[static_cast<size_t>(at)]);
      std::sort(items_.begin() + begin_.back(), items_.end());
      begin_.push_back(static_cast<int64_t>(items_.size()));
    }
  }
  bool contains(int32_t user, int32_t item) const {
    return std::binary_search(items_.begin() + begin_[static_cast<size_t>(user)],
                              items_.begin() + begin_[static_cast<size_t>(user) + 1], item);
  }

 private:
  std::vector<int64_t> begin_;
  std::vector<int32_t> items_;
};

}  // namespace

struct Loader::State {
  State(const Dataset& data, const LoaderOptions& wanted)
      : dataset(data),
        options(checked(wanted)),
        assembler(data),
        rows(data.rows_of(options.split)),
        negatives(options.seed, "negatives"),
        order(options.seed, "order"),
        dropout(options.seed, "oov_dropout") {
    if (options.negatives > 0) sampler = make_sampler(options.sampler, data, options.sampling);
    if (options.reject_clicked) trained = std::make_unique<TrainedItems>(data);
    const auto all = static_cast<int64_t>(rows.size());
    count = options.limit > 0 ? std::min(options.limit, all) : all;
    group = 1 + options.negatives;
    per_batch = options.batch / group;
  }

  /// Position in Clicks of the positive at a place of the epoch's order.
  int64_t click_at(const Permutation* permutation, int64_t place) const {
    if (permutation != nullptr)
      place = static_cast<int64_t>((*permutation)(static_cast<uint64_t>(place)));
    const auto all = static_cast<int64_t>(rows.size());
    if (count == all) return rows[static_cast<size_t>(place)];
    __extension__ using int128 = __int128;
    return rows[static_cast<size_t>(static_cast<int128>(place) * all / count)];
  }

  /// The `which`-th negative of a click: a function of the generator, the click and `which`, so
  /// that neither batch size nor order nor the number of negatives changes it.
  int32_t negative(const Rng& rng, int32_t user, int64_t time, int32_t which) const {
    const uint64_t first = static_cast<uint64_t>(which) * (kRedraws + 1);
    int32_t item = sampler->draw(rng, first, time);
    for (uint64_t again = 1; again <= kRedraws && trained && trained->contains(user, item); ++again)
      item = sampler->draw(rng, first + again, time);
    return item;
  }

  void add_row(Batch& batch, int32_t user, int32_t item, int64_t time, int64_t group_row) const {
    batch.user_of_row.push_back(static_cast<int32_t>(group_row));
    batch.user.push_back(user);
    batch.item.push_back(item);
    batch.time.push_back(time);
    batch.click.push_back(0);
    batch.read.push_back(0);
    batch.seconds.push_back(0);
  }

  void add_group(Batch& batch, int64_t click, int64_t group_row, const Rng& rng) const {
    const Clicks& clicks = dataset.clicks();
    const auto at = static_cast<size_t>(click);
    const int32_t user = clicks.user[at];
    const int64_t time = clicks.time[at];
    add_row(batch, user, clicks.item[at], time, group_row);
    batch.click.back() = 1;
    batch.read.back() = clicks.read[at] != 0 ? 1.0F : 0.0F;
    batch.seconds.back() = std::isnan(clicks.seconds[at]) ? 0.0F : clicks.seconds[at];
    const Rng of_click = rng.fork(static_cast<uint64_t>(click));
    for (int32_t which = 0; which < options.negatives; ++which)
      add_row(batch, user, negative(of_click, user, time, which), time, group_row);
  }

  void assemble(const std::vector<int64_t>& chosen, int64_t epoch, Batch& batch) const;

  const Dataset& dataset;
  LoaderOptions options;
  Assembler assembler;
  std::span<const int64_t> rows;  // positions in Clicks of the split's positives
  Rng negatives, order, dropout;
  std::unique_ptr<NegativeSampler> sampler;
  std::unique_ptr<TrainedItems> trained;
  int64_t count = 0;      // positives an epoch
  int64_t group = 0;      // rows of a positive and its negatives
  int64_t per_batch = 0;  // positives a batch
};

void Loader::State::assemble(const std::vector<int64_t>& chosen, int64_t epoch,
                             Batch& batch) const {
  std::vector<UserMoment> groups, pair_users;
  std::vector<ItemMoment> items;
  std::vector<uint64_t> group_positions, item_positions;
  for (size_t g = 0; g < chosen.size(); ++g) {
    const auto at = static_cast<size_t>(chosen[g]);
    groups.push_back({dataset.clicks().user[at], dataset.clicks().time[at], chosen[g]});
    group_positions.push_back(static_cast<uint64_t>(chosen[g]));
    for (int64_t which = 0; which < group; ++which)
      item_positions.push_back(static_cast<uint64_t>(chosen[g] * group + which));
  }
  for (size_t r = 0; r < batch.item.size(); ++r) {
    items.push_back({batch.item[r], batch.time[r]});
    pair_users.push_back(groups[static_cast<size_t>(batch.user_of_row[r])]);
  }
  std::optional<Assembler::Dropout> of_users, of_items;
  if (options.training) {
    const Rng rng = dropout.fork(static_cast<uint64_t>(epoch));
    of_users = Assembler::Dropout{rng, group_positions};
    of_items = Assembler::Dropout{rng, item_positions};
  }
  assembler.users(groups, batch.users, of_users);
  assembler.items(items, batch.items, of_items);
  assembler.pairs(pair_users, items, batch.pairs);
}

Loader::Loader(const Dataset& dataset, const LoaderOptions& options)
    : state_(std::make_unique<State>(dataset, options)) {}

Loader::~Loader() = default;

int64_t Loader::positives() const { return state_->count; }
int64_t Loader::rows() const { return state_->count * state_->group; }
int64_t Loader::batches() const {
  return (state_->count + state_->per_batch - 1) / state_->per_batch;
}

int64_t Loader::rows_of(int64_t index) const {
  const int64_t begin = index * state_->per_batch;
  return std::min(state_->count - begin, state_->per_batch) * state_->group;
}

void Loader::load(int64_t epoch, int64_t index, Batch& batch) const {
  const State& state = *state_;
  check(index >= 0 && index < batches() && epoch >= 0, "Loader: batch {} of {}, epoch {}", index,
        batches(), epoch);
  const auto of_epoch = static_cast<uint64_t>(epoch);
  std::optional<Permutation> permutation;
  if (state.options.training)
    permutation.emplace(static_cast<uint64_t>(state.count), state.order.fork(of_epoch));
  const Rng rng = state.options.training ? state.negatives.fork(of_epoch) : state.negatives;

  batch.user_of_row.clear();
  batch.user.clear();
  batch.item.clear();
  batch.time.clear();
  batch.click.clear();
  batch.read.clear();
  batch.seconds.clear();
  std::vector<int64_t> chosen;
  const int64_t begin = index * state.per_batch;
  const int64_t positives = std::min(state.count - begin, state.per_batch);
  const int64_t parts = state.options.parts, part = state.options.part;
  const int64_t end = begin + positives * (part + 1) / parts;
  for (int64_t place = begin + positives * part / parts; place < end; ++place) {
    const int64_t click = state.click_at(permutation ? &*permutation : nullptr, place);
    state.add_group(batch, click, static_cast<int64_t>(chosen.size()), rng);
    chosen.push_back(click);
  }
  state.assemble(chosen, epoch, batch);
}

}  // namespace retort
