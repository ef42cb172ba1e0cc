// What `retort abtest feed` says, for tools and for people.
#include <algorithm>
#include <cmath>
#include <string>

#include <fmt/format.h>

#include "retort/common/table.h"
#include "retort/common/text.h"
#include "retort/log/days.h"
#include "retort/study/feed_test.h"

namespace retort {
namespace {

std::string seconds_text(double value) { return fmt::format("{:.2f}", value); }
std::string share_text(double value) { return fmt::format("{:.2f}%", 100 * value); }

template <class Text>
std::string range_text(const Interval& interval, const Text& text) {
  return fmt::format("{} .. {}", text(interval.low), text(interval.high));
}
std::string plus_seconds(double value) { return fmt::format("{:+.2f}", value); }

/// A metric of a section, found by name.
struct FeedColumn {
  const AbSection& section;
  size_t metric;

  FeedColumn(const AbSection& of, std::string_view name) : section(of), metric(0) {
    while (section.metrics[0][metric].name != name) ++metric;
  }
  double value(size_t arm) const { return section.metrics[arm][metric].value.value; }
  const AbDifference& difference(size_t arm) const {
    return section.differences[(arm - 1) * section.metrics[0].size() + metric];
  }
};

std::string decided_text(const AbDifference& difference) {
  return difference.decided_after ? with_thousands(*difference.decided_after) + " users" : "never";
}

/// Seconds an impression, as drawn and as expected, of every arm less the first.
std::string seconds_table(const FeedTestResult& result, const FeedRankerResult& judged) {
  const FeedColumn drawn(*judged.section, "seconds");
  const FeedColumn expected(*judged.section, "expected_seconds");
  Table table({"ranker " + judged.ranker, "T/M", "difference", "95%", "at every look", "decided",
               "expected T/M", "difference", "95%", "verdict", "published", "claim"});
  for (size_t arm = 0; arm < result.names.size(); ++arm) {
    std::vector<std::string> row{result.names[arm], seconds_text(drawn.value(arm))};
    if (arm == 0) {
      row.insert(row.end(),
                 {"", "", "", "", seconds_text(expected.value(0)), "", "", "control", "", ""});
    } else {
      const AbDifference &of_drawn = drawn.difference(arm), &of = expected.difference(arm);
      row.insert(row.end(), {plus_seconds(of_drawn.absolute.value),
                             range_text(of_drawn.absolute, plus_seconds),
                             range_text(*of_drawn.sequential, plus_seconds), decided_text(of_drawn),
                             seconds_text(expected.value(arm)), signed_percent(of.relative.value),
                             range_text(of.relative, signed_percent), of.verdict,
                             of.published ? signed_percent(*of.published) : "", of.claim});
    }
    table.add(row);
  }
  return table.text();
}

/// The other metrics; a mark says how an arm compares with the first.
std::string shares_table(const FeedTestResult& result, const FeedRankerResult& judged) {
  Table table({"ranker " + judged.ranker, "clicks", "expected", "reads", "expected", "click-bait",
               "coverage"});
  for (size_t arm = 0; arm < result.names.size(); ++arm) {
    std::vector<std::string> row{result.names[arm]};
    for (const char* name : {"ctr", "expected_ctr", "reads", "expected_reads", "click_bait"}) {
      const FeedColumn column(*judged.section, name);
      const std::string verdict = arm > 0 ? column.difference(arm).verdict : "";
      const char* mark = verdict == "better" ? " +" : verdict == "worse" ? " -" : "  ";
      row.push_back(share_text(column.value(arm)) + mark);
    }
    row.push_back(share_text(judged.coverage[arm]));
    table.add(row);
  }
  return table.text();
}

std::string order_text(const FeedRankerResult& judged) {
  std::string text;
  for (size_t k = 0; k < judged.order.size(); ++k) {
    const AbDifference& pair = judged.order[k];
    if (pair.metric != "expected_seconds") continue;
    text += fmt::format("  published {} < {}: {} ({}, 95% {})\n", judged.order_below[k], pair.arm,
                        pair.claim, signed_percent(pair.relative.value),
                        range_text(pair.relative, signed_percent));
  }
  return text.empty() ? "" : "The published order, expected T/M:\n" + text;
}

/// What the log says of every arm, of one reward.
template <class Text>
std::string estimates_table(const FeedTestResult& result, const FeedRankerResult& judged,
                            const std::string& reward, OffPolicyEstimate FeedEstimate::*member,
                            std::optional<double> FeedEstimate::*truth, const Text& text) {
  std::vector<std::string> header{reward + " from the log, ranker " + judged.ranker};
  if (judged.section) header.push_back("replayed");
  header.insert(header.end(), {"IPS", "95%", "SNIPS", "95%", "doubly robust", "95%", "matched",
                               "rewarded", "effective", "mean weight"});
  Table table(header);
  for (size_t arm = 0; arm < result.names.size(); ++arm) {
    const FeedEstimate& of = judged.estimates[arm];
    const OffPolicyEstimate& estimate = of.*member;
    std::vector<std::string> row{result.names[arm]};
    if (judged.section) row.push_back(text((of.*truth).value_or(NAN)));
    for (const Interval* interval : {&estimate.ips, &estimate.snips, &estimate.doubly_robust}) {
      row.push_back(text(interval->value));
      row.push_back(range_text(*interval, text));
    }
    row.push_back(with_thousands(estimate.matched));
    row.push_back(with_thousands(estimate.rewarded));
    row.push_back(fmt::format("{:.0f}", std::floor(estimate.effective)));
    row.push_back(fmt::format("{:.2f}", estimate.mean_weight.value));
    table.add(row);
  }
  return table.text();
}

/// How many intervals for seconds hold what was replayed.
std::string held_text(const FeedRankerResult& judged) {
  if (!judged.section) return "";
  const auto held = [&](Interval OffPolicyEstimate::*member) {
    return std::count_if(judged.estimates.begin(), judged.estimates.end(),
                         [&](const FeedEstimate& estimate) {
                           const Interval& interval = estimate.seconds.*member;
                           return interval.low <= *estimate.expected_seconds &&
                                  *estimate.expected_seconds <= interval.high;
                         });
  };
  return fmt::format(
      "Of {} intervals for T/M hold the replayed figure: IPS {}, SNIPS {}, doubly "
      "robust {}.\n",
      judged.estimates.size(), held(&OffPolicyEstimate::ips), held(&OffPolicyEstimate::snips),
      held(&OffPolicyEstimate::doubly_robust));
}

std::string estimate_warnings(const FeedTestResult& result, const FeedRankerResult& judged) {
  std::string text;
  for (size_t arm = 0; arm < judged.estimates.size(); ++arm)
    for (const std::string& warning : judged.estimates[arm].seconds.warnings)
      text += fmt::format("  {}: {}\n", result.names[arm], warning);
  return text.empty() ? "" : "Do not rely on these estimates:\n" + text;
}

Json json_of(const FeedTestResult& result, const FeedRankerResult& judged) {
  Json json = Json::object();
  if (judged.section) {
    json = json_of(*judged.section, result.names);
    for (size_t arm = 0; arm < result.names.size(); ++arm)
      json["models"][result.names[arm]]["coverage"] = judged.coverage[arm];
    json["order"] = Json::array();
    for (size_t k = 0; k < judged.order.size(); ++k) {
      json["order"].push_back(json_of(judged.order[k]));
      json["order"].back()["below"] = judged.order_below[k];
    }
  }
  for (size_t arm = 0; arm < judged.estimates.size(); ++arm) {
    const FeedEstimate& estimate = judged.estimates[arm];
    Json& at = json["counterfactual"][result.names[arm]];
    at = {{"seconds", to_json(estimate.seconds)}, {"ctr", to_json(estimate.ctr)}};
    if (estimate.expected_seconds) at["seconds"]["replayed"] = *estimate.expected_seconds;
    if (estimate.expected_ctr) at["ctr"]["replayed"] = *estimate.expected_ctr;
  }
  return json;
}

}  // namespace

Json to_json(const FeedTestResult& result) {
  Json rankers = Json::object();
  for (const FeedRankerResult& judged : result.rankers)
    rankers[judged.ranker] = json_of(result, judged);
  Json json{{"name", result.name},
            {"source", result.source},
            {"from", format_moment(result.from)},
            {"until", format_moment(result.until)},
            {"users", result.users},
            {"candidates", result.candidates},
            {"slots", result.slots},
            {"arms", result.arms},
            {"rankers", rankers},
            {"notes", result.notes}};
  if (result.day) json["day"] = *result.day;
  if (result.requests > 0) json["requests"] = result.requests;
  if (result.logged_seconds)
    json["logged"] = {{"seconds", *result.logged_seconds}, {"ctr", *result.logged_ctr}};
  return json;
}

std::string table(const FeedTestResult& result) {
  std::string text =
      result.day ? fmt::format("Day {} of {} ({}): {} users, {} requests of {} slots", *result.day,
                               result.source, format_day(result.from), with_thousands(result.users),
                               with_thousands(result.requests), result.slots)
                 : fmt::format("{} from {} to {}: {} users, slates of {}", result.source,
                               format_moment(result.from), format_moment(result.until),
                               with_thousands(result.users), result.slots);
  text += fmt::format("; {} candidates a user.\n", result.candidates);
  if (result.logged_seconds)
    text += fmt::format("The log's own policy in that time: {} s an impression, {} clicks.\n",
                        seconds_text(*result.logged_seconds), share_text(*result.logged_ctr));
  for (const FeedRankerResult& judged : result.rankers) {
    if (judged.section)
      text += "\n" + seconds_table(result, judged) + order_text(judged) + "\n" +
              shares_table(result, judged);
    if (judged.estimates.empty()) continue;
    text += "\n" +
            estimates_table(result, judged, "T/M", &FeedEstimate::seconds,
                            &FeedEstimate::expected_seconds, seconds_text) +
            "\n" +
            estimates_table(result, judged, "clicks", &FeedEstimate::ctr,
                            &FeedEstimate::expected_ctr, share_text) +
            held_text(judged) + estimate_warnings(result, judged);
  }
  if (result.day)
    text +=
        "\nT/M: seconds read / impressions. Differences are from the first arm; + and - mark "
        "shares that "
        "are better and worse than its. Expected figures leave out the luck of clicks and reading. "
        "The "
        "interval at every look holds however often one looks, and says after how many users the "
        "test "
        "could have been stopped.\n";
  for (const std::string& note : result.notes) text += "Note: " + note + ".\n";
  return text;
}

}  // namespace retort
