#include "retort/dataset/loader.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "retort/common/error.h"
#include "retort/dataset/request_order.h"

namespace retort {
namespace {

constexpr int kRedraws = 8;
constexpr float kUnknown = std::numeric_limits<float>::quiet_NaN();

LoaderOptions checked(const LoaderOptions& options) {
  if (options.rows != "clicks" && options.rows != "impressions")
    fail<ConfigError>("train.rows: '{}' is none of: clicks, impressions", options.rows);
  if (options.negatives < 0)
    fail<ConfigError>("negatives.per_click: {} is negative", options.negatives);
  if (options.rows == "clicks" && options.batch < 1 + options.negatives)
    fail<ConfigError>("train.batch: {} rows cannot hold a click and its {} negatives",
                      options.batch, options.negatives);
  if (options.limit < 0) fail<ConfigError>("limit: {} is negative", options.limit);
  check(options.part >= 0 && options.part < options.parts, "Loader: part {} of {}", options.part,
        options.parts);
  return options;
}

/// Shown articles that were not clicked keep no columns of the event: where they are rows, such a
/// feature would give the click away.
void check_no_context(const Schema& schema) {
  for (const FeatureSpec& spec : schema.features)
    if (spec.source == FeatureSource::kContext)
      fail<ConfigError>(
          "train.rows: \"impressions\" do not go with the feature '{}', a column of the event; "
          "ingest without it or write rows = \"clicks\"",
          spec.name);
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
    if (options.rows == "impressions") {
      check_no_context(data.schema());
      requests =
          std::make_unique<RequestOrder>(data, options.split, options.limit, options.batch,
                                         RequestOrder::Moments{options.since, options.until});
      return;
    }
    if (!options.all_time()) {
      const std::span<const int64_t> times = data.clicks().time;
      for (const int64_t row : rows)
        if (const int64_t time = times[static_cast<size_t>(row)];
            time >= options.since && time < options.until)
          rows_in_time.push_back(row);
      rows = rows_in_time;
    }
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
    batch.known.push_back(1);
    batch.source.push_back(-1);
    for (std::vector<float>& label : batch.labels) label.push_back(kUnknown);
  }

  static void set_labels(Batch& batch, const std::vector<std::span<const uint8_t>>& labels,
                         size_t at) {
    for (size_t i = 0; i < labels.size(); ++i)
      if (labels[i][at] != kUnknownLabel) batch.labels[i].back() = labels[i][at];
  }

  static void set_seconds(Batch& batch, float seconds) {
    batch.seconds.back() = std::isnan(seconds) ? 0.0F : seconds;
    batch.known.back() = std::isnan(seconds) ? 0.0F : 1.0F;
  }

  void add_group(Batch& batch, int64_t click, int64_t group_row, const Rng& rng) const {
    const Clicks& clicks = dataset.clicks();
    const auto at = static_cast<size_t>(click);
    const int32_t user = clicks.user[at];
    const int64_t time = clicks.time[at];
    add_row(batch, user, clicks.item[at], time, group_row);
    batch.source.back() = click;
    batch.click.back() = 1;
    batch.read.back() = clicks.read[at] != 0 ? 1.0F : 0.0F;
    set_seconds(batch, clicks.seconds[at]);
    set_labels(batch, clicks.labels, at);
    const Rng of_click = rng.fork(static_cast<uint64_t>(click));
    for (int32_t which = 0; which < options.negatives; ++which)
      add_row(batch, user, negative(of_click, user, time, which), time, group_row);
  }

  void add_shown(Batch& batch, int64_t position, int64_t group_row) const;
  void load_clicks(int64_t epoch, int64_t index, Batch& batch) const;
  void load_requests(int64_t epoch, int64_t index, Batch& batch) const;

  /// The user rows of a batch, the positions that id dropout draws by, and what is made of both.
  struct Moments {
    std::vector<UserMoment> groups, pair_users;
    std::vector<ItemMoment> items;
    std::vector<uint64_t> group_positions, item_positions;
  };
  void assemble(Moments& moments, int64_t epoch, Batch& batch) const;

