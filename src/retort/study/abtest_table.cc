// What `retort abtest` says, for tools and for people.
#include <algorithm>
#include <string_view>

#include <fmt/format.h>

#include "retort/common/table.h"
#include "retort/common/text.h"
#include "retort/study/abtest.h"

namespace retort {
namespace {

std::string title_of(const std::string& section) {
  if (section == "tv") return "TV For You";
  return section == "movies" ? "Movies For You" : "The platform";
}

std::string number(const std::string& metric, double value) {
  return metric.find("minutes") != std::string::npos || metric.find("dwm") != std::string::npos
             ? fmt::format("{:.2f}", value)
             : fmt::format("{:.4f}", value);
}

std::string section_table(const AbTestResult& result, const AbSection& section, size_t arm) {
  const auto name = [&](size_t k) { return result.arms[k]["name"].get<std::string>(); };
  std::vector<std::string> header{title_of(section.name), name(0), name(arm),
                                  "difference",           "95%",   "verdict"};
  const size_t metrics = section.metrics.front().size();
  const auto* const differences = section.differences.data() + (arm - 1) * metrics;
  const bool published =
      std::any_of(differences, differences + metrics,
                  [](const AbDifference& difference) { return difference.published.has_value(); });
  if (published) header.insert(header.end(), {"published", "claim"});
  Table table(header);
  for (size_t k = 0; k < metrics; ++k) {
    const AbDifference& difference = differences[k];
    const std::string& metric = difference.metric;
    std::vector<std::string> row{metric,
                                 number(metric, section.metrics[0][k].value.value),
                                 number(metric, section.metrics[arm][k].value.value),
                                 signed_percent(difference.relative.value),
                                 fmt::format("{} .. {}", signed_percent(difference.relative.low),
                                             signed_percent(difference.relative.high)),
                                 difference.verdict};
    if (published) {
      row.push_back(difference.published ? signed_percent(*difference.published) : "");
      row.push_back(difference.claim);
    }
    table.add(row);
  }
  return table.text();
}

}  // namespace

Json to_json(const AbTestResult& result) {
  Json sections = Json::object();
  std::vector<std::string> arms;
  for (const Json& arm : result.arms) arms.push_back(arm["name"].get<std::string>());
  for (const AbSection& section : result.sections) sections[section.name] = json_of(section, arms);
  return Json{{"name", result.name},   {"world", result.world},
              {"day", result.day},     {"date", format_moment(result.midnight).substr(0, 10)},
              {"users", result.users}, {"arms", result.arms},
              {"sections", sections},  {"notes", result.notes}};
}

std::string table(const AbTestResult& result) {
  std::string text =
      fmt::format("Day {} of {} ({}): {} users opened the platform.\n", result.day, result.world,
                  format_moment(result.midnight).substr(0, 10), with_thousands(result.users));
  for (size_t arm = 1; arm < result.arms.size(); ++arm)
    for (const AbSection& section : result.sections)
      text += "\n" + section_table(result, section, arm);
  text +=
      "\nMinutes and dwm are per user who opened; expected_ leaves out the luck of clicks and "
      "watching.\n";
  for (const std::string& note : result.notes) text += "Note: " + note + ".\n";
  return text;
}

}  // namespace retort
