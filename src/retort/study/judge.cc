#include "retort/study/judge.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "retort/common/error.h"
#include "retort/common/log.h"
#include "retort/common/progress.h"
#include "retort/common/text.h"
#include "retort/dataset/prefetcher.h"
#include "retort/kernel/dense.h"
#include "retort/metric/auc.h"
#include "retort/metric/calibration.h"
#include "retort/metric/ranking.h"
#include "retort/metric/user_lists.h"
#include "retort/study/baselines.h"
#include "retort/study/breakdown.h"
#include "retort/study/discordance.h"

namespace retort {
namespace {

constexpr int32_t kDeciles = 10, kActivityGroups = 5;

}  // namespace

void EvaluateOptions::validate() const {
  if (limit < 0) fail<ConfigError>("evaluate: limit must be 0 or more, not {}", limit);
  if (bootstrap.resamples < 1) {
    fail<ConfigError>("evaluate: resamples must be above 0, not {}", bootstrap.resamples);
  }
  if (ece_bins < 1) fail<ConfigError>("evaluate: ece_bins must be above 0, not {}", ece_bins);
  if (alive_window && *alive_window < 0) {
    fail<ConfigError>("evaluate: alive must be 0 (all items) or a duration");
  }
  for (const int32_t k : recall_at.value_or(std::vector<int32_t>{})) {
    if (k < 1) fail<ConfigError>("evaluate: recall_at must be above 0, not {}", k);
  }
}

std::string_view name_of(RowRole kind) {
  switch (kind) {
    case RowRole::kModel:
      return "model";
    case RowRole::kTeacher:
      return "teacher";
    case RowRole::kBaseline:
      return "baseline";
    case RowRole::kExtra:
      return "extra";
  }
  return "";
}

const MetricValue* JudgedRow::find(std::string_view metric) const {
  for (const MetricValue& value : metrics) {
    if (value.name == metric) return &value;
  }
  return nullptr;
}

LoaderOptions frozen_rows(const Dataset& dataset, const EvaluateOptions& options) {
  const Protocol& protocol = dataset.protocol();
  LoaderOptions rows;
  rows.split = options.split;
  rows.batch = std::max(options.batch, 1 + protocol.negatives_per_click);
  rows.negatives = protocol.negatives_per_click;
  rows.sampler = protocol.sampler;
  rows.sampling = {protocol.exponent, protocol.window, protocol.uniform_share};
  rows.seed = protocol.seed;
  rows.training = false;
  rows.limit = options.limit;
  return rows;
}

struct Judge::State {
  State(const Dataset& data, EvaluateOptions wanted)
      : dataset(data), options(std::move(wanted)), loader(data, frozen_rows(data, options)) {
    options.validate();
    if (loader.positives() == 0) {
      fail<DataError>("{}: the split '{}' has no clicks to judge; ingest with a longer one",
                      data.folder().string(), name_of(options.split));
    }
    number_users();
    catalogue.split = options.split;
    catalogue.alive_window = options.alive_window.value_or(data.protocol().alive_window);
    catalogue.refresh = data.protocol().refresh;
    catalogue.exclude_seen = options.exclude_seen.value_or(data.protocol().exclude_seen);
    catalogue.reads_only = false;  // reads are a part of the clicks
    catalogue.ties = options.ties;
    catalogue.limit = options.limit;
    recall_at = options.recall_at.value_or(data.protocol().recall_at);
    catalogue.flagged = options.click_bait;
    catalogue.top = recall_at.empty() ? 0 : *std::max_element(recall_at.begin(), recall_at.end());
    bootstrap.emplace(users, options.bootstrap);
  }

  void number_users() {
    number_of_user.assign(dataset.users(), -1);
    for (const int64_t click : dataset.rows_of(options.split)) {
      int32_t& number = number_of_user[dataset.clicks().user[click]];
      if (number < 0) number = static_cast<int32_t>(users++);
    }
  }

