#include "retort/study/feed_test_seeds.h"

#include <fmt/format.h>

#include "retort/common/error.h"
#include "retort/common/table.h"
#include "retort/metric/seed_interval.h"
#include "retort/study/abtest_section.h"

namespace retort {
namespace {

/// A finished test, and where it was.
struct FinishedTest {
  std::string file;
  Json json;
};

FinishedTest read_finished(const fs::path& folder) {
  const fs::path file = folder / "abtest.json";
  if (!fs::exists(file))
    fail<DataError>("{}: there is no such file; give folders that `retort abtest --out` filled",
                    file.string());
  Json json = Json::parse(read_file(file), nullptr, false);
  const bool replayed = json.is_object() && json.contains("arms") && json.contains("rankers") &&
                        !json["rankers"].empty() && json["rankers"].front().contains("models");
  if (!replayed) fail<DataError>("{}: is no replayed test of a feed", file.string());
  return {file.string(), std::move(json)};
}

std::vector<std::string> arms_of(const Json& test) {
  std::vector<std::string> arms;
  for (const Json& arm : test.at("arms")) arms.push_back(arm["name"].get<std::string>());
  return arms;
}

/// A test counted twice would pass for agreement.
void check_different(const std::vector<FinishedTest>& tests) {
  for (size_t at = 0; at < tests.size(); ++at)
    for (size_t before = 0; before < at; ++before)
      if (tests[at].json == tests[before].json)
        fail<ConfigError>("--sum-up: {} and {} are one and the same test", tests[before].file,
                          tests[at].file);
}

void check_alike(const std::vector<FinishedTest>& tests) {
  const auto rankers = [](const Json& test) {
    std::vector<std::string> names;
    for (const auto& [name, judged] : test.at("rankers").items()) names.push_back(name);
    return names;
  };
  for (const FinishedTest& test : tests)
    if (arms_of(test.json) != arms_of(tests.front().json) ||
        rankers(test.json) != rankers(tests.front().json))
      fail<DataError>("{}: has other arms or rankers than {}", test.file, tests.front().file);
}

/// The ranker's part of every test.
class SeedSummary {
 public:
  SeedSummary(const std::vector<FinishedTest>& tests, const std::string& ranker)
      : arms_(arms_of(tests.front().json)) {
    for (const FinishedTest& test : tests) judged_.push_back(&test.json.at("rankers").at(ranker));
  }

  Json json() const {
    Json json{{"models", Json::object()}, {"differences", Json::array()}, {"order", Json::array()}};
    for (const std::string& arm : arms_) {
      for (const char* metric : {"seconds", "expected_seconds", "expected_ctr", "expected_reads",
                                 "click_bait", "coverage"}) {
        const std::vector<double> seeds = values(arm, metric);
        json["models"][arm][metric] = {
            {"value", mean_of(seeds)}, {"deviation", deviation_of(seeds)}, {"seeds", seeds}};
      }
      if (arm == arms_.front()) continue;
      for (const char* metric :
           {"expected_seconds", "expected_ctr", "expected_reads", "click_bait"})
        json["differences"].push_back(
            difference(arm, arms_.front(), metric, published(arm, metric)));
    }
    for (const Json& pair : judged_.front()->at("order")) {
      if (pair["metric"] != "expected_seconds") continue;
      const auto below = pair["below"].get<std::string>(), arm = pair["arm"].get<std::string>();
      json["order"].push_back(difference(arm, below, "expected_seconds", pair["published"]));
      json["order"].back()["below"] = below;
    }
    return json;
  }

 private:
  std::vector<double> values(const std::string& arm, const std::string& metric) const {
    std::vector<double> values;
    for (const Json* judged : judged_) {
      const Json& value = judged->at("models").at(arm).at(metric);
      values.push_back(value.is_object() ? value.at("value").get<double>() : value.get<double>());
    }
    return values;
  }

  Json published(const std::string& arm, const std::string& metric) const {
    for (const Json& difference : judged_.front()->at("differences"))
      if (difference["arm"] == arm && difference["metric"] == metric)
        return difference.value("published", Json());
    return {};
  }

