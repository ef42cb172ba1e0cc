#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "retort/cli/command.h"
#include "retort/common/error.h"
#include "retort/common/text.h"
#include "retort/report/collect.h"
#include "retort/report/html.h"
#include "retort/report/text.h"

namespace retort {
namespace {

struct Flags {
  std::vector<std::string> paths;
  std::string out;
  bool text = false;
  ReportOptions options;
};

Answer run(const Flags& flags) {
  if (flags.out.empty() && !flags.text)
    fail<ConfigError>("report: say where to with --out FILE.html, or --text for the terminal");
  const std::vector<fs::path> paths(flags.paths.begin(), flags.paths.end());
  const Json report = collect_report(paths, flags.options);
  Answer answer;
  for (const char* part : {"runs", "comparisons", "abtests", "indexes", "bundles"})
    answer.json[part] = report[part].size();
  if (flags.text) answer.text = report_text(report);
  if (flags.out.empty()) return answer;
  const std::string html = report_html(report);
  write_file(flags.out, html);
  answer.json["out"] = flags.out;
  answer.json["bytes"] = html.size();
  answer.text += fmt::format(
      "{} ({}): {} runs, {} comparisons, {} A/B tests, {} index curves, "
      "{} bundles\n",
      flags.out, format_bytes(html.size()), report["runs"].size(), report["comparisons"].size(),
      report["abtests"].size(), report["indexes"].size(), report["bundles"].size());
  return answer;
}

Action add(CLI::App& app, const CommonFlags&) {
  auto flags = std::make_shared<Flags>();
  app.add_option("DIR", flags->paths,
                 "folders that hold runs, bundles and the JSON of compare, evaluate, abtest and "
                 "index tune; or such a file itself")
      ->required();
  app.add_option("--out", flags->out, "the HTML file to write: one file, no network needed");
  app.add_flag("--text", flags->text, "tables for the terminal");
  app.add_option("--title", flags->options.title, "heading of the report");
  app.add_option("--topic", flags->options.topic,
                 "text attribute of items that colours their vectors; by default topic, category, "
                 "segment or genre");
  app.add_option("--items", flags->options.items, "vectors shown of a bundle; 2000 by default")
      ->check(CLI::Range(2, 20'000));
  return [flags] { return run(*flags); };
}

}  // namespace

Command report_command() {
  return {{.name = "report",
           .summary = "runs, comparisons, A/B tests and index curves as one HTML file",
           .examples = "  retort report compare bundles --out report.html\n"
                       "  retort index tune bundles/dmtl --json > tune.json\n"
                       "  retort report compare test/abtest.json tune.json --out report.html\n"
                       "  retort report compare --text\n"},
          &add};
}

}  // namespace retort
