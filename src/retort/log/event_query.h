// The SQL that turns one source into events: explode lists, cast, and name what is wrong.
#pragma once

#include <string>
#include <vector>

#include "retort/log/events.h"

namespace retort {

WholeKeys whole_keys(DuckDb& db, const Scan& scan, const EventSource& source,
                     const std::string& key);

/// A query with the columns user, item (BIGINT where `whole`, else text), time, seconds, clicked,
/// request, position, split, c0.., file, row, reason (NULL = good) and value.
/// `context[i].expression` is resolved per source; `key` names the source in messages.
std::string event_query(DuckDb& db, const Scan& scan, const EventSource& source,
                        const std::vector<ContextColumn>& context, const WholeKeys& whole,
                        const std::string& key);

/// Of an event query, the rows of the scope's days, rejects included.
std::string rows_of_days(const std::string& query, const LogScope& scope);

/// SQL giving text from an expression of the type: "" and NaN become NULL, 12.0 becomes '12'.
std::string text_sql(const std::string& sql, const std::string& type);
/// SQL giving DOUBLE, NULL where it does not parse.
std::string number_sql(const std::string& sql, const std::string& type);
/// SQL giving VARCHAR[] from a list or from a text split at `separator`; NULL when empty.
std::string texts_sql(const std::string& sql, const std::string& type,
                      const std::string& separator);
/// SQL giving microseconds since 1970 as BIGINT; throws ConfigError for a type without moments.
std::string moment_sql(const std::string& sql, const std::string& type, const std::string& key);
/// SQL giving a column in the type of its kind: VARCHAR, VARCHAR[], DOUBLE, DOUBLE[] or
/// UTINYINT.
std::string typed_sql(const ContextColumn& column, const std::string& sql, const std::string& type);
/// SQL condition: the raw value is there and gave no `typed` one. "" for texts.
std::string unparsable_sql(const ContextColumn& column, const std::string& raw,
                           const std::string& typed);
bool is_number_type(const std::string& type);

}  // namespace retort
