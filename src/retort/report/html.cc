#include "retort/report/html.h"

#include <span>

#include "retort/common/embedded_file.h"
#include "retort/common/error.h"

namespace retort {

std::span<const EmbeddedFile> report_files();  // of page/, and the chart library

namespace {

std::string_view file(std::string_view name) {
  for (const EmbeddedFile& one : report_files())
    if (one.name == name) return one.content;
  throw Error("the report's page has lost a part");
}

/// JSON in a script element ends at no "</script" and begins no comment.
std::string script_json(const Json& json) {
  const std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  std::string safe;
  safe.reserve(text.size());
  for (const char c : text) {
    if (c == '<')
      safe += "\\u003c";
    else
      safe += c;
  }
  return safe;
}

std::string html_text(std::string_view text) {
  std::string safe;
  for (const char c : text)
    safe += c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '&' ? "&amp;" : std::string(1, c);
  return safe;
}

/// Puts `value` where the page says `<!-- name -->`.
void fill(std::string& page, const std::string& name, std::string_view value) {
  const std::string mark = "<!-- " + name + " -->";
  const size_t at = page.find(mark);
  if (at == std::string::npos) throw Error("the report's page has no place for " + name);
  page.replace(at, mark.size(), value);
}

std::string script(std::string_view code) { return "<script>" + std::string(code) + "</script>"; }

}  // namespace

std::string report_html(const Json& report) {
  std::string page(file("report.html"));
  fill(page, "title", html_text(report.value("title", "")));
  fill(page, "style",
       "<style>" + std::string(file("palette.css")) + std::string(file("report.css")) + "</style>");
  fill(page, "licences",
       "<!--\nd3\n" + std::string(file("d3.LICENSE")) + "\nObservable Plot\n" +
           std::string(file("plot.LICENSE")) + "-->");
  std::string code = script(file("d3.min.js")) + script(file("plot.umd.min.js")) +
                     "<script id=\"data\" type=\"application/json\">" + script_json(report) +
                     "</script>" + script(file("charts.js")) + script(file("abtests.js")) +
                     script(file("sections.js"));
  fill(page, "code", code);
  return page;
}

}  // namespace retort