  Json difference(const std::string& arm, const std::string& base, const std::string& metric,
                  const Json& published) const {
    std::vector<double> seeds = values(arm, metric);
    const std::vector<double> of_base = values(base, metric);
    for (size_t test = 0; test < seeds.size(); ++test)
      seeds[test] = seeds[test] / of_base[test] - 1;
    const Interval interval = t_interval(seeds);
    Json json{{"metric", metric}, {"arm", arm}};
    json.update(json_of(interval));
    json["seeds"] = seeds;
    json["verdict"] = verdict_of(interval, metric == "click_bait" ? -1 : 1);
    if (published.is_null()) return json;
    json["published"] = published;
    json["claim"] = claim_of(interval, published.get<double>());
    return json;
  }

  std::vector<std::string> arms_;
  std::vector<const Json*> judged_;  // [tests]
};

std::string percent_range(const Json& difference) {
  const auto text = [&](const char* end) {
    return difference[end].is_number() ? signed_percent(difference[end].get<double>()) : "?";
  };
  return text("low") + " .. " + text("high");
}

std::string ranker_table(const std::string& ranker, const Json& judged) {
  Table table({"ranker " + ranker, "expected T/M", "deviation", "difference", "95% over tests",
               "verdict", "published", "claim", "expected clicks", "click-bait"});
  const auto of = [&](const std::string& arm, const char* metric, const char* what) {
    return judged["models"][arm][metric][what].get<double>();
  };
  for (const auto& [arm, metrics] : judged["models"].items()) {
    std::vector<std::string> row{arm, fmt::format("{:.2f}", of(arm, "expected_seconds", "value")),
                                 fmt::format("{:.2f}", of(arm, "expected_seconds", "deviation"))};
    Json own;
    for (const Json& difference : judged["differences"])
      if (difference["arm"] == arm && difference["metric"] == "expected_seconds") own = difference;
    if (own.is_null())
      row.insert(row.end(), {"", "", "control", "", ""});
    else
      row.insert(row.end(),
                 {signed_percent(own["value"].get<double>()), percent_range(own),
                  own["verdict"].get<std::string>(),
                  own.contains("published") ? signed_percent(own["published"].get<double>()) : "",
                  own.value("claim", "")});
    row.push_back(fmt::format("{:.2f}%", 100 * of(arm, "expected_ctr", "value")));
    row.push_back(fmt::format("{:.2f}%", 100 * of(arm, "click_bait", "value")));
    table.add(row);
  }
  std::string text = table.text();
  for (const Json& pair : judged["order"])
    text += fmt::format("  published {} < {}: {} ({}, 95% {})\n", pair["below"].get<std::string>(),
                        pair["arm"].get<std::string>(), pair["claim"].get<std::string>(),
                        signed_percent(pair["value"].get<double>()), percent_range(pair));
  return text;
}

}  // namespace

Json sum_up_feed_tests(const std::vector<fs::path>& folders) {
  if (folders.size() < 2)
    fail<ConfigError>("--sum-up: {} test; give the folders of two or more", folders.size());
  std::vector<FinishedTest> tests;
  Json json{{"tests", Json::array()}, {"rankers", Json::object()}};
  for (const fs::path& folder : folders) {
    tests.push_back(read_finished(folder));
    json["tests"].push_back(folder.string());
  }
  try {
    check_different(tests);
    check_alike(tests);
    for (const auto& [ranker, judged] : tests.front().json.at("rankers").items())
      json["rankers"][ranker] = SeedSummary(tests, ranker).json();
  } catch (const Json::exception& error) {
    fail<DataError>("{} or one of the tests with it: not as `retort abtest` wrote it: {}",
                    tests.front().file, error.what());
  }
  return json;
}

std::string feed_seeds_table(const Json& summary) {
  std::string text =
      fmt::format("{} tests, each with its own world or models.\n", summary["tests"].size());
  for (const auto& [ranker, judged] : summary["rankers"].items())
    text += "\n" + ranker_table(ranker, judged);
  return text +
         "\nDifferences are from the first arm of the same test; their intervals are Student's "
         "over the "
         "tests.\n";
}

}  // namespace retort