  /// Calls `score(batch, first_row)` for every batch of the frozen rows; the first time it also
  /// keeps what the rows are.
  void for_rows(const char* what,
                const std::function<void(const Batch&, int64_t first_row)>& score) {
    const bool first_time = kinds.empty();
    Progress progress(what, loader.rows(), "rows");
    Prefetcher batches(loader);
    batches.start(0);
    int64_t row = 0;
    while (const Batch* batch = batches.next()) {
      check_interrupt("evaluation");
      if (first_time) keep_rows(*batch);
      score(*batch, row);
      row += batch->rows();
      progress.update(row);
    }
    if (first_time) group_all();
  }

  /// Rows by the training clicks of their item, and of their user.
  void group_all() {
    std::vector<int64_t> of_item(dataset.items(), 0), of_user(dataset.users(), 0);
    for (const int64_t click : dataset.rows_of(Split::kTrain)) {
      ++of_item[dataset.clicks().item[click]];
      ++of_user[dataset.clicks().user[click]];
    }
    std::vector<int64_t> popularity, activity;
    for (size_t row = 0; row < kinds.size(); ++row) {
      popularity.push_back(of_item[item_of_row[row]]);
      activity.push_back(of_user[dataset_user_of_row[row]]);
    }
    by_popularity = group_rows(popularity, kDeciles);
    by_activity = group_rows(activity, kActivityGroups);
  }

  void keep_rows(const Batch& batch) {
    for (int64_t row = 0; row < batch.rows(); ++row) {
      kinds.push_back(batch.click[row] == 0  ? RowKind::kSampled
                      : batch.read[row] == 0 ? RowKind::kShortClick
                                             : RowKind::kRead);
      user_of_row.push_back(number_of_user[batch.user[row]]);
      dataset_user_of_row.push_back(batch.user[row]);
      item_of_row.push_back(batch.item[row]);
      read_of_row.push_back(kinds.back() == RowKind::kRead);
    }
  }

  void add(JudgedRow& row, std::string name, double value, std::vector<double> replicates) const {
    row.metrics.push_back({std::move(name), interval_of(value, replicates), std::move(replicates)});
  }

  void add_ratios(JudgedRow& row, const std::vector<std::string>& names,
                  const std::vector<UserRatio>& ratios) const {
    add_ratios(row, names, ratios, *bootstrap);
  }

  void add_ratios(JudgedRow& row, const std::vector<std::string>& names,
                  const std::vector<UserRatio>& ratios, const Bootstrap& resamples) const {
    auto replicates = resamples.run(static_cast<int32_t>(ratios.size()),
                                    [&](std::span<const uint8_t> weights, std::span<double> out) {
                                      for (size_t k = 0; k < ratios.size(); ++k)
                                        out[k] = ratios[k].value(weights);
                                    });
    for (size_t k = 0; k < ratios.size(); ++k) {
      add(row, names[k], ratios[k].value(), std::move(replicates[k]));
    }
  }

  /// `read_scores` decide every AUC but, where `click_scores` are there, auc_click.
  void add_aucs(JudgedRow& row, std::span<const float> read_scores,
                std::span<const float> click_scores) const {
    const SortedRows by_read(read_scores, kinds, user_of_row);
    std::optional<SortedRows> by_click;
    if (!click_scores.empty()) by_click.emplace(click_scores, kinds, user_of_row);
    const auto fill = [&](const AucSplit& split, const AucSplit& click, std::span<double> out) {
      out[0] = split.auc_read;
      out[1] = click.auc_click;
      out[2] = split.auc_read_given_click;
      out[3] = split.auc_read_vs_sampled;
      out[4] = split.omega;
    };
    auto replicates =
        bootstrap->run(5, [&](std::span<const uint8_t> weights, std::span<double> out) {
          const AucSplit split = by_read.split(weights);
          fill(split, by_click ? by_click->split(weights) : split, out);
        });
    std::vector<double> values(5);
    const AucSplit split = by_read.split();
    fill(split, by_click ? by_click->split() : split, values);
    const char* names[] = {"auc_read", "auc_click", "auc_read_given_click", "auc_read_vs_sampled",
                           "omega"};
    for (size_t k = 0; k < values.size(); ++k) {
      add(row, names[k], values[k], std::move(replicates[k]));
    }
    Gauc by_user = gauc(read_scores, read_of_row, user_of_row, users);
    add_ratios(row, {"gauc"}, {{std::move(by_user.weighted), std::move(by_user.rows)}});
    if (row.kind != RowRole::kModel && row.kind != RowRole::kTeacher) return;
    row.details["auc_by_popularity"] =
        auc_by_group(by_popularity, read_scores, kinds, user_of_row, *bootstrap);
    row.details["auc_by_activity"] =
        auc_by_group(by_activity, read_scores, kinds, user_of_row, *bootstrap);
  }

