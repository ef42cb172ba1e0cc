#include "retort/trainer/score_source.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "retort/common/error.h"
#include "retort/dataset/pair_batch.h"

namespace retort {
namespace {

constexpr const char* kPrefix = "scored_";
constexpr int64_t kRankedAtOnce = 16384;  // of a ranker

torch::Tensor to_floats(const std::vector<float>& values, torch::Device device) {
  return torch::tensor(values, torch::kFloat32).to(device);
}
torch::Tensor to_integers(const std::vector<int64_t>& values, torch::Device device) {
  return torch::tensor(values, torch::kInt64).to(device);
}

/// The score that orders lists where the recipe does not say.
std::map<std::string, double> usual_order(const ScoreStore& store) {
  const std::vector<std::string>& names = store.names();
  if (std::find(names.begin(), names.end(), "read") != names.end()) return {{"read", 1.0}};
  if (names.size() == 1) return {{names.front(), 1.0}};
  fail<ConfigError>("recipe key 'scores.lists.order': which of {} orders the lists?",
                    fmt::join(names, ", "));
}

bool wants_rest(const TrainRecipe& recipe) {
  return std::any_of(recipe.terms.begin(), recipe.terms.end(), [](const TermOptions& term) {
    return term.loss == "relaxed_ranking" ||
           (term.loss == "ranking_distillation" && term.options.value("mu", 0.0) > 0);
  });
}

}  // namespace

/// Pairs of user rows and rows' items, and their scores.
struct ScoreSource::Pairs {
  std::vector<int64_t> group_row;            // [G]
  std::vector<int64_t> group, row;           // [P]
  std::vector<std::vector<float>> logits{};  // [names][P]
};

ScoreSource::ScoreSource(const TrainRecipe& recipe, const Dataset& dataset, RankingModel* ranker,
                         torch::Device device)
    : dataset_(dataset),
      options_(recipe.scores),
      ranker_(ranker),
      device_(device),
      rows_(false),
      pairs_(recipe.needs().pairs),
      assembler_(dataset) {
  for (const TermOptions& term : recipe.terms)
    for (const std::string& target : term.targets())
      rows_ |= target.starts_with(kPrefix) && !loss_entry(term.loss).needs.pairs;
  if (options_.snapshot) {
    names_ = ranker_->outputs();
  } else {
    store_.emplace(dataset, options_.file);
    names_ = store_->names();
  }
  if (options_.rescore)
    for (const std::string& name : names_) {
      const std::vector<std::string> known = ranker_->outputs();
      if (std::find(known.begin(), known.end(), name) == known.end())
        fail<ConfigError>(
            "recipe key 'scores.missing': 'rescore' wants '{}' of the run {}, whose ranking model "
            "gives {}; leave that column out by scores.logits",
            name, recipe.mentor, fmt::join(known, ", "));
    }
  for (const std::string& name : names_) logits_.push_back(kPrefix + name);
  if (recipe.needs().lists) {
    store_->make_lists(options_.lists.order.empty() ? usual_order(*store_) : options_.lists.order);
    lists_.emplace(dataset, *store_, options_.lists, wants_rest(recipe), device);
  }
  if (rows_) coverage_names_.emplace_back("rows");
  if (lists_) coverage_names_.emplace_back("lists");
  if (pairs_) coverage_names_.emplace_back("pairs");
}

void ScoreSource::add_rows(const Batch& batch, LossInputs& inputs) const {
  if (!store_) {
    for (const std::string& name : names_)
      inputs.logits[kPrefix + name] = inputs.logits.at("mentor_" + name);
    return;
  }
  std::vector<int64_t> places, snapshots;
  for (size_t row = 0; row < batch.item.size(); ++row) {
    places.push_back(store_->find(batch.user[row], batch.item[row], batch.time[row]));
    snapshots.push_back(places.back() < 0 ? -1 : store_->snapshot(places.back()));
  }
  inputs.scored.known_rows =
      std::count_if(places.begin(), places.end(), [](int64_t at) { return at >= 0; });
  inputs.scored.snapshot = to_integers(snapshots, device_);
  for (size_t name = 0; name < names_.size(); ++name) {
    std::vector<float> values;
    for (const int64_t at : places)
      values.push_back(at < 0 ? std::nanf("") : store_->logit(name, at));
    torch::Tensor& scores = inputs.logits[logits_[name]] = to_floats(values, device_);
    if (options_.rescore)
      scores = torch::where(scores.isnan(), inputs.logits.at("mentor_" + names_[name]), scores);
  }
}

void ScoreSource::add_beyond_rows(const Batch& batch, const torch::Tensor& row_items,
                                  const Rng& draws,
                                  const std::function<torch::Tensor(const SideTensors&)>& encode,
                                  LossInputs& inputs) const {
  if (lists_) {
    const SideTensors items = lists_->fill(batch, draws, inputs.scored);
    inputs.scored.list_items = encode(items);
  }
  if (!pairs_) return;
  inputs.scored.row_items = row_items;
  add_pairs(batch, inputs);
}

/// What the file has of every user row and every row's item.
ScoreSource::Pairs ScoreSource::stored_pairs(const Batch& batch) const {
  Pairs pairs;
  pairs.logits.resize(names_.size());
  std::unordered_multimap<int32_t, int64_t> rows_of;
  for (size_t row = 0; row < batch.item.size(); ++row) {
    rows_of.emplace(batch.item[row], static_cast<int64_t>(row));
    if (row == 0 || batch.user_of_row[row] != batch.user_of_row[row - 1])
      pairs.group_row.push_back(static_cast<int64_t>(row));
  }
  for (size_t group = 0; store_ && group < pairs.group_row.size(); ++group) {
    const auto row = static_cast<size_t>(pairs.group_row[group]);
    store_->each_of(batch.user[row], batch.time[row], [&](int32_t item, int64_t at) {
      const auto [begin, end] = rows_of.equal_range(item);
      for (auto found = begin; found != end; ++found) {
        pairs.group.push_back(static_cast<int64_t>(group));
        pairs.row.push_back(found->second);
        for (size_t name = 0; name < names_.size(); ++name)
          pairs.logits[name].push_back(store_->logit(name, at));
      }
    });
  }
  return pairs;
}

void ScoreSource::add_pairs(const Batch& batch, LossInputs& inputs) const {
  Pairs pairs = stored_pairs(batch);
  inputs.scored.known_pairs = std::ssize(pairs.row);
  if (options_.snapshot || options_.rescore) rescore_pairs(batch, pairs);
  inputs.scored.group_row = to_integers(pairs.group_row, device_);
  inputs.scored.pair_group = to_integers(pairs.group, device_);
  inputs.scored.pair_row = to_integers(pairs.row, device_);
  for (size_t name = 0; name < names_.size(); ++name)
    inputs.scored.pair_logits[logits_[name]] = to_floats(pairs.logits[name], device_);
}

/// All pairs, those of the file kept.
void ScoreSource::rescore_pairs(const Batch& batch, Pairs& pairs) const {
  const torch::NoGradGuard frozen;
  const auto groups = pairs.group_row.size(), rows = batch.item.size();
  std::vector<int32_t> items(batch.item);
  std::sort(items.begin(), items.end());
  items.erase(std::unique(items.begin(), items.end()), items.end());
  std::vector<size_t> column(rows);
  for (size_t row = 0; row < rows; ++row)
    column[row] = static_cast<size_t>(
        std::lower_bound(items.begin(), items.end(), batch.item[row]) - items.begin());
  std::vector<std::vector<float>> all(names_.size(), std::vector<float>(groups * rows));
  const auto at_once = std::max<size_t>(1, kRankedAtOnce / items.size());
  Batch part;
  for (size_t begin = 0; begin < groups; begin += at_once) {
    std::vector<PairGroup> block;
    for (size_t group = begin; group < std::min(groups, begin + at_once); ++group) {
      const auto row = static_cast<size_t>(pairs.group_row[group]);
      block.push_back({{batch.user[row], batch.time[row], -1}, items});
    }
    assemble_pairs(assembler_, block, part);
    const TaskLogits scores =
        ranker_->score(to_tensors(part, dense_widths(dataset_.schema()), device_));
    for (size_t name = 0; name < names_.size(); ++name) {
      const torch::Tensor values = scores.at(names_[name]).to(torch::kCPU).contiguous();
      const auto* from = values.data_ptr<float>();
      for (size_t group = 0; group < block.size(); ++group)
        for (size_t row = 0; row < rows; ++row)
          all[name][(begin + group) * rows + row] = from[group * items.size() + column[row]];
    }
  }
  for (size_t name = 0; name < names_.size(); ++name)
    for (size_t at = 0; at < pairs.row.size(); ++at)
      if (const float known = pairs.logits[name][at]; !std::isnan(known))
        all[name][static_cast<size_t>(pairs.group[at]) * rows +
                  static_cast<size_t>(pairs.row[at])] = known;
  pairs.logits = std::move(all);
  pairs.group.clear();
  pairs.row.clear();
  for (size_t at = 0; at < groups * rows; ++at) {
    pairs.group.push_back(static_cast<int64_t>(at / rows));
    pairs.row.push_back(static_cast<int64_t>(at % rows));
  }
}

std::vector<double> ScoreSource::coverage(const Batch& batch, const LossInputs& inputs) const {
  std::vector<double> shares;
  const auto rows = static_cast<double>(batch.rows());
  if (rows_ && !store_) shares.push_back(1);
  if (rows_ && store_) shares.push_back(inputs.scored.known_rows / rows);
  const auto groups = static_cast<double>(batch.users.rows);
  if (lists_) shares.push_back(static_cast<double>(inputs.scored.list_row.size(0)) / groups);
  if (pairs_) {
    const auto known = static_cast<double>(inputs.scored.known_pairs);
    shares.push_back(store_ ? known / (groups * rows) : 1);
  }
  return shares;
}

std::string ScoreSource::describe(const LoaderOptions& rows) const {
  if (!store_) return "";
  const auto in_time = [&](int64_t time) { return time >= rows.since && time < rows.until; };
  int64_t positives = 0, found = 0, listed = 0;
  const auto count = [&](int32_t user, int32_t item, int64_t time) {
    if (!in_time(time)) return;
    ++positives;
    found += store_->find(user, item, time) >= 0 ? 1 : 0;
    bool any = false;
    if (lists_)
      any = !store_->list(user).item.empty();
    else
      store_->each_of(user, time, [&](int32_t, int64_t) { any = true; });
    listed += any ? 1 : 0;
  };
  if (rows.rows == "impressions") {
    const Impressions& shown = dataset_.impressions();
    for (size_t row = 0; row < shown.item.size(); ++row)
      if (shown.split[row] == static_cast<uint8_t>(rows.split))
        count(shown.user[row], shown.item[row], shown.time[row]);
  } else {
    const Clicks& clicks = dataset_.clicks();
    for (const int64_t row : dataset_.rows_of(rows.split)) {
      const auto at = static_cast<size_t>(row);
      count(clicks.user[at], clicks.item[at], clicks.time[at]);
    }
  }
  const double all = static_cast<double>(std::max<int64_t>(positives, 1));
  const std::string known = store_->describe();
  if ((rows_ && found == 0) || (!rows_ && listed == 0))
    fail<DataError>(
        "{}: it covers none of the {} {} of training: {}, matched by {}{}; score rows of this "
        "split, or write scores.match = \"pair\" (one score a pair, whatever its moment)",
        options_.file.file, positives, rows.rows, known, store_->match(),
        options_.file.lag > 0 ? " with a lag" : "");
  std::string text = known + fmt::format(", matched by {}", store_->match());
  if (rows_)
    text += fmt::format("; {:.1f}% of the {} have one", 100 * static_cast<double>(found) / all,
                        rows.rows);
  if (lists_ || pairs_)
    text += fmt::format("; {:.1f}% of the {} are of users with {}",
                        100 * static_cast<double>(listed) / all, rows.rows,
                        lists_ ? "a list" : "scores");
  return text;
}

}  // namespace retort
