#include "retort/study/compare_table.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "retort/common/error.h"
#include "retort/common/table.h"
#include "retort/common/text.h"
#include "retort/metric/rank_metric.h"
#include "retort/study/evaluate.h"

namespace retort {
namespace {

constexpr const char* kReproduced = "reproduced";
constexpr const char* kNotDistinguishable = "not distinguishable";
constexpr const char* kReversed = "reversed";

const SummaryRow* find_row(const CompareResult& result, const std::string& name) {
  for (const SummaryRow& row : result.rows)
    if (row.name == name) return &row;
  return nullptr;
}

std::optional<double> published_of(const CompareRow& row, const std::string& data,
                                   const std::string& metric) {
  const auto figures = row.published.find(data);
  if (figures == row.published.end()) return std::nullopt;
  const auto figure = figures->second.find(metric_stem(metric));
  if (figure == figures->second.end()) return std::nullopt;
  return figure->second;
}

/// 1 where more of a metric is better, -1 where less is.
int better_sign(const std::string& metric) {
  return metric_stem(metric) == "nktd" || metric.ends_with("_seconds") ||
                 metric.ends_with("_megabytes")
             ? -1
             : 1;
}

int sign_of(double value) { return value > 0 ? 1 : value < 0 ? -1 : 0; }

/// The sign of the published figures' difference; 0 where one is missing or both are equal.
int published_sign(const CompareRow& row, const CompareRow& other, const std::string& data,
                   const std::string& metric) {
  const auto own = published_of(row, data, metric), rival = published_of(other, data, metric);
  return own && rival ? sign_of(*own - *rival) : 0;
}

/// row - other.
struct Differences {
  Interval seeds, users;
};

std::string side_of(const Interval& interval, int sign) {
  const double low = sign > 0 ? interval.low : -interval.high;
  const double high = sign > 0 ? interval.high : -interval.low;
  return low > 0 ? kReproduced : high < 0 ? kReversed : kNotDistinguishable;
}

std::string side_of_margin(const Interval& interval, double margin) {
  if (interval.low >= -margin && interval.high <= margin) return kReproduced;
  return interval.low > margin || interval.high < -margin ? kReversed : kNotDistinguishable;
}

std::string both(const std::string& seeds, const std::string& users) {
  return seeds == users ? seeds : kNotDistinguishable;
}

std::string verdict_of(const Differences& found, int sign) {
  return both(side_of(found.seeds, sign), side_of(found.users, sign));
}

std::string verdict_of_same(const Differences& found, double margin) {
  return both(side_of_margin(found.seeds, margin), side_of_margin(found.users, margin));
}

/// Of two rows, where both have the metric and it is a number.
std::optional<Differences> difference_of(const CompareResult& result, const std::string& row,
                                         const std::string& other, const std::string& metric) {
  const SummaryRow *one = find_row(result, row), *two = find_row(result, other);
  if (one == nullptr || two == nullptr) return std::nullopt;
  const SummaryMetric *own = one->find(metric), *rival = two->find(metric);
  if (own == nullptr || rival == nullptr) return std::nullopt;
  const Differences found{seed_difference(*own, *rival), user_difference(*own, *rival)};
  if (std::isnan(found.seeds.value)) return std::nullopt;
  return found;
}

const CompareRow& row_of(const ComparePlan& plan, const std::string& label) {
  return *std::find_if(plan.rows.begin(), plan.rows.end(),
                       [&](const CompareRow& row) { return row.label == label; });
}

bool is_about(const std::vector<std::string>& names, const std::string& name) {
  return names.empty() || std::find(names.begin(), names.end(), name) != names.end();
}

std::string cell_of(const SummaryMetric& metric) {
  if (std::isnan(metric.mean)) return "-";
  const Interval interval = seed_interval(metric);
  if (interval.low == interval.high) return fmt::format("{:.4f}", metric.mean);
  return fmt::format("{:.4f} ±{:.4f}", metric.mean, (interval.high - interval.low) / 2);
}

Json number(double value) { return std::isnan(value) ? Json() : Json(value); }

Json to_json(const Interval& interval) {
  return {{"value", number(interval.value)},
          {"low", number(interval.low)},
          {"high", number(interval.high)}};
}

Json table_json(const ComparePlan& plan, const DataResult& measured,
                const std::vector<std::string>& metrics) {
  Json table = Json::array();
  for (const CompareRow& row : plan.rows) {
    const SummaryRow* summary = find_row(measured.result, row.label);
    if (summary == nullptr) continue;
    Json line{{"label", row.label}, {"title", row.heading()}};
    for (const std::string& metric : metrics) {
      const SummaryMetric* value = summary->find(metric);
      if (value == nullptr) continue;
      line[metric] = to_json(seed_interval(*value));
      const auto published = published_of(row, measured.data, metric);
      line[metric]["published"] = published ? Json(*published) : Json();
    }
    table.push_back(line);
  }
  return table;
}

Json claims_json(const ComparePlan& plan, const DataResult& measured) {
  Json claims = Json::array();
  for (const Verdict& verdict : judge_claims(plan, measured)) {
    Json claim = to_json(verdict.seeds);
    claim["low_users"] = number(verdict.users.low);
    claim["high_users"] = number(verdict.users.high);
    claim["name"] = verdict.claim.name;
    claim["text"] = verdict.claim.text;
    claim["row"] = verdict.claim.row;
    claim["other"] = verdict.claim.other;
    claim["expected"] = verdict.claim.expected;
    claim["metric"] = verdict.metric;
    claim["verdict"] = verdict.verdict;
    claims.push_back(claim);
  }
  return claims;
}

Json order_json(const ComparePlan& plan, const DataResult& measured) {
  Json orders = Json::array();
  for (const OrderCount& order : judge_order(plan, measured))
    orders.push_back({{"metric", order.metric},
                      {kReproduced, order.reproduced},
                      {kNotDistinguishable, order.not_distinguishable},
                      {kReversed, order.reversed}});
  return orders;
}

std::string rows_text(const ComparePlan& plan, const DataResult& measured,
                      const std::vector<std::string>& metrics) {
  std::vector<std::string> header{measured.data};
  std::vector<bool> published;  // whether some row has a published figure of the metric
  for (const std::string& metric : metrics) {
    header.push_back(metric);
    published.push_back(std::any_of(plan.rows.begin(), plan.rows.end(), [&](const auto& row) {
      return published_of(row, measured.data, metric).has_value();
    }));
    if (published.back()) header.emplace_back("published");
  }
  Table table(header);
  const auto add = [&](const SummaryRow& summary, const CompareRow* row) {
    std::vector<std::string> cells{row == nullptr ? summary.name : row->heading()};
    bool empty = true;
    for (size_t at = 0; at < metrics.size(); ++at) {
      const std::string& metric = metrics[at];
      const SummaryMetric* value = summary.find(metric);
      empty &= value == nullptr;
      cells.push_back(value == nullptr ? "" : cell_of(*value));
      if (!published[at]) continue;
      const auto figure = row == nullptr ? std::nullopt : published_of(*row, measured.data, metric);
      cells.push_back(figure ? fmt::format("{:.4f}", *figure) : "");
    }
    if (!empty) table.add(cells);
  };
  for (const CompareRow& row : plan.rows)
    if (const SummaryRow* summary = find_row(measured.result, row.label)) add(*summary, &row);
  for (const SummaryRow& summary : measured.result.rows)
    if (summary.kind != RowRole::kModel) add(summary, nullptr);
  return table.text();
}

std::string expected_text(const Claim& claim) {
  if (claim.expected == "same") return fmt::format("within ±{}", claim.margin);
  return claim.expected == "published" ? "as published" : claim.expected;
}

std::string verdicts_text(const ComparePlan& plan, const DataResult& measured) {
  std::string text;
  std::string last;
  for (const Verdict& verdict : judge_claims(plan, measured)) {
    const Claim& claim = verdict.claim;
    const std::string heading =
        fmt::format("{}{}{}", claim.name, claim.text.empty() ? "" : ": ", claim.text);
    if (heading != last) text += heading + "\n";
    last = heading;
    text += fmt::format(
        "  {}: {} against {}: {:+.4f} [{:+.4f}, {:+.4f}]{}, expected {}: {}\n", verdict.metric,
        row_of(plan, claim.row).heading(), row_of(plan, claim.other).heading(), verdict.seeds.value,
        verdict.seeds.low, verdict.seeds.high,
        measured.result.seeds == 1
            ? ""
            : fmt::format(" by user [{:+.4f}, {:+.4f}]", verdict.users.low, verdict.users.high),
        expected_text(claim), verdict.verdict);
  }
  for (const OrderCount& order : judge_order(plan, measured)) {
    text += fmt::format(
        "Pairs of rows in their published order by {}: {} of {} reproduced, {} not "
        "distinguishable, {} reversed.\n",
        metric_stem(order.metric), order.reproduced,
        order.reproduced + order.not_distinguishable + order.reversed, order.not_distinguishable,
        order.reversed);
  }
  return text;
}

/// Those that speak of one of the metrics.
std::string warnings_text(const CompareResult& result, const std::vector<std::string>& metrics) {
  std::string text;
  for (const std::string& warning : result.warnings) {
    const auto names = [&](const std::string& metric) {
      return warning.find(' ' + metric + ' ') != std::string::npos;
    };
    if (std::ranges::any_of(metrics, names)) text += "Warning: " + warning + ".\n";
  }
  return text;
}

std::string notes_text(const ComparePlan& plan, const DataResult& measured) {
  const CompareResult& result = measured.result;
  const Json counts = result.about.value("catalogue", Json::object());
  std::string text = fmt::format(
      "{}; {:.0f} candidates of {} an event.{}\n",
      result.seeds > 1 ? fmt::format("Mean ± half its 95% interval (Student's t over {} seeds, by "
                                     "user where a row has one value); a "
                                     "verdict is one that the "
                                     "interval over seeds and the one by user both give",
                                     result.seeds)
                       : "One seed ± half its 95% interval by user",
      counts.value("mean_candidates", 0.0), with_thousands(counts.value("catalogue", int64_t{0})),
      plan.published_note.empty() ? "" : " Published: " + plan.published_note + ".");
  return text + describe_data(result) + describe_rates(result) +
         warnings_text(result, table_metrics(plan, result));
}

}  // namespace

void want_metrics(const ComparePlan& plan, const Dataset& dataset, EvaluateOptions& options) {
  if (plan.metrics.empty()) return;
  const bool nktd = std::any_of(plan.metrics.begin(), plan.metrics.end(),
                                [](const auto& metric) { return metric_stem(metric) == "nktd"; });
  if (!nktd) options.nktd_at = 0;
  std::vector<int32_t> recall_at = options.recall_at.value_or(dataset.protocol().recall_at);
  for (const std::string& metric : plan.metrics) {
    const int32_t k = metric_k(metric, metric_stem(metric));
    if (k == 0) continue;
    if (!options.catalogue)
      fail<ConfigError>(
          "recipe key 'metrics': '{}' is of the catalogue, which --no-catalogue leaves out",
          metric);
    if (metric_stem(metric) == "wrecall") options.wrecall = true;
    if (metric_stem(metric) == "nktd")
      options.nktd_at = k;
    else if (std::find(recall_at.begin(), recall_at.end(), k) == recall_at.end())
      recall_at.push_back(k);
  }
  options.recall_at = recall_at;
}

std::vector<std::string> table_metrics(const ComparePlan& plan, const CompareResult& result) {
  std::vector<std::string> names;
  for (const std::string& wanted : plan.metrics) {
    std::string found;
    for (const SummaryRow& row : result.rows)
      for (const SummaryMetric& metric : row.metrics)
        if (metric.name == wanted || (wanted == "nktd" && metric.name.starts_with("nktd@")))
          found = metric.name;
    if (found.empty())
      fail<ConfigError>(
          "recipe key 'metrics': no row has '{}'; see the metrics of `retort evaluate --json`",
          wanted);
    names.push_back(found);
  }
  return names;
}

std::vector<Verdict> judge_claims(const ComparePlan& plan, const DataResult& measured) {
  std::vector<Verdict> verdicts;
  for (const Claim& claim : plan.claims) {
    if (!is_about(claim.data, measured.data)) continue;
    for (const std::string& metric : table_metrics(plan, measured.result)) {
      if (!is_about(claim.metrics, metric_stem(metric))) continue;
      const auto difference = difference_of(measured.result, claim.row, claim.other, metric);
      if (!difference) continue;
      if (claim.expected == "same") {
        verdicts.push_back({claim, metric, difference->seeds, difference->users,
                            verdict_of_same(*difference, claim.margin)});
        continue;
      }
      const int better = better_sign(metric);
      const int sign = claim.expected == "better" ? better
                       : claim.expected == "worse"
                           ? -better
                           : published_sign(row_of(plan, claim.row), row_of(plan, claim.other),
                                            measured.data, metric);
      if (sign != 0)
        verdicts.push_back(
            {claim, metric, difference->seeds, difference->users, verdict_of(*difference, sign)});
    }
  }
  return verdicts;
}

std::vector<OrderCount> judge_order(const ComparePlan& plan, const DataResult& measured) {
  std::vector<OrderCount> orders;
  for (const std::string& metric : table_metrics(plan, measured.result)) {
    OrderCount order{metric};
    for (size_t at = 0; at < plan.rows.size(); ++at) {
      for (size_t other = 0; other < at; ++other) {
        const CompareRow &row = plan.rows[at], &rival = plan.rows[other];
        const int sign = published_sign(row, rival, measured.data, metric);
        const auto difference = difference_of(measured.result, row.label, rival.label, metric);
        if (sign == 0 || !difference) continue;
        const std::string verdict = verdict_of(*difference, sign);
        order.reproduced += verdict == kReproduced;
        order.not_distinguishable += verdict == kNotDistinguishable;
        order.reversed += verdict == kReversed;
      }
    }
    if (order.reproduced + order.not_distinguishable + order.reversed > 0) orders.push_back(order);
  }
  return orders;
}

Json plan_json(const ComparePlan& plan, const std::vector<DataResult>& measured) {
  Json json{{"name", plan.name},
            {"title", plan.title},
            {"preset", plan.preset},
            {"published_note", plan.published_note}};
  for (const DataResult& one : measured) {
    Json& entry = json["data"][one.data] = to_json(one.result);
    const auto metrics = table_metrics(plan, one.result);
    entry["metrics"] = metrics;
    entry["table"] = table_json(plan, one, metrics);
    entry["claims"] = claims_json(plan, one);
    entry["order"] = order_json(plan, one);
  }
  return json;
}

std::string plan_table(const ComparePlan& plan, const std::vector<DataResult>& measured) {
  std::string text;
  for (const DataResult& one : measured) {
    text += fmt::format("{}\n", plan.title.empty() ? plan.name : plan.title);
    text += rows_text(plan, one, table_metrics(plan, one.result)) + "\n";
    text += verdicts_text(plan, one) + notes_text(plan, one) + "\n";
  }
  return text;
}

}  // namespace retort