  /// No interval by user: what resampling adds to the bins' absolute errors does not average out.
  void add_calibration(JudgedRow& row, std::span<const float> scores) const {
    std::vector<float> predicted(scores.size());
    for (size_t at = 0; at < scores.size(); ++at) {
      predicted[at] = static_cast<float>(1 / (1 + std::exp(-static_cast<double>(scores[at]))));
    }
    const auto bins = reliability(predicted, read_of_row, options.ece_bins);
    row.details["calibration"] = to_json(std::span(bins));
    const double error = expected_calibration_error(bins);
    row.metrics.push_back({"ece", {error, error, error}, {}});
  }

  void add_catalogue(JudgedRow& row, const CatalogueRanks& ranks) {
    std::vector<std::string> names;
    std::vector<UserRatio> ratios;
    const auto mean = [&](std::string name, bool reads_only, const RankValue& value, int32_t k) {
      names.push_back(std::move(name));
      ratios.push_back(
          rank_ratio(dataset, ranks, value, k, reads_only, options.ties, number_of_user, users));
    };
    for (const int32_t k : recall_at) {
      mean(fmt::format("recall@{}", k), true, recall_value(), k);
      mean(fmt::format("recall_click@{}", k), false, recall_value(), k);
      mean(fmt::format("ndcg@{}", k), true, ndcg_value(), k);
    }
    mean("mrr", true, mrr_value(), 1);
    if (long_term() || options.wrecall) {
      std::vector<int32_t> user_of_event;
      std::vector<float> seconds;
      for (const int64_t click : ranks.click) {
        user_of_event.push_back(number_of_user[dataset.clicks().user[click]]);
        seconds.push_back(dataset.clicks().seconds[click]);
      }
      for (const int32_t k : recall_at) {
        names.push_back(fmt::format("wrecall@{}", k));
        ratios.push_back(weighted_recall(ranks.rank, seconds, user_of_event, users, k));
      }
    }
    if (!ranks.flagged.empty()) {
      names.push_back(fmt::format("click_bait@{}", catalogue.top));
      ratios.push_back(share_of_flagged(ranks));
    }
    add_ratios(row, names, ratios);
    if (catalogue.top > 0 && ranks.catalogue > 0) {
      const double coverage =
          static_cast<double>(ranks.distinct_recommended) / static_cast<double>(ranks.catalogue);
      row.metrics.push_back(
          {fmt::format("coverage@{}", catalogue.top), {coverage, coverage, coverage}, {}});
    }
    keep_counts(ranks);
  }

  /// Of the best `top` items of every event.
  UserRatio share_of_flagged(const CatalogueRanks& ranks) const {
    UserRatio share{std::vector<double>(users, 0), std::vector<double>(users, 0)};
    for (size_t event = 0; event < ranks.click.size(); ++event) {
      if (ranks.rank[event] == 0) continue;  // its list was not made
      const int32_t user = number_of_user[dataset.clicks().user[ranks.click[event]]];
      share.numerator[user] += ranks.flagged[event];
      share.denominator[user] += std::min(catalogue.top, ranks.candidates[event]);
    }
    return share;
  }

  /// Seconds are what discoveries, or clicks, led to, so that recall weighted by them says
  /// something.
  bool long_term() const {
    return dataset.protocol().long_term || dataset.manifest().contains("attribution");
  }

