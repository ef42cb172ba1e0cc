#include "retort/trainer/train_recipe.h"

#include <algorithm>
#include <cmath>

#include "retort/common/error.h"
#include "retort/common/recipe.h"
#include "retort/loss/inputs.h"
#include "retort/loss/soft_target.h"
#include "retort/metric/rank_metric.h"
#include "retort/nn/optimizer.h"

namespace retort {
namespace {

constexpr const char* kRegression = "squared";

// Standard deviation of the seconds of the training clicks whose duration is known.
double seconds_deviation(const Dataset& dataset) {
  double sum = 0, squares = 0, rows = 0;
  for (const int64_t row : dataset.rows_of(Split::kTrain)) {
    const double seconds = dataset.clicks().seconds[row];
    if (!std::isfinite(seconds)) continue;
    sum += seconds;
    squares += seconds * seconds;
    rows += 1;
  }
  const double mean = rows > 0 ? sum / rows : 0;
  return rows > 0 ? std::sqrt(std::max(0.0, squares / rows - mean * mean)) : 0;
}

// [target] transform and the scale it needs become options of the regression terms.
void apply_target(const Json& recipe, const Dataset& dataset, std::vector<TermOptions>& terms) {
  Fields fields(recipe, "target");
  std::string transform;
  if (fields.has("transform"))
    fields.read_choice("transform", transform, {"raw", "scaled", "log1p"});
  fields.finish();
  bool used = false;
  for (TermOptions& term : terms) {
    if (term.loss != kRegression) continue;
    used = true;
    if (!transform.empty()) term.options["transform"] = transform;
    if (!needs_seconds_deviation(term.options)) continue;
    const double scale = seconds_deviation(dataset);
    if (!(scale > 0))
      fail<ConfigError>(
          "recipe key 'target.transform': 'scaled' divides by the deviation of the seconds read, "
          "which is 0 or unknown in the training clicks; use raw, or a dataset with durations");
    term.options["scale"] = scale;
  }
  if (!transform.empty() && !used)
    fail<ConfigError>("recipe key 'target.transform': no term has the loss '{}'", kRegression);
}

/// One term; `where` is its place in the recipe. Its name is still to be made unique.
TermOptions read_term(const Json& table, const std::string& where) {
  if (!table.is_object() || !table.contains("loss") || !table["loss"].is_string())
    fail<ConfigError>("recipe key '{}.loss': the name of a loss is needed", where);
  TermOptions term;
  term.loss = table["loss"];
  term.options = table;
  Json one;
  one["term"]["weight"] = table.value("weight", Json(1.0));
  one["term"]["on"] = table.value("on", Json("student"));
  Fields fields(one, "term");
  fields.read("weight", term.weight);
  read_logit(fields, "on", term.on);
  if (!(term.weight >= 0) || !std::isfinite(term.weight))
    fail<ConfigError>("recipe key '{}.weight': 0 or more is expected, not {}", where, term.weight);
  term.name = term.loss + '_' + term.on;
  return term;
}

/// A term of its own for every task of a forest that has a weight: its probability in the entire
/// space against its label there. Source: ESMM, Ma et al., SIGIR 2018, eq. 3.
std::vector<TermOptions> terms_of(const TaskForest& forest) {
  std::vector<TermOptions> terms;
  for (const Task& task : forest.tasks) {
    if (task.weight == 0) continue;
    TermOptions term;
    term.loss = "bce";
    term.on = "teacher_" + task.name;
    term.name = term.loss + '_' + term.on;
    term.weight = task.weight;
    term.options = {{"loss", term.loss}, {"on", term.on}, {"label", task.name}};
    terms.push_back(term);
  }
  return terms;
}

/// Those of the forest, then [[terms]], named by loss and logit, or [terms.NAME], which other
/// recipes and --set can change and switch off (enabled = false).
std::vector<TermOptions> read_terms(const Json& recipe, const TaskForest& forest) {
  const Json tables = recipe.value("terms", Json());
  std::vector<TermOptions> terms = terms_of(forest);
  if (tables.is_object()) {
    for (const auto& [name, table] : tables.items()) {
      Json one;
      one["terms"][name] = table.is_object() ? table : Json::object();
      bool enabled = true;
      Fields(one["terms"], name).read("enabled", enabled);
      if (!enabled) continue;
      terms.push_back(read_term(table, "terms." + name));
      terms.back().name = name;
    }
  } else if (tables.is_array()) {
    size_t number = 0;
    for (const Json& table : tables) {
      TermOptions term = read_term(table, fmt::format("terms[{}]", number++));
      for (const TermOptions& other : terms)
        if (other.name == term.name) term.name += fmt::format("_{}", terms.size() + 1);
      terms.push_back(std::move(term));
    }
  }
  if (terms.empty())
    fail<ConfigError>(
        "recipe key 'terms': at least one [[terms]] or [terms.NAME] with a loss is needed");
  return terms;
}

void check_positive(const std::string& key, int64_t value, int64_t least) {
  if (value < least)
    fail<ConfigError>("recipe key '{}': {} or more is expected, not {}", key, least, value);
}

void check_metric(const std::string& key, const std::string& metric,
                  const std::vector<std::string>& names, const std::vector<std::string>& with_k) {
  if (std::find(names.begin(), names.end(), metric) != names.end()) return;
  std::string known = fmt::format("{}", fmt::join(names, ", "));
  for (const std::string& prefix : with_k) {
    if (metric_k(metric, prefix) > 0) return;
    known += (known.empty() ? "" : ", ") + prefix + "@K";
  }
  fail<ConfigError>("recipe key '{}': '{}' is none of: {}", key, metric, known);
}

LoopOptions read_loop(const Json& recipe) {
  LoopOptions loop;
  Fields fields(recipe, "train");
  fields.read("batch", loop.batch);
  std::string precision = precision_name(loop.precision);
  fields.read_choice("precision", precision, {"auto", "fp32", "bf16"});
  loop.precision = precision_from_name(precision);
  fields.read_choice("rows", loop.rows, {"clicks", "impressions"});
  std::string days = "all";
  fields.read_choice("days", days, {"all", "new"});
  loop.new_days = days == "new";
  fields.read("epochs", loop.epochs);
  fields.read("patience", loop.patience);
  fields.read("metric", loop.metric);
  fields.read("checkpoint_every", loop.checkpoint_every);
  fields.read("validation_limit", loop.validation_limit);
  fields.read("log_every", loop.log_every);
  fields.read("rank_timeout", loop.rank_timeout);
  fields.read_choice("teacher_epoch", loop.teacher_epoch, {"own", "student"});
  fields.read_duration("lag", loop.lag);
  fields.finish();
  check_positive("train.batch", loop.batch, 2);
  check_positive("train.epochs", loop.epochs, 1);
  check_positive("train.patience", loop.patience, 0);
  check_positive("train.checkpoint_every", loop.checkpoint_every, 0);
  check_positive("train.validation_limit", loop.validation_limit, 0);
  check_positive("train.log_every", loop.log_every, 1);
  check_positive("train.rank_timeout", loop.rank_timeout, 1);
  return loop;
}

BetaOptions read_beta(const Json& recipe) {
  BetaOptions beta;
  std::string choose = "none";
  Fields fields(recipe, "beta");
  fields.read_choice("choose", choose, {"none", "validation"});
  fields.read("grid", beta.grid);
  fields.read("metric", beta.metric);
  fields.finish();
  beta.on_validation = choose == "validation";
  if (beta.grid.empty()) fail<ConfigError>("recipe key 'beta.grid': at least one value is needed");
  check_metric("beta.metric", beta.metric, {"mrr"}, {"recall", "ndcg"});
  return beta;
}

FusionOptions read_fusion(const Json& recipe) {
  FusionOptions fusion;
  std::string choose = "none";
  Fields fields(recipe, "fusion");
  fields.read_choice("choose", choose, {"none", "validation"});
  fields.read("value", fusion.value);
  fields.read("shares", fusion.shares);
  fields.read("steps", fusion.steps);
  fields.read("grid", fusion.grid);
  fields.read("metric", fusion.metric);
  fields.finish();
  fusion.on_validation = choose == "validation";
  if (fusion.grid.empty())
    fail<ConfigError>("recipe key 'fusion.grid': at least one value is needed");
  for (const double w : fusion.grid)
    if (!(w >= 0 && w <= 1))
      fail<ConfigError>("recipe key 'fusion.grid': {} is not between 0 and 1", w);
  check_positive("fusion.steps", fusion.steps, 1);
  if (!(fusion.value >= 0 && fusion.value <= 1))
    fail<ConfigError>("recipe key 'fusion.value': {} is not between 0 and 1", fusion.value);
  check_metric("fusion.metric", fusion.metric, {"mrr"},
               {"recall", "recall_click", "wrecall", "ndcg"});
  return fusion;
}

/// "read" or { click = 1, read_given_click = 0.5 }.
std::map<std::string, double> read_order(Fields& fields) {
  std::map<std::string, double> order;
  const Json& given = fields.sub("order");
  if (given.is_null()) return order;
  if (given.is_string()) return {{given.get<std::string>(), 1.0}};
  double sum = 0;
  if (given.is_object())
    for (const auto& [name, weight] : given.items()) {
      if (!weight.is_number() || !(weight.get<double>() >= 0))
        fail<ConfigError>("{} = {}: a weight of 0 or more is expected",
                          fields.name("order." + name), weight.dump());
      sum += order[name] = weight.get<double>();
    }
  if (!(sum > 0))
    fail<ConfigError>("{} = {}: the name of a score is expected, or weights of several, not all 0",
                      fields.name("order"), given.dump());
  return order;
}

ScoreOptions::Lists read_lists(const Json& recipe) {
  ScoreOptions::Lists lists;
  std::string sample = "best";
  Fields fields(recipe, "scores.lists");
  lists.order = read_order(fields);
  fields.read("length", lists.length);
  fields.read_choice("sample", sample, {"best", "rank"});
  fields.read("spread", lists.spread);
  fields.read("pool", lists.pool);
  fields.read("rest", lists.rest);
  fields.finish();
  lists.by_rank = sample == "rank";
  check_positive("scores.lists.length", lists.length, 1);
  check_positive("scores.lists.pool", lists.pool, 0);
  check_positive("scores.lists.rest", lists.rest, 0);
  if (!(lists.spread > 0))
    fail<ConfigError>("recipe key 'scores.lists.spread': above 0 is expected, not {}",
                      lists.spread);
  return lists;
}

ScoreOptions read_scores(const Json& recipe) {
  ScoreOptions scores;
  scores.given = recipe.contains("scores");
  std::string kind = "stored", missing = "mask", unit = "logit";
  Fields fields(recipe, "scores");
  ScoreFile& file = scores.file;
  fields.read_choice("kind", kind, {"stored", "snapshot"});
  fields.read("file", file.file);
  fields.read("user", file.user);
  fields.read("item", file.item);
  fields.read("time", file.time);
  fields.read("snapshot", file.snapshot);
  fields.read("logits", file.logits);
  fields.read_choice("unit", unit, {"logit", "probability"});
  if (fields.has("match")) fields.read_choice("match", file.match, {"row", "day", "pair"});
  fields.read_duration("lag", file.lag);
  fields.read_choice("missing", missing, {"mask", "rescore"});
  fields.sub("lists");
  fields.finish();
  scores.lists = read_lists(recipe);
  scores.snapshot = kind == "snapshot";
  scores.rescore = missing == "rescore";
  file.probabilities = unit == "probability";
  return scores;
}

/// What [scores] gives is what terms ask for.
void check_scores(const TrainRecipe& recipe) {
  const ScoreOptions& scores = recipe.scores;
  const LossNeeds needs = recipe.needs();
  const bool wanted = recipe.has_target("scored_") || needs.lists || needs.pairs;
  if (!scores.given && !wanted) return;
  if (!scores.given)
    fail<ConfigError>(
        "recipe key 'scores': a term learns from scores; give the table [scores] with file = "
        "\"scores.parquet\" (`retort score`), or kind = \"snapshot\" with distill.run");
  if (!wanted)
    fail<ConfigError>(
        "recipe key 'scores': no term learns from them; one has target = \"scored_NAME\", or a "
        "loss on lists or pairs (`retort list losses`)");
  if ((scores.snapshot || scores.rescore) && recipe.mentor.empty())
    fail<ConfigError>("recipe key 'scores.{}' needs the run that scores: distill.run = RUN",
                      scores.snapshot ? "kind' = 'snapshot" : "missing' = 'rescore");
  if (needs.lists && scores.snapshot)
    fail<ConfigError>(
        "recipe key 'scores.kind': 'snapshot' scores rows and pairs as they come; lists come from "
        "a file, kind = \"stored\"");
}

/// `needed`: some loss asks for rewards, so that their scale is looked up in the clicks.
RewardOptions read_reward(const Json& recipe, const Dataset& dataset, bool needed) {
  RewardOptions reward;
  Fields fields(recipe, "reward");
  fields.read("clip_quantile", reward.clip_quantile);
  fields.read("normalise", reward.normalise);
  fields.finish();
  if (!(reward.clip_quantile > 0 && reward.clip_quantile <= 1))
    fail<ConfigError>(
        "recipe key 'reward.clip_quantile': above 0 and at most 1 is expected, not {}",
        reward.clip_quantile);
  if (!needed) return reward;
  std::vector<double> seconds;
  for (const int64_t row : dataset.rows_of(Split::kTrain))
    if (const double value = dataset.clicks().seconds[row]; std::isfinite(value))
      seconds.push_back(value);
  if (seconds.empty()) return reward;
  std::sort(seconds.begin(), seconds.end());
  const auto at = static_cast<size_t>(
      std::ceil(reward.clip_quantile * static_cast<double>(seconds.size())) - 1);
  reward.clip = seconds[at];
  double sum = 0;
  for (const double value : seconds) sum += std::min(value, reward.clip);
  if (reward.normalise && sum > 0) reward.mean = sum / static_cast<double>(seconds.size());
  return reward;
}

}  // namespace

bool trains_in_bf16(Precision precision, bool on_cpu) {
  return on_cpu ? resolve(precision) == Precision::kBf16 : precision == Precision::kBf16;
}

namespace {

/// Every task has a label that the rows know.
void check_tasks(const TrainRecipe& recipe, const Dataset& dataset) {
  const TaskForest& forest = recipe.tasks;
  if (!forest.declared) return;
  if (!recipe.has_teacher())
    fail<ConfigError>(
        "recipe key 'tasks': they are what the teacher predicts; set teacher.kind = \"mmoe\"");
  std::vector<std::string> known{"click", "read"};
  known.insert(known.end(), dataset.labels().begin(), dataset.labels().end());
  for (size_t i = 0; i < forest.tasks.size(); ++i) {
    const Task& task = forest.tasks[i];
    const std::string key = "recipe key 'tasks." + task.name + ".label'";
    if (std::find(known.begin(), known.end(), task.label) == known.end())
      fail<ConfigError>(
          "{}: the dataset has no label '{}'; it has {}. Declare others in the data recipe, "
          "[[events]] labels = {{ {} = \"COLUMN\" }}, and ingest again",
          key, task.label, fmt::join(known, ", "), task.label);
    const std::string& root = forest.root_of(static_cast<int>(i)).label;
    if (recipe.loop.rows == "clicks" && root != "click" && root != "read")
      fail<ConfigError>(
          "{}: '{}' of an article that was not shown is not known, and the sampled negatives of "
          "train.rows = \"clicks\" were not; write train.rows = \"impressions\", or a parent that "
          "follows from a click",
          key, task.label);
  }
}

/// train.metric: what validation gives, of the forest's tasks too.
void check_deciding_metric(const TrainRecipe& recipe) {
  std::vector<std::string> names{"auc_read", "auc_click", "loss"};
  if (recipe.tasks.declared) names.push_back("task_auc");
  for (const std::string& task : recipe.tasks.names())
    if (recipe.tasks.declared) names.push_back("task_auc_" + task);
  check_metric("train.metric", recipe.loop.metric, names, {"recall", "recall_click", "wrecall"});
}

// Terms and models must fit each other, so that nothing is declared and never trained.
void check_models(const TrainRecipe& recipe) {
  bool on_teacher = false;
  for (const TermOptions& term : recipe.terms) on_teacher |= !term.on_student();
  if (on_teacher && !recipe.has_teacher())
    fail<ConfigError>("recipe key 'terms': a term is on the teacher, but teacher.kind is 'none'");
  if (!on_teacher && recipe.has_teacher())
    fail<ConfigError>(
        "recipe key 'teacher': no term trains it; add one with on = \"teacher_read\", or set "
        "teacher.kind = \"none\"");
  if (!recipe.has_student_terms())
    fail<ConfigError>("recipe key 'terms': no term is on the student");
  if (recipe.frozen && !recipe.has_teacher())
    fail<ConfigError>("recipe key 'distill.mode': 'frozen' needs a teacher");
}

}  // namespace

std::vector<std::string> TermOptions::targets() const {
  const Json target = options.value("target", Json());
  if (loss == "soft_bce" && target.is_string()) return {target.get<std::string>()};
  if (loss == "in_batch_kl")
    return target.is_null() ? std::vector<std::string>{"scored_read"} : target_names(target);
  if (loss == "kl_bernoulli" || loss == "chi2_literal") return target_names(target);
  return {};
}

LossNeeds TrainRecipe::needs() const {
  LossNeeds all;
  for (const TermOptions& term : terms) {
    const LossNeeds& one = loss_entry(term.loss).needs;
    all = {all.catalogue || one.catalogue, all.reward || one.reward, all.lists || one.lists,
           all.pairs || one.pairs, all.whole_batch || one.whole_batch};
  }
  return all;
}

bool TrainRecipe::has_target(const std::string& prefix) const {
  for (const TermOptions& term : terms)
    for (const std::string& name : term.targets())
      if (name.starts_with(prefix)) return true;
  return false;
}

bool TrainRecipe::needs_streaming_share() const {
  return std::any_of(terms.begin(), terms.end(), [](const TermOptions& term) {
    return term.options.value("log_q", "") == "streaming";
  });
}

bool TrainRecipe::has_student_terms() const {
  return std::any_of(terms.begin(), terms.end(),
                     [](const auto& term) { return term.on_student(); });
}

TrainRecipe read_train_recipe(const Json& recipe, const Dataset& dataset) {
  TrainRecipe result;
  Fields fields(recipe, "");
  fields.read("name", result.name);
  if (result.name.empty()) fail<ConfigError>("recipe key 'name': a name is needed");
  result.student = fields.sub("student");
  result.teacher = teacher_table(recipe);
  if (result.teacher.is_object() && result.teacher.value("kind", Json()) == "none")
    result.teacher = nullptr;
  for (const char* table : {"teacher", "tasks", "terms", "optimizer", "train", "negatives", "beta",
                            "distill", "target", "fusion", "reward", "loss_weights", "scores"})
    fields.sub(table);
  fields.finish();

  Fields distill(recipe, "distill");
  std::string mode = "joint";
  distill.read_choice("mode", mode, {"joint", "frozen"});
  distill.read("run", result.mentor);
  distill.finish();
  result.frozen = mode == "frozen";
  result.optimizer = fields.sub("optimizer");
  OptimizerOptions::read(result.optimizer);
  result.loop = read_loop(recipe);
  result.beta = read_beta(recipe);
  result.fusion = read_fusion(recipe);
  result.tasks = TaskForest::read(recipe.value("tasks", Json()));
  check_tasks(result, dataset);
  check_deciding_metric(result);
  result.terms = read_terms(recipe, result.tasks);
  result.reward = read_reward(recipe, dataset, result.needs().reward);
  apply_target(recipe, dataset, result.terms);
  result.loss_weights = LossWeightOptions::read(recipe);
  result.scores = read_scores(recipe);
  check_models(result);
  check_scores(result);
  return result;
}

LoaderOptions training_rows(const Json& recipe, const Dataset& dataset, uint64_t seed) {
  LoaderOptions rows = validation_rows(dataset, read_loop(recipe));
  rows.split = Split::kTrain;
  rows.training = true;
  rows.limit = 0;
  rows.seed = seed;
  if (const int64_t lag = read_loop(recipe).lag; lag > 0)
    rows.until = before_end_of(dataset, Split::kTrain, lag, "recipe key 'train.lag'");
  bool fresh = true;
  Fields fields(recipe, "negatives");
  fields.read("per_click", rows.negatives);
  fields.read("sampler", rows.sampler);
  // Another sampler starts from its own defaults: the protocol's window may mean nothing to it.
  if (rows.sampler != dataset.protocol().sampler) rows.sampling = {};
  fields.read("exponent", rows.sampling.exponent);
  fields.read_duration("window", rows.sampling.window);
  fields.read("uniform_share", rows.sampling.uniform_share);
  fields.read("reject_clicked", rows.reject_clicked);
  fields.read("fresh", fresh);
  if (!fresh) rows.negatives_epoch = 0;
  fields.finish();
  check_positive("negatives.per_click", rows.negatives, 0);
  return rows;
}

LoaderOptions validation_rows(const Dataset& dataset, const LoopOptions& loop) {
  const Protocol& protocol = dataset.protocol();
  LoaderOptions rows;
  rows.split = Split::kValid;
  rows.training = false;
  rows.rows = loop.rows;
  rows.batch = loop.batch;
  rows.limit = loop.validation_limit;
  rows.negatives = protocol.negatives_per_click;
  rows.sampler = protocol.sampler;
  rows.sampling = {protocol.exponent, protocol.window, protocol.uniform_share};
  rows.seed = protocol.seed;
  return rows;
}

}  // namespace retort