  /// Cleared ones of this thread, whose memory serves batch after batch.
  static Moments& fresh_moments() {
    thread_local Moments moments;
    moments.groups.clear();
    moments.pair_users.clear();
    moments.items.clear();
    moments.group_positions.clear();
    moments.item_positions.clear();
    return moments;
  }
  std::optional<Permutation> shuffle(int64_t epoch) const {
    if (!options.training) return std::nullopt;
    const int64_t size = requests ? requests->requests() : count;
    return Permutation(static_cast<uint64_t>(size), order.fork(static_cast<uint64_t>(epoch)));
  }

  const Dataset& dataset;
  LoaderOptions options;
  Assembler assembler;
  std::span<const int64_t> rows;      // positions in Clicks of the split's positives
  std::vector<int64_t> rows_in_time;  // where not all moments count
  Rng negatives, order, dropout;
  std::unique_ptr<NegativeSampler> sampler;
  std::unique_ptr<TrainedItems> trained;
  std::unique_ptr<RequestOrder> requests;  // rows of impressions
  int64_t count = 0;                       // positives an epoch
  int64_t group = 0;                       // rows of a positive and its negatives
  int64_t per_batch = 0;                   // positives a batch
};

void Loader::State::assemble(Moments& moments, int64_t epoch, Batch& batch) const {
  for (size_t r = 0; r < batch.item.size(); ++r) {
    moments.items.push_back({batch.item[r], batch.time[r]});
    moments.pair_users.push_back(moments.groups[static_cast<size_t>(batch.user_of_row[r])]);
  }
  std::optional<Assembler::Dropout> of_users, of_items;
  if (options.training && options.dropout) {
    const Rng rng = dropout.fork(static_cast<uint64_t>(epoch));
    of_users = Assembler::Dropout{rng, moments.group_positions};
    of_items = Assembler::Dropout{rng, moments.item_positions};
  }
  assembler.users(moments.groups, batch.users, of_users);
  assembler.items(moments.items, batch.items, of_items);
  assembler.pairs(moments.pair_users, moments.items, batch.pairs);
}

void Loader::State::load_clicks(int64_t epoch, int64_t index, Batch& batch) const {
  const auto permutation = shuffle(epoch);
  const Rng rng = options.negatives_epoch
                      ? negatives.fork(static_cast<uint64_t>(*options.negatives_epoch))
                  : options.training ? negatives.fork(static_cast<uint64_t>(epoch))
                                     : negatives;
  Moments& moments = fresh_moments();
  const int64_t begin = index * per_batch;
  const int64_t positives = std::min(count - begin, per_batch);
  const int64_t end = begin + positives * (options.part + 1) / options.parts;
  for (int64_t place = begin + positives * options.part / options.parts; place < end; ++place) {
    const int64_t click = click_at(permutation ? &*permutation : nullptr, place);
    add_group(batch, click, std::ssize(moments.groups), rng);
    const auto at = static_cast<size_t>(click);
    moments.groups.push_back({dataset.clicks().user[at], dataset.clicks().time[at], click});
    moments.group_positions.push_back(static_cast<uint64_t>(click));
    for (int64_t which = 0; which < group; ++which)
      moments.item_positions.push_back(static_cast<uint64_t>(click * group + which));
  }
  assemble(moments, epoch, batch);
}

void Loader::State::add_shown(Batch& batch, int64_t position, int64_t group_row) const {
  const Impressions& shown = dataset.impressions();
  const auto at = static_cast<size_t>(position);
  add_row(batch, shown.user[at], shown.item[at], shown.time[at], group_row);
  batch.source.back() = position;
  set_labels(batch, shown.labels, at);
  if (shown.clicked[at] != 0) {
    batch.click.back() = 1;
    batch.read.back() = dataset.clicks().read[static_cast<size_t>(shown.click[at])] != 0 ? 1 : 0;
  }
  if (shown.clicked[at] != 0 || shown.unclicked_seconds) set_seconds(batch, shown.seconds[at]);
  if (shown.snapshot.empty()) return;
  batch.logged.click.push_back(shown.score_click[at]);
  batch.logged.dwm.push_back(shown.score_dwm[at]);
  batch.logged.snapshot.push_back(shown.snapshot[at]);
}

void Loader::State::load_requests(int64_t epoch, int64_t index, Batch& batch) const {
  const Impressions& shown = dataset.impressions();
  const auto permutation = shuffle(epoch);
  const RequestOrder::Packed packed = requests->packed(epoch, index, permutation);
  Moments& moments = fresh_moments();
  const int64_t count_here = packed.end - packed.begin;
  const int64_t end = packed.begin + count_here * (options.part + 1) / options.parts;
  for (int64_t place = packed.begin + count_here * options.part / options.parts; place < end;
       ++place) {
    const RequestOrder::Request& request = requests->at(place, permutation);
    const auto first = static_cast<size_t>(request.begin);
    for (int64_t at = request.begin; at < request.begin + request.size; ++at) {
      if (shown.split[static_cast<size_t>(at)] != static_cast<uint8_t>(options.split)) continue;
      add_shown(batch, at, std::ssize(moments.groups));
      moments.item_positions.push_back(static_cast<uint64_t>(at));
    }
    moments.groups.push_back({shown.user[first], shown.time[first]});
    moments.group_positions.push_back(static_cast<uint64_t>(request.begin));
  }
  assemble(moments, epoch, batch);
}

int64_t before_end_of(const Dataset& dataset, Split split, int64_t lag, const std::string& where) {
  const std::span<const int64_t> rows = dataset.rows_of(split);
  if (!dataset.has_time() || rows.empty())
    fail<ConfigError>("{}: {} has no {}", where, dataset.folder().string(),
                      rows.empty() ? fmt::format("click in the split '{}'", name_of(split))
                                   : "moments of its clicks (the log has no time)");
  int64_t last = std::numeric_limits<int64_t>::min();
  for (const int64_t row : rows)
    last = std::max(last, dataset.clicks().time[static_cast<size_t>(row)]);
  return last + 1 - lag;
}

Loader::Loader(const Dataset& dataset, const LoaderOptions& options)
    : state_(std::make_unique<State>(dataset, options)) {}

Loader::~Loader() = default;

int64_t Loader::positives() const {
  return state_->requests ? state_->requests->clicks() : state_->count;
}

int64_t Loader::rows() const {
  return state_->requests ? state_->requests->rows() : state_->count * state_->group;
}

int64_t Loader::batches() const {
  if (state_->requests) return state_->requests->batches();
  return (state_->count + state_->per_batch - 1) / state_->per_batch;
}

int64_t Loader::rows_of(int64_t epoch, int64_t index) const {
  if (state_->requests) return state_->requests->packed(epoch, index, state_->shuffle(epoch)).rows;
  const int64_t begin = index * state_->per_batch;
  return std::min(state_->count - begin, state_->per_batch) * state_->group;
}

void Loader::load(int64_t epoch, int64_t index, Batch& batch) const {
  check(index >= 0 && index < batches() && epoch >= 0, "Loader: batch {} of {}, epoch {}", index,
        batches(), epoch);
  batch.user_of_row.clear();
  batch.user.clear();
  batch.item.clear();
  batch.time.clear();
  batch.click.clear();
  batch.read.clear();
  batch.seconds.clear();
  batch.known.clear();
  batch.source.clear();
  batch.labels.assign(state_->dataset.labels().size(), {});
  batch.logged.click.clear();
  batch.logged.dwm.clear();
  batch.logged.snapshot.clear();
  if (state_->requests)
    state_->load_requests(epoch, index, batch);
  else
    state_->load_clicks(epoch, index, batch);
}

}  // namespace retort