  int32_t nktd_at() const {
    if (options.nktd_at) return *options.nktd_at;
    const auto tenth = static_cast<int32_t>(dataset.candidates().size() / 10);
    return long_term() ? std::clamp(tenth, 20, 300) : 0;
  }

  /// Means over requests with intervals by user.
  void add_means(JudgedRow& row, const std::vector<std::string>& names,
                 const std::vector<const std::vector<double>*>& values,
                 const std::vector<int32_t>& user_of_value) const {
    std::vector<int32_t> number(dataset.users(), -1);
    int64_t count = 0;
    for (const int32_t user : user_of_value)
      if (number[user] < 0) number[user] = static_cast<int32_t>(count++);
    std::vector<UserRatio> ratios;
    for (const std::vector<double>* of : values) {
      UserRatio ratio{std::vector<double>(count, 0), std::vector<double>(count, 0)};
      for (size_t at = 0; at < of->size(); ++at) {
        if (std::isnan((*of)[at])) continue;
        ratio.numerator[number[user_of_value[at]]] += (*of)[at];
        ratio.denominator[number[user_of_value[at]]] += 1;
      }
      ratios.push_back(std::move(ratio));
    }
    add_ratios(row, names, ratios, Bootstrap(count, options.bootstrap));
  }

  void keep_counts(const CatalogueRanks& ranks) {
    const auto reads = std::count_if(ranks.click.begin(), ranks.click.end(), [&](int64_t click) {
      return dataset.clicks().read[click] != 0;
    });
    counts = {{"events", ranks.click.size()},
              {"reads", reads},
              {"misses", std::count(ranks.rank.begin(), ranks.rank.end(), 0)},
              {"catalogue", ranks.catalogue}};
    double candidates = 0;
    for (const int32_t count : ranks.candidates) candidates += count;
    counts["mean_candidates"] =
        ranks.candidates.empty() ? 0 : candidates / static_cast<double>(ranks.candidates.size());
  }

