#include "retort/log/event_query.h"

#include <array>

#include "retort/common/error.h"

namespace retort {
namespace {

constexpr int64_t kLatestMoment = 7'258'118'400'000'000;  // 2200-01-01

bool is_one_of(const std::string& text, std::initializer_list<std::string_view> choices) {
  for (const std::string_view choice : choices)
    if (text == choice) return true;
  return false;
}

std::string element_type(const std::string& type) {
  return type.ends_with("[]") ? type.substr(0, type.size() - 2) : type;
}

/// A recipe key resolved over the scan: raw SQL and the type of one event's value.
struct Field {
  std::string name;  // of the column in the inner query
  std::string sql, type;
  bool list = false;  // to be unnested
};

/// The parts of a source's query while it is put together.
struct Parts {
  std::vector<Field> fields;
  bool has(const std::string& name) const { return find(name) != nullptr; }
  const Field* find(const std::string& name) const {
    for (const Field& field : fields)
      if (field.name == name) return &field;
    return nullptr;
  }
  std::string type(const std::string& name) const { return find(name)->type; }
};

void add_field(DuckDb& db, const Scan& scan, Parts& parts, const std::string& name,
               const std::string& text, const std::string& key) {
  if (text.empty()) return;
  const Expression expression = resolve(db, scan, text, key + '.' + name);
  parts.fields.push_back({"r_" + name, expression.sql, expression.type, false});
}

/// Context columns that a source lacks are NULL there.
void add_context(DuckDb& db, const Scan& scan, Parts& parts,
                 const std::vector<ContextColumn>& context) {
  for (size_t i = 0; i < context.size(); ++i) {
    Expression expression{"CAST(NULL AS VARCHAR)", "VARCHAR"};
    try {
      expression = resolve(db, scan, context[i].expression, context[i].feature);
    } catch (const DataError&) {  // map_events has found it in another source
    }
    parts.fields.push_back({fmt::format("x{}", i), expression.sql, expression.type, false});
  }
}

std::string inner_select(const Scan& scan, const Parts& parts) {
  std::string sql = "SELECT retort_file AS file, CAST(retort_row AS BIGINT) AS row";
  for (const Field& field : parts.fields) sql += fmt::format(", {} AS {}", field.sql, field.name);
  return sql + " FROM " + scan.relation;
}

std::string rows_select(const Scan& scan, const Parts& parts) {
  return fmt::format("SELECT *, 0 AS r_position, CAST(NULL AS VARCHAR) AS shape FROM ({})",
                     inner_select(scan, parts));
}

bool is_list(const ContextColumn& column) {
  return column.kind == ContextColumn::Kind::kTexts || column.kind == ContextColumn::Kind::kNumbers;
}

/// One user a row: every list column is unnested in step, the others are repeated. A row whose
/// lists differ in length becomes one reject.
std::string lists_select(const Scan& scan, Parts& parts, const std::vector<ContextColumn>& context,
                         const std::string& key) {
  std::string lengths, columns = "file, row";
  for (Field& field : parts.fields) {
    // A context list is one value a click unless it is to stay a list in each of them.
    const bool kept_list = field.name.front() == 'x' && !field.type.ends_with("[][]") &&
                           is_list(context[static_cast<size_t>(std::stoi(field.name.substr(1)))]);
    field.list = field.type.ends_with("[]") && !kept_list;
    if (field.list)
      lengths += fmt::format("{}coalesce(len({}), 0)", lengths.empty() ? "" : ", ", field.name);
  }
  const Field* item = parts.find("r_item");
  if (item == nullptr || !item->list)
    fail<ConfigError>("{}.item: layout \"lists\" needs a list column, not {}", key,
                      item == nullptr ? "nothing" : item->type);
  for (Field& field : parts.fields) {
    if (!field.list) {
      columns += ", " + field.name;
      continue;
    }
    columns += fmt::format(", unnest(CASE WHEN fits THEN {0} ELSE [NULL] END) AS {0}", field.name);
    field.type = element_type(field.type);
  }
  return fmt::format(
      "SELECT {}, unnest(CASE WHEN fits THEN range(len(r_item)) ELSE [0] END) AS r_position, "
      "CASE WHEN NOT fits THEN 'lists_unequal' END AS shape FROM (SELECT *, "
      "len(list_distinct([{}])) = 1 AS fits FROM ({}))",
      columns, lengths, inner_select(scan, parts));
}

std::string list_of_texts(const Field& field) {
  if (!field.type.ends_with("[]")) return fmt::format("[{}]", text_sql(field.name, field.type));
  return fmt::format("list_transform({}, v -> {})", field.name,
                     text_sql("v", element_type(field.type)));
}

/// One impression a row: every article in view becomes an event, clicked or not; a clicked one
/// that was not in view is appended. Seconds belong to the clicked ones.
std::string impressions_select(const Scan& scan, Parts& parts) {
  const Field* seconds = parts.find("r_seconds");
  std::string columns = "file, row, shape", read = "NULL";
  for (const Field& field : parts.fields)
    if (!is_one_of(field.name, {"r_in_view", "r_clicks", "r_seconds", "r_item", "r_clicked"}))
      columns += ", " + field.name;
  if (seconds != nullptr)
    read = seconds->type.ends_with("[]") ? "r_seconds[list_position(clicks, r_item)]" : "r_seconds";
  const std::string exploded = fmt::format(
      "SELECT *, unnest(shown) AS r_item, unnest(range(len(shown))) AS r_position FROM "
      "(SELECT * REPLACE (CASE WHEN len(shown) = 0 THEN [NULL] ELSE shown END AS shown), "
      "CASE WHEN len(shown) = 0 THEN 'impression_empty' END AS shape FROM "
      "(SELECT *, list_concat(in_view, list_filter(clicks, c -> NOT list_contains(in_view, c))) "
      "AS shown FROM (SELECT *, coalesce({}, []) AS in_view, coalesce({}, []) AS clicks FROM "
      "({}))))",
      list_of_texts(*parts.find("r_in_view")), list_of_texts(*parts.find("r_clicks")),
      inner_select(scan, parts));
  const std::string type = seconds == nullptr ? "DOUBLE" : element_type(seconds->type);
  std::erase_if(parts.fields, [](const Field& field) {
    return is_one_of(field.name, {"r_in_view", "r_clicks", "r_seconds", "r_item", "r_clicked"});
  });
  parts.fields.push_back({"r_item", "", "VARCHAR", false});
  parts.fields.push_back({"r_clicked", "", "BOOLEAN", false});
  parts.fields.push_back({"r_seconds", "", type, false});
  return fmt::format(
      "SELECT {}, r_item, r_position, r_clicked, CASE WHEN r_clicked THEN {} END AS r_seconds FROM "
      "(SELECT *, coalesce(list_contains(clicks, r_item) AND list_position(shown, r_item) = "
      "r_position + 1, false) AS r_clicked FROM ({}))",
      columns, read, exploded);
}

/// BOOLEAN of a boolean, 0 or 1, or their texts; NULL of anything else.
std::string flag_sql(const std::string& sql, const std::string& type) {
  const std::string number = number_sql(sql, type);
  if (type == "BOOLEAN") return sql;
  if (type == "VARCHAR")
    return fmt::format(
        "coalesce(TRY_CAST({} AS BOOLEAN), CASE {} WHEN 0 THEN false WHEN 1 THEN true END)", sql,
        number);
  return fmt::format("CASE {} WHEN 0 THEN false WHEN 1 THEN true END", number);
}

std::string split_sql(const EventSource& source, const Parts& parts) {
  if (parts.has("r_split"))
    return "CASE lower(CAST(r_split AS VARCHAR)) WHEN 'train' THEN 0 WHEN 'valid' THEN 1 "
           "WHEN 'test' THEN 2 WHEN 'history' THEN 3 END";
  constexpr std::array<std::string_view, 4> kRoles{"train", "valid", "test", "history"};
  for (size_t i = 0; i < kRoles.size(); ++i)
    if (source.role == kRoles[i]) return std::to_string(i);
  return "NULL";
}

/// A condition that makes a row a reject, and the value to show.
struct Check {
  std::string condition, reason, value;
};

/// SQL condition: nothing is there, or an empty text.
std::string missing_sql(const std::string& sql, const std::string& type) {
  return type == "VARCHAR" ? fmt::format("coalesce({}, '') = ''", sql) : sql + " IS NULL";
}

std::vector<Check> checks_of(const Parts& parts, const std::vector<ContextColumn>& context) {
  std::vector<Check> checks{{"\"user\" IS NULL", "user_missing", "NULL"},
                            {"item IS NULL", "item_missing", "NULL"}};
  if (parts.has("r_time")) {
    const std::string raw = "CAST(r_time AS VARCHAR)";
    checks.push_back({missing_sql("r_time", parts.type("r_time")), "time_missing", "NULL"});
    checks.push_back({"moment IS NULL", "time_unparsable", raw});
    checks.push_back(
        {fmt::format("moment < 0 OR moment >= {}", kLatestMoment), "time_out_of_range", raw});
  }
  if (parts.has("r_clicked")) {
    const std::string raw = "CAST(r_clicked AS VARCHAR)";
    checks.push_back(
        {missing_sql("r_clicked", parts.type("r_clicked")), "clicked_missing", "NULL"});
    checks.push_back({"was_clicked IS NULL", "clicked_unparsable", raw});
  }
  if (parts.has("r_seconds")) {
    const std::string raw = "CAST(r_seconds AS VARCHAR)";
    checks.push_back(
        {"duration IS NULL AND trim(coalesce(" + raw + ", '')) <> ''", "seconds_unparsable", raw});
    checks.push_back({"isnan(duration) OR abs(duration) > 3e38", "seconds_not_finite", raw});
    checks.push_back({"duration < 0", "seconds_negative", raw});
  }
  if (parts.has("r_split"))
    checks.push_back({"part IS NULL", "split_unknown", "CAST(r_split AS VARCHAR)"});
  for (size_t i = 0; i < context.size(); ++i) {
    const std::string raw = fmt::format("x{}", i), typed = fmt::format("c{}", i);
    if (const std::string wrong = unparsable_sql(context[i], raw, typed); !wrong.empty())
      checks.push_back({wrong, "unparsable_value", "CAST(" + raw + " AS VARCHAR)"});
  }
  return checks;
}

std::string typed_select(const EventSource& source, const Parts& parts,
                         const std::vector<ContextColumn>& context, const WholeKeys& whole,
                         const std::string& raw, const std::string& key) {
  std::string sql = "SELECT *";
  const auto add = [&](const std::string& value, const char* name) {
    sql += fmt::format(", {} AS {}", value, name);
  };
  add(whole.user ? "CAST(r_user AS BIGINT)" : text_sql("r_user", parts.type("r_user")), "\"user\"");
  add(whole.item ? "CAST(r_item AS BIGINT)" : text_sql("r_item", parts.type("r_item")), "item");
  add(parts.has("r_time") ? moment_sql("r_time", parts.type("r_time"), key + ".time")
                          : "CAST(0 AS BIGINT)",
      "moment");
  add(parts.has("r_clicked") ? flag_sql("r_clicked", parts.type("r_clicked")) : "true",
      "was_clicked");
  add(parts.has("r_seconds") ? number_sql("r_seconds", parts.type("r_seconds"))
                             : "CAST(NULL AS DOUBLE)",
      "duration");
  add("CAST(" + split_sql(source, parts) + " AS UTINYINT)", "part");
  // An impression without a number of its own is known by its place in the log.
  const std::string place = "file || ':' || row";
  std::string request = "CAST(NULL AS VARCHAR)";
  if (parts.has("r_request"))
    request = text_sql("r_request", parts.type("r_request"));
  else if (source.layout == "impressions")
    request = place;
  add(request, "request_text");
  for (size_t i = 0; i < context.size(); ++i) {
    const std::string name = fmt::format("x{}", i);
    add(typed_sql(context[i], name, parts.type(name)), fmt::format("c{}", i).c_str());
  }
  return sql + " FROM (" + raw + ')';
}

}  // namespace

bool is_number_type(const std::string& type) {
  return type.starts_with("DECIMAL") ||
         is_one_of(type, {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT",
                          "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT", "FLOAT", "DOUBLE"});
}

std::string text_sql(const std::string& sql, const std::string& type) {
  if (type == "VARCHAR") return fmt::format("nullif({}, '')", sql);
  if (type == "FLOAT" || type == "DOUBLE")
    return fmt::format(
        "CASE WHEN isfinite({0}) THEN coalesce(CAST(CASE WHEN {0} = floor({0}) THEN "
        "TRY_CAST({0} AS BIGINT) END AS VARCHAR), CAST({0} AS VARCHAR)) END",
        sql);
  return fmt::format("CAST({} AS VARCHAR)", sql);
}

std::string number_sql(const std::string& sql, const std::string& type) {
  if (type == "VARCHAR") return fmt::format("TRY_CAST(nullif(trim({}), '') AS DOUBLE)", sql);
  if (type == "INTERVAL") return fmt::format("CAST(epoch({}) AS DOUBLE)", sql);
  return fmt::format("TRY_CAST({} AS DOUBLE)", sql);
}

std::string texts_sql(const std::string& sql, const std::string& type,
                      const std::string& separator) {
  const std::string list =
      type.ends_with("[]")
          ? fmt::format("list_transform({}, v -> {})", sql, text_sql("v", element_type(type)))
          : fmt::format(
                "list_transform(string_split(CAST({} AS VARCHAR), {}), v -> "
                "nullif(trim(v), ''))",
                sql, sql_string(separator));
  return fmt::format("list_filter({}, v -> v IS NOT NULL)", list);
}

std::string typed_sql(const ContextColumn& column, const std::string& sql,
                      const std::string& type) {
  switch (column.kind) {
    case ContextColumn::Kind::kText:
      return text_sql(sql, type);
    case ContextColumn::Kind::kTexts:
      return texts_sql(sql, type, column.separator);
    case ContextColumn::Kind::kNumber:
      return number_sql(sql, type);
    case ContextColumn::Kind::kFlag:
      return fmt::format("CAST({} AS UTINYINT)", flag_sql(sql, type));
    case ContextColumn::Kind::kNumbers:
      break;
  }
  return fmt::format("TRY_CAST({} AS DOUBLE[])", sql);
}

std::string unparsable_sql(const ContextColumn& column, const std::string& raw,
                           const std::string& typed) {
  const bool numbers = column.kind == ContextColumn::Kind::kNumbers;
  if (!numbers && column.kind != ContextColumn::Kind::kNumber &&
      column.kind != ContextColumn::Kind::kFlag)
    return {};
  return fmt::format("trim(coalesce(CAST({} AS VARCHAR), '')) <> '' AND ({} IS NULL{})", raw, typed,
                     numbers ? fmt::format(" OR len({}) <> {}", typed, column.width) : "");
}

std::string moment_sql(const std::string& sql, const std::string& type, const std::string& key) {
  const auto by_magnitude = [](const std::string& x) {
    return fmt::format(
        "CASE WHEN abs({0}) < 1e11 THEN TRY_CAST(round({0} * 1000000) AS BIGINT) "
        "WHEN abs({0}) < 1e14 THEN TRY_CAST(round({0} * 1000) AS BIGINT) "
        "WHEN abs({0}) < 1e17 THEN TRY_CAST({0} AS BIGINT) "
        "ELSE TRY_CAST({0} / 1000 AS BIGINT) END",
        x);
  };
  if (type == "TIMESTAMP WITH TIME ZONE") return fmt::format("epoch_us({})", sql);
  if (type == "DATE" || type.starts_with("TIMESTAMP"))
    return fmt::format("epoch_us(CAST({} AS TIMESTAMP))", sql);
  if (type == "BIGINT" || type == "INTEGER" || type == "UINTEGER")
    return by_magnitude(fmt::format("CAST({} AS BIGINT)", sql));
  if (is_number_type(type)) return by_magnitude(fmt::format("CAST({} AS DOUBLE)", sql));
  if (type == "VARCHAR")
    return fmt::format("coalesce({}, epoch_us(TRY_CAST({} AS TIMESTAMPTZ)))",
                       by_magnitude(fmt::format("TRY_CAST({} AS DOUBLE)", sql)), sql);
  fail<ConfigError>(
      "{}: a column of type {} holds no moments; give TIMESTAMP, DATE, ISO text or "
      "seconds since 1970",
      key, type);
}

WholeKeys whole_keys(DuckDb& db, const Scan& scan, const EventSource& source,
                     const std::string& key) {
  const auto whole = [&](const std::string& text, const char* name, bool list) {
    const std::string type = resolve(db, scan, text, key + '.' + name).type;
    return is_one_of(list ? element_type(type) : type, {"TINYINT", "SMALLINT", "INTEGER", "BIGINT",
                                                        "UTINYINT", "USMALLINT", "UINTEGER"});
  };
  return {whole(source.user, "user", false),
          source.layout != "impressions" && whole(source.item, "item", source.layout == "lists")};
}

std::string event_query(DuckDb& db, const Scan& scan, const EventSource& source,
                        const std::vector<ContextColumn>& context, const WholeKeys& whole,
                        const std::string& key) {
  Parts parts;
  const std::array<std::pair<const char*, const std::string*>, 9> keys{
      {{"user", &source.user},
       {"item", &source.item},
       {"time", &source.time},
       {"clicked", &source.clicked},
       {"seconds", &source.seconds},
       {"request", &source.request},
       {"in_view", &source.in_view},
       {"clicks", &source.clicks},
       {"split", &source.split}}};
  for (const auto& [name, text] : keys) add_field(db, scan, parts, name, *text, key);
  add_context(db, scan, parts, context);
  std::string raw;
  if (source.layout == "lists")
    raw = lists_select(scan, parts, context, key);
  else if (source.layout == "impressions")
    raw = impressions_select(scan, parts);
  else
    raw = rows_select(scan, parts);

  std::string reason = "CASE WHEN shape IS NOT NULL THEN shape", value = "CASE reason";
  for (const Check& check : checks_of(parts, context)) {
    reason += fmt::format(" WHEN {} THEN '{}'", check.condition, check.reason);
    value += fmt::format(" WHEN '{}' THEN {}", check.reason, check.value);
  }
  std::string columns;
  for (size_t i = 0; i < context.size(); ++i) columns += fmt::format(", c{}", i);
  return fmt::format(
      "SELECT \"user\", item, moment AS time, CAST(CASE WHEN reason IS NULL THEN duration END AS "
      "FLOAT) "
      "AS seconds, was_clicked AS clicked, request_text AS request, "
      "CAST(r_position AS INTEGER) AS position, part AS split{}, file, row, reason, "
      "left({} END, 200) AS value FROM (SELECT *, {} END AS reason FROM ({}))",
      columns, value, reason, typed_select(source, parts, context, whole, raw, key));
}

std::string rows_of_days(const std::string& query, const LogScope& scope) {
  if (!scope.days) return query;
  return fmt::format("SELECT * FROM ({}) WHERE reason IS NOT NULL OR (time >= {} AND time < {})",
                     query, scope.days->from, scope.days->until);
}

}  // namespace retort
