#include "tests/report/report_files.h"

namespace retort {
namespace {

Json metric(double value, double half) {
  return {{"value", value}, {"low", value - half}, {"high", value + half}};
}

Json details() {
  Json bins = Json::array(), groups = Json::array();
  for (int i = 0; i < 4; ++i) {
    bins.push_back({{"rows", 10}, {"mean_predicted", 0.1 * i}, {"share_positive", 0.08 * i}});
    groups.push_back({{"from", 3 * i},
                      {"to", 3 * i + 2},
                      {"rows", 10},
                      {"value", 0.5 + 0.05 * i},
                      {"low", 0.45 + 0.05 * i},
                      {"high", 0.55 + 0.05 * i}});
  }
  return {{"calibration", bins}, {"auc_by_popularity", groups}, {"auc_by_activity", groups}};
}

Json comparison() {
  Json models = Json::object(), kinds = Json::object();
  double value = 0.6;
  for (const char* name : {"first", "second", kHostile}) {
    models[name] = {{"auc_read", metric(value, 0.02)},
                    {"recall@20", metric(value / 2, 0.01)},
                    {"click_bait@20", metric(0.1, 0.01)}};
    kinds[name] = "model";
    value += 0.05;
  }
  models["empty"] = {{"auc_read", {{"value", nullptr}, {"low", nullptr}, {"high", nullptr}}}};
  kinds["empty"] = "baseline";
  return {{"evaluation",
           {{"dataset", "feed"}, {"split", "test"}, {"clicks", 1234}, {"users", 56}, {"rows", 99}}},
          {"seeds", 2},
          {"models", models},
          {"kinds", kinds},
          {"details", {{"first", {details(), details()}}, {"second", Json::array({details()})}}},
          {"differences",
           {{{"metric", "auc_read"},
             {"row", "first"},
             {"other", "second"},
             {"value", -0.05},
             {"low", -0.07},
             {"high", -0.03}},
            {{"metric", "recall@20"},
             {"row", "first"},
             {"other", "second"},
             {"value", 0.01},
             {"low", 0.002},
             {"high", 0.018},
             {"low_seeds", -0.02},
             {"high_seeds", 0.04},
             {"verdict", "not distinguishable"}}}},
          {"warnings", {std::string("first is worse than ") + kHostile}}};
}

Json abtest() {
  const Json models{{"control", {{"dwm", metric(10, 1)}}}, {"other", {{"dwm", metric(12, 1)}}}};
  const Json difference{{"metric", "dwm"},     {"arm", "other"},   {"value", 2.0},
                        {"low", 1.0},          {"high", 3.0},      {"relative", metric(0.2, 0.1)},
                        {"verdict", "better"}, {"published", 0.1}, {"claim", "reproduced"}};
  return {{"name", "test"},
          {"world", "platform"},
          {"date", "2024-03-31"},
          {"users", 500},
          {"arms", Json::array({{{"name", "control"}}, {{"name", "other"}}})},
          {"sections", {{"tv", {{"models", models}, {"differences", Json::array({difference})}}}}},
          {"notes", Json::array()}};
}

Json feed_test() {
  const Json sequential{{"low", -1.0}, {"high", 5.0}, {"decided_after", 254}};
  Json difference{{"metric", "expected_seconds"},
                  {"arm", "other"},
                  {"value", 2.0},
                  {"low", 1.0},
                  {"high", 3.0},
                  {"relative", metric(0.2, 0.1)},
                  {"verdict", "better"},
                  {"sequential", sequential},
                  {"published", 0.1},
                  {"claim", "reproduced"}};
  Json order = difference;
  order["below"] = "control";
  const Json estimate{
      {"ips", metric(9, 3)},    {"snips", metric(8, 3)},      {"doubly_robust", metric(10.5, 2)},
      {"direct", metric(7, 1)}, {"effective", 349.81},        {"replayed", 10.25},
      {"rewarded", 12},         {"warnings", {"few rewards"}}};
  Json ranker{{"differences", Json::array({difference})},
              {"order", Json::array({order})},
              {"counterfactual", {{"other", {{"seconds", estimate}}}}}};
  ranker["models"]["control"] = {{"expected_seconds", metric(10, 1)}, {"coverage", 0.5}};
  ranker["models"]["other"] = {{"expected_seconds", metric(12, 1)}, {"coverage", 0.25}};
  return {{"name", "feed"},
          {"source", "world"},
          {"from", "2024-03-17 00:00:00"},
          {"users", 300},
          {"arms", Json::array({{{"name", "control"}}, {{"name", "other"}}})},
          {"rankers", {{"ctr", ranker}}},
          {"notes", Json::array()}};
}

/// As `retort abtest --sum-up` writes it: relative differences.
Json feed_tests_sum() {
  const Json difference{{"metric", "expected_seconds"},
                        {"arm", "other"},
                        {"value", 0.3},
                        {"low", 0.25},
                        {"high", 0.35},
                        {"seeds", {0.2, 0.4}},
                        {"verdict", "better"}};
  Json ranker{{"differences", Json::array({difference})}, {"order", Json::array()}};
  ranker["models"]["other"] = {{"expected_seconds", {{"value", 12.5}, {"deviation", 0.5}}}};
  return {{"tests", {"test1", "test2"}}, {"rankers", {{"none", ranker}}}};
}

Json tune() {
  const auto point = [](const char* index, double recall, double milliseconds) {
    return Json{{"index", index},         {"options", {{"ef_search", 100}}},
                {"recall", recall},       {"median_ms", milliseconds},
                {"p99_ms", milliseconds}, {"queries_per_second", 1 / milliseconds},
                {"bytes", 1000},          {"on_front", true}};
  };
  const Json points{point("exact", 1, 2), point("hnsw", 0.97, 0.1), point("hnsw", 0.99, 0.2)};
  return {{"k", 100},         {"items", 1000},       {"dim", 8},
          {"queries", 10},    {"threads", 1},        {"target", {{"recall", 0.98}}},
          {"points", points}, {"chosen", points[2]}, {"publish", "--index hnsw"}};
}

}  // namespace

void ReportFiles::write(const std::string& name, const Json& json) const {
  fs::create_directories((folder() / name).parent_path());
  write_file(folder() / name, json.dump());
}

void ReportFiles::write_run(const std::string& name, double best) const {
  write(name + "/run.json",
        {{"name", "dmtl"},
         {"status", "finished"},
         {"result", {{"metric", "auc_read"}, {"best_metric", best}, {"epochs", 3}}}});
  std::string lines;
  for (int epoch = 1; epoch <= 3; ++epoch) {
    const Json train{{"step", 10 * epoch}, {"split", "train"}, {"loss", 1.0 / epoch}};
    const Json valid{{"step", 10 * epoch},
                     {"split", "valid"},
                     {"loss", 1.1 / epoch},
                     {"metric", best * epoch / 3}};
    lines += train.dump() + "\n" + valid.dump() + "\n";
  }
  write_file(folder() / name / "metrics.jsonl", lines + "{\"step\": 40, \"spl");  // cut by a kill
}

ReportFiles::ReportFiles() {
  write("compare/compare.json", comparison());
  write_run("compare/first/seed1", 0.6);
  write_run("compare/first/seed2", 0.66);
  write("test/abtest.json", abtest());
  write("feed_test/abtest.json", feed_test());
  write("feed_tests/abtest.json", feed_tests_sum());
  write("tune.json", tune());
  write("other.json", {{"models", 3}});
  write_file(folder() / "broken.json", "{");
  const TinyPublication tiny(random_tiny_dataset(8, 12, 60, 400));
  publish_bundle(tiny.contents(), folder() / "bundles");
  publish_bundle(tiny.contents(), folder() / "bundles");
  fs::copy(tiny.scratch / "dataset", folder() / "dataset", fs::copy_options::recursive);
}

}  // namespace retort