  const Dataset& dataset;
  EvaluateOptions options;
  Loader loader;
  CatalogueOptions catalogue;
  std::vector<int32_t> recall_at;
  std::optional<Bootstrap> bootstrap;
  int64_t users = 0;                         // users with a click in the split
  std::vector<int32_t> number_of_user;       // [users of the dataset], -1 = not judged
  std::vector<RowKind> kinds;                // [rows]
  std::vector<int32_t> user_of_row;          // [rows]
  std::vector<int32_t> item_of_row;          // [rows], of the dataset
  std::vector<int32_t> dataset_user_of_row;  // [rows]
  RowGroups by_popularity, by_activity;
  std::vector<uint8_t> read_of_row;       // [rows]
  Json counts = Json::object();           // of the catalogue
  std::unique_ptr<Discordance> requests;  // made when a ranker is there to compare with
};

Judge::Judge(const Dataset& dataset, EvaluateOptions options)
    : state_(std::make_unique<State>(dataset, std::move(options))) {}
Judge::~Judge() = default;

const EvaluateOptions& Judge::options() const { return state_->options; }
const Dataset& Judge::dataset() const { return state_->dataset; }

JudgedRow Judge::towers(const std::string& name, const Towers& towers, double beta, bool is_logit) {
  JudgedRow row{name, RowRole::kModel, {}};
  std::vector<float> scores(state_->loader.rows());
  const int64_t dim = towers.dim();
  std::vector<float> users, items;
  state_->for_rows("scoring rows", [&](const Batch& batch, int64_t first) {
    users.resize(batch.users.rows * dim);
    items.resize(batch.items.rows * dim);
    towers.encode_users(batch.users, users);
    towers.encode_items(batch.items, items);
    for (int64_t at = 0; at < batch.rows(); ++at) {
      scores[first + at] =
          dot(users.data() + batch.user_of_row[at] * dim, items.data() + at * dim, dim);
    }
  });
  state_->add_aucs(row, scores, {});
  if (is_logit) state_->add_calibration(row, scores);
  if (!state_->options.catalogue) return row;
  CatalogueOptions catalogue = state_->catalogue;
  catalogue.beta = state_->options.beta.value_or(beta);
  state_->add_catalogue(row, rank_catalogue(state_->dataset, towers, catalogue));
  return row;
}

void Judge::against_ranker(JudgedRow& row, const Towers& towers, const PairScorer& ranker,
                           double fusion) {
  const int32_t n = state_->nktd_at();
  if (n <= 0 || !state_->options.catalogue) return;
  if (!state_->requests)
    state_->requests = std::make_unique<Discordance>(state_->dataset, state_->catalogue,
                                                     state_->options.nktd_requests);
  const Discordance::Values values = state_->requests->measure(towers, {&ranker, fusion}, n);
  state_->add_means(row, {fmt::format("nktd@{}", n), fmt::format("nktd_ranker@{}", n)},
                    {&values.own, &values.ranker}, state_->requests->users());
}

JudgedRow Judge::teacher(const std::string& name, const PairScorer& teacher) {
  JudgedRow row{name, RowRole::kTeacher, {}};
  std::vector<float> read(state_->loader.rows()), click(state_->loader.rows());
  state_->for_rows("scoring rows", [&](const Batch& batch, int64_t first) {
    teacher.score(batch, "read", std::span(read).subspan(first, batch.rows()));
    teacher.score(batch, "click", std::span(click).subspan(first, batch.rows()));
  });
  state_->add_aucs(row, read, click);
  return row;
}

JudgedRow Judge::extra(const ExtraRow& extra) {
  JudgedRow row = extra.pairs != nullptr ? teacher(extra.name, *extra.pairs)
                                         : JudgedRow{extra.name, RowRole::kExtra, {}};
  row.kind = RowRole::kExtra;
  if (extra.candidates && state_->options.catalogue) {
    state_->add_catalogue(row,
                          rank_catalogue(state_->dataset, extra.candidates, state_->catalogue));
  }
  return row;
}

std::vector<JudgedRow> Judge::baselines() {
  const std::vector<Baseline> rules =
      make_baselines(state_->dataset, state_->options.bootstrap.seed);
  std::vector<std::vector<float>> scores(rules.size(), std::vector<float>(state_->loader.rows()));
  state_->for_rows("scoring baselines", [&](const Batch& batch, int64_t first) {
    for (size_t rule = 0; rule < rules.size(); ++rule) {
      rules[rule].pairs->score(batch, "read", std::span(scores[rule]).subspan(first, batch.rows()));
    }
  });
  std::vector<JudgedRow> rows;
  for (size_t rule = 0; rule < rules.size(); ++rule) {
    JudgedRow row{rules[rule].name, RowRole::kBaseline, {}};
    state_->add_aucs(row, scores[rule], {});
    if (state_->options.catalogue) {
      state_->add_catalogue(
          row, rank_catalogue(state_->dataset, rules[rule].candidates, state_->catalogue));
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

Json Judge::about() const {
  const State& state = *state_;
  Json about;
  about["dataset"] = state.dataset.manifest().value("name", "");
  about["split"] = name_of(state.options.split);
  if (state.dataset.manifest().contains("split")) {
    about["split_kind"] = state.dataset.manifest()["split"];
  }
  about["users"] = state.users;
  about["clicks"] = state.loader.positives();
  about["rows"] = state.loader.rows();
  about["negatives"] = to_json(state.dataset.protocol());
  about["alive"] = state.catalogue.alive_window > 0 ? format_duration(state.catalogue.alive_window)
                                                    : std::string("all items");
  about["alive_by"] = state.dataset.protocol().alive_by;
  about["lists"] = state.dataset.protocol().lists;
  about["exclude_seen"] = state.catalogue.exclude_seen;
  about["ties"] = state.options.ties == Ties::kMid    ? "mid-rank"
                  : state.options.ties == Ties::kBest ? "best rank"
                                                      : "worst rank";
  about["catalogue"] = state.counts;
  about["intervals"] = fmt::format("95%, {} resamples of users", state.bootstrap->resamples());
  return about;
}

}  // namespace retort
