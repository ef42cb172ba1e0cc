#include "retort/log/attribution_sql.h"

#include <fmt/format.h>

namespace retort {
namespace {

/// The end of the log that a row shown at a moment may know.
std::string known_until(const AttributionOptions& options, const AttributionMoments& moments,
                        const std::string& shown_at) {
  if (options.cut == "paper") return moments.log_end;
  return fmt::format("CASE WHEN {} < {}\n                  THEN {} ELSE {} END", shown_at,
                     moments.train_end, moments.test_start, moments.log_end);
}

}  // namespace

std::vector<SqlStep> discovery_steps() {
  return {
      {"The first playback of every viewer and program.",
       "CREATE TABLE first_playback AS\n"
       "SELECT viewer, program, began, began_in, imp\n"
       "FROM (SELECT viewer, program, began, began_in, imp,\n"
       "             row_number() OVER (PARTITION BY viewer, program\n"
       "                                ORDER BY began, playback_id) AS nth\n"
       "      FROM playback) numbered\n"
       "WHERE nth = 1"},
      {"Discoveries: it began from an impression in an unfamiliar collection. A pair whose first\n"
       "playback came from search or a familiar collection is not there, whatever comes later.",
       "CREATE TABLE discovery AS\n"
       "SELECT f.viewer, f.program, f.began, f.imp, i.shown_at\n"
       "FROM first_playback f\n"
       "JOIN collection c ON c.collection_id = f.began_in\n"
       "JOIN impression i ON i.imp = f.imp AND i.viewer = f.viewer AND i.program = f.program\n"
       "WHERE c.kind = 'unfamiliar'"}};
}

std::vector<SqlStep> dwm_steps(const AttributionOptions& options, const AttributionMoments& moments,
                               const std::string& columns) {
  const std::string window = fmt::format("INTERVAL {} DAY", options.days);
  const std::string clip = options.cut == "paper"
                               ? fmt::format("began + {}", window)
                               : fmt::format(
                                     "CASE WHEN shown_at < {}\n                  THEN least(began "
                                     "+ {}, {}) ELSE began + {} END",
                                     moments.train_end, window, moments.test_start, window);
  const std::string seconds =
      options.censor == "partial"
          ? "coalesce(w.seconds, 0)"
          : fmt::format(
                "CASE WHEN coalesce(w.began, i.shown_at) + {}\n                 <= {}\n"
                "            THEN coalesce(w.seconds, 0) END",
                window, known_until(options, moments, "i.shown_at"));
  return {{"What is watched of a discovery in its window, in any collection, the first playback\n"
           "included; clipped at the window's end. Whole milliseconds: their sum has no order.",
           fmt::format(
               "CREATE TABLE dwm AS\n"
               "SELECT d.viewer, d.program, d.imp, d.began,\n"
               "       sum(least(p.milliseconds,\n"
               "                 CAST(1000 * extract(epoch FROM (d.clipped_at - p.began)) AS "
               "BIGINT)))\n"
               "         / 1000.0 AS seconds\n"
               "FROM (SELECT viewer, program, imp, began,\n"
               "             began + {} AS window_end,\n"
               "             {} AS clipped_at,\n"
               "             {} AS known_until\n"
               "      FROM discovery) d\n"
               "JOIN playback p ON p.viewer = d.viewer AND p.program = d.program\n"
               "WHERE p.began >= d.began AND p.began < d.window_end AND p.began < d.known_until\n"
               "GROUP BY d.viewer, d.program, d.imp, d.began",
               window, clip, known_until(options, moments, "shown_at"))},
          {"The impressions of unfamiliar collections: the one that began the first playback is "
           "clicked,\n"
           "earlier ones of the pair are not. No seconds: outside the terms that learn from them.",
           fmt::format("CREATE TABLE attributed AS\n"
                       "SELECT {}\n"
                       "       w.imp IS NOT NULL AS clicked,\n"
                       "       {} AS seconds\n"
                       "FROM impression i\n"
                       "JOIN collection c ON c.collection_id = i.shown_in\n"
                       "LEFT JOIN dwm w ON w.imp = i.imp AND w.viewer = i.viewer AND w.program = "
                       "i.program\n"
                       "WHERE c.kind = 'unfamiliar'\n"
                       "ORDER BY i.shown_at, i.imp",
                       columns, seconds)}};
}

}  // namespace retort
