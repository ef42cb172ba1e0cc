#include "retort/trainer/score_pairs.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <set>

#include "retort/common/error.h"
#include "retort/common/progress.h"
#include "retort/dataset/pair_batch.h"
#include "retort/dataset/prefetcher.h"
#include "retort/dataset/score_store.h"
#include "retort/kernel/dense.h"
#include "retort/kernel/top_k.h"
#include "retort/log/duckdb.h"
#include "retort/metric/candidates.h"
#include "retort/trainer/run_folder.h"
#include "retort/trainer/run_models.h"
#include "retort/trainer/torch_towers.h"
#include "retort/trainer/train_recipe.h"

namespace retort {
namespace {

constexpr int64_t kPairsAtOnce = 16384;

/// The ranking model and what its file of scores says of it.
struct Ranker {
  RunModels models;
  std::vector<std::string> logits;
  std::string snapshot;
  torch::Device device;
  DenseWidths widths;

  Ranker(const fs::path& run, const Dataset& dataset, const std::string& on)
      : device(parse_device(on)), widths(dense_widths(dataset.schema())) {
    models = load_run_models(run, dataset, device);
    if (models.teacher == nullptr)
      fail<ConfigError>(
          "{}: the run has no ranking model to score with; train a recipe that has a [teacher], "
          "such "
          "as dmtl",
          run.string());
    logits = models.teacher->outputs();
    const Json info = read_json(RunPaths(run).info);
    snapshot = fmt::format("{}/seed{}/step{}/{}", models.recipe.at("name").get<std::string>(),
                           info.at("seed").get<uint64_t>(), models.teacher_step,
                           sha256_file(models.teacher_checkpoint).substr(0, 8));
  }

  /// [logits][rows]
  std::vector<torch::Tensor> score(const Batch& batch) const {
    const torch::NoGradGuard frozen;
    const TaskLogits scores = models.teacher->score(to_tensors(batch, widths, device));
    std::vector<torch::Tensor> columns;
    for (const std::string& name : logits)
      columns.push_back(scores.at(name).to(torch::kCPU).contiguous());
    return columns;
  }
};

/// Rows on their way to the file.
class ScoreWriter {
 public:
  ScoreWriter(const Dataset& dataset, const Ranker& ranker, fs::path out)
      : dataset_(dataset),
        ranker_(ranker),
        out_(std::move(out)),
        work_(out_.string() + ".work"),
        db_({.database = {}, .memory_limit = "1GB", .temporary_folder = work_.path() / "spill"}) {
    if (fs::exists(out_))
      fail<IoError>("{}: exists already; remove it or choose another name", out_.string());
    std::string columns =
        "user VARCHAR, item VARCHAR, time TIMESTAMP, request BIGINT, position INTEGER";
    for (const std::string& name : ranker.logits)
      columns += fmt::format(", {} FLOAT", sql_name(score_column(name)));
    db_.run(fmt::format("CREATE TABLE scores ({}, snapshot VARCHAR)", columns));
    rows_.emplace(db_, "scores");
  }

  /// One row; `at` is its place in `scores`, what is below 0 is not known.
  void add(int32_t user, int32_t item, int64_t time, int64_t request, int64_t position,
           const std::vector<torch::Tensor>& scores, int64_t at) {
    rows_->text(dataset_.user_keys()[user]);
    rows_->text(dataset_.item_keys()[item]);
    dataset_.has_time() ? rows_->moment(time) : rows_->null();
    request < 0 ? rows_->null() : rows_->integer(request);
    position < 0 ? rows_->null() : rows_->integer(position);
    for (const torch::Tensor& column : scores) rows_->number(column.data_ptr<float>()[at]);
    rows_->text(ranker_.snapshot);
    rows_->end_row();
    ++result_.rows;
    users_.insert(user);
    items_.insert(item);
  }

  ScoringResult finish() {
    rows_->close();
    rows_.reset();
    if (result_.rows == 0)
      fail<DataError>("{}: there is no pair to score; are split, since, until and lag as meant?",
                      out_.string());
    const fs::path made = work_.path() / "scores.parquet";
    Progress progress("writing " + out_.filename().string(), 100, "%");
    db_.run(fmt::format("COPY scores TO {} (FORMAT parquet, COMPRESSION zstd)",
                        sql_string(made.string())),
            out_.string(), &progress);
    sync_path(made);
    fs::rename(made, out_);
    result_.users = std::ssize(users_);
    result_.items = std::ssize(items_);
    result_.logits = ranker_.logits;
    result_.snapshot = ranker_.snapshot;
    result_.bytes = fs::file_size(out_);
    return result_;
  }

 private:
  const Dataset& dataset_;
  const Ranker& ranker_;
  fs::path out_;
  FolderInMaking work_;  // never committed: gone at the end
  DuckDb db_;
  std::optional<TableAppender> rows_;
  std::set<int32_t> users_, items_;
  ScoringResult result_;
};

/// The rows that a student of the run's recipe would train on, with their frozen negatives.
LoaderOptions rows_of(const Ranker& ranker, const Dataset& dataset, const ScoringOptions& options,
                      uint64_t run_seed) {
  const Json& recipe = ranker.models.recipe;
  LoaderOptions rows = training_rows(recipe, dataset, options.seed.value_or(run_seed));
  rows.negatives_epoch = 0;
  if (options.split != Split::kTrain) {
    rows = validation_rows(dataset, read_train_recipe(recipe, dataset).loop);
    rows.split = options.split;
    rows.limit = 0;
  }
  rows.training = false;
  rows.dropout = false;
  rows.since = options.since;
  rows.until = options.until;
  if (options.lag > 0)
    rows.until = std::min(rows.until, before_end_of(dataset, options.split, options.lag, "--lag"));
  if (!options.rows.empty()) rows.rows = options.rows;
  if (options.negatives) rows.negatives = *options.negatives;
  return rows;
}

void write_rows(const Dataset& dataset, const Ranker& ranker, const LoaderOptions& options,
                ScoreWriter& writer) {
  const Loader loader(dataset, options);
  Prefetcher batches(loader);
  Progress progress("scoring rows", loader.rows(), "rows");
  const Impressions& shown = dataset.impressions();
  const bool requests = options.rows == "impressions";
  batches.start(0);
  while (const Batch* batch = batches.next()) {
    check_interrupt("scoring");
    const std::vector<torch::Tensor> scores = ranker.score(*batch);
    for (int64_t row = 0; row < batch->rows(); ++row) {
      const auto at = static_cast<size_t>(row);
      const auto source = static_cast<size_t>(batch->source[at]);
      writer.add(batch->user[at], batch->item[at], batch->time[at],
                 requests ? shown.request[source] : -1, requests ? shown.position[source] : -1,
                 scores, row);
    }
    progress.add(batch->rows());
  }
}

/// User rows of one batch with all its items, a block of user rows at a time.
void write_batch(const Assembler& assembler, const Ranker& ranker, const Batch& batch,
                 ScoreWriter& writer) {
  std::vector<int32_t> items(batch.item);
  std::sort(items.begin(), items.end());
  items.erase(std::unique(items.begin(), items.end()), items.end());
  std::vector<PairGroup> groups;
  Batch pairs;
  const auto flush = [&] {
    check_interrupt("scoring");
    assemble_pairs(assembler, groups, pairs);
    const std::vector<torch::Tensor> scores = ranker.score(pairs);
    for (int64_t row = 0; row < pairs.rows(); ++row) {
      const auto at = static_cast<size_t>(row);
      writer.add(pairs.user[at], pairs.item[at], pairs.time[at], -1, -1, scores, row);
    }
    groups.clear();
  };
  for (size_t row = 0; row < batch.item.size(); ++row) {
    if (row > 0 && batch.user_of_row[row] == batch.user_of_row[row - 1]) continue;
    groups.push_back({{batch.user[row], batch.time[row], -1}, items});
    if (std::ssize(groups) * std::ssize(items) >= kPairsAtOnce) flush();
  }
  if (!groups.empty()) flush();
}

void write_in_batch(const Dataset& dataset, const Ranker& ranker, LoaderOptions options,
                    const ScoringOptions& wanted, ScoreWriter& writer) {
  options.training = options.split == Split::kTrain;  // shuffled as a training's first epoch
  if (!wanted.negatives) options.negatives = 0;
  if (wanted.batch > 0) options.batch = wanted.batch;
  const Loader loader(dataset, options);
  const int64_t all = loader.batches();
  const int64_t count = wanted.batches > 0 ? std::min(wanted.batches, all) : all;
  const Assembler assembler(dataset);
  Progress progress("scoring batches", count, "batches");
  Batch batch;
  for (int64_t index = 0; index < count; ++index) {
    loader.load(0, index, batch);
    write_batch(assembler, ranker, batch, writer);
    progress.update(index + 1);
  }
}

/// The users of a split's rows, and the moment just after the last of them.
struct Audience {
  std::vector<int32_t> users;
  int64_t moment = 0;
};

Audience audience_of(const Dataset& dataset, const LoaderOptions& rows) {
  std::set<int32_t> users;
  int64_t last = 0;
  const auto add = [&](int32_t user, int64_t time) {
    if (time < rows.since || time >= rows.until) return;
    users.insert(user);
    last = std::max(last, time);
  };
  if (rows.rows == "impressions") {
    const Impressions& shown = dataset.impressions();
    for (size_t row = 0; row < shown.item.size(); ++row)
      if (shown.split[row] == static_cast<uint8_t>(rows.split))
        add(shown.user[row], shown.time[row]);
  } else {
    for (const int64_t row : dataset.rows_of(rows.split))
      add(dataset.clicks().user[static_cast<size_t>(row)],
          dataset.clicks().time[static_cast<size_t>(row)]);
  }
  return {{users.begin(), users.end()}, dataset.has_time() ? last + 1 : 0};
}

/// The student's best of the candidates at a moment.
class Shortlist {
 public:
  Shortlist(const Dataset& dataset, const Ranker& ranker, std::span<const int32_t> items,
            int64_t moment, int32_t size)
      : towers_(ranker.models.student, dataset.schema(), ranker.device), size_(size) {
    std::vector<ItemMoment> moments;
    for (const int32_t item : items) moments.push_back({item, moment});
    SideBatch features;
    Assembler(dataset).items(moments, features);
    vectors_.resize(items.size() * static_cast<size_t>(towers_.dim()));
    towers_.encode_items(features, vectors_);
  }

  /// Places among the items, ascending, of those that `mask` leaves.
  std::vector<int32_t> best(const SideBatch& user, std::span<const uint8_t> mask) const {
    const auto dim = static_cast<size_t>(towers_.dim());
    std::vector<float> vector(dim);
    towers_.encode_users(user, vector);
    TopK chosen(size_);
    for (size_t item = 0; item < mask.size(); ++item)
      if (mask[item] != 0)
        chosen.push(static_cast<int32_t>(item),
                    dot(vector.data(), vectors_.data() + item * dim, towers_.dim()));
    std::vector<int32_t> places;
    for (const ScoredItem& one : chosen.take()) places.push_back(one.item);
    std::sort(places.begin(), places.end());
    return places;
  }

 private:
  TorchTowers towers_;
  int32_t size_;
  std::vector<float> vectors_;
};

size_t place_of_order(const std::vector<std::string>& logits, const std::string& order) {
  for (const std::string& name : {order, order.empty() ? std::string("read") : order}) {
    const auto at = std::find(logits.begin(), logits.end(), name);
    if (at != logits.end()) return static_cast<size_t>(at - logits.begin());
  }
  if (order.empty()) return 0;
  fail<ConfigError>("--order {}: the ranking model gives {}", order, fmt::join(logits, ", "));
}

/// Candidates of one user at a time: by the dataset's protocol, and by the student where asked.
void write_top(const Dataset& dataset, const Ranker& ranker, const LoaderOptions& rows,
               const ScoringOptions& options, ScoreWriter& writer) {
  const Audience audience = audience_of(dataset, rows);
  const size_t order = place_of_order(ranker.logits, options.order);
  const Protocol& protocol = dataset.protocol();
  CandidateWindow window(dataset, {.alive_window = protocol.alive_window,
                                   .refresh = protocol.refresh,
                                   .exclude_seen = protocol.exclude_seen});
  const Assembler assembler(dataset);
  std::optional<Shortlist> shortlist;
  Progress progress("scoring lists", std::ssize(audience.users), "users");
  std::vector<int32_t> items;
  Batch batch;
  for (const int32_t user : audience.users) {
    check_interrupt("scoring");
    const JudgedEvent event{
        .click = -1, .user = user, .item = -1, .time = audience.moment, .moment = audience.moment};
    window.start(std::span(&event, 1));
    std::vector<uint8_t> mask(window.items().size(), 1);
    if (window.masks()) window.mask(event, mask);
    if (options.candidates > 0 && !shortlist)
      shortlist.emplace(dataset, ranker, window.items(), audience.moment, options.candidates);
    items.clear();
    const UserMoment at{user, audience.moment, -1};
    if (shortlist) {
      SideBatch features;
      assembler.users(std::span(&at, 1), features);
      for (const int32_t place : shortlist->best(features, mask))
        items.push_back(window.items()[static_cast<size_t>(place)]);
    } else {
      for (size_t place = 0; place < mask.size(); ++place)
        if (mask[place] != 0) items.push_back(window.items()[place]);
    }
    TopK best(options.pairs.best);
    std::vector<torch::Tensor> columns(ranker.logits.size());
    std::vector<std::vector<torch::Tensor>> blocks(ranker.logits.size());
    for (size_t begin = 0; begin < items.size(); begin += kPairsAtOnce) {
      const size_t count = std::min<size_t>(kPairsAtOnce, items.size() - begin);
      const PairGroup group{at, std::span(items).subspan(begin, count)};
      assemble_pairs(assembler, std::span(&group, 1), batch);
      const std::vector<torch::Tensor> scores = ranker.score(batch);
      for (size_t name = 0; name < scores.size(); ++name) blocks[name].push_back(scores[name]);
      for (size_t place = 0; place < count; ++place)
        best.push(static_cast<int32_t>(begin + place), scores[order].data_ptr<float>()[place]);
    }
    if (items.empty()) continue;
    for (size_t name = 0; name < columns.size(); ++name)
      columns[name] = blocks[name].size() == 1 ? blocks[name][0] : torch::cat(blocks[name]);
    int64_t place = 0;
    for (const ScoredItem& one : best.take())
      writer.add(user, items[static_cast<size_t>(one.item)], audience.moment, -1, ++place, columns,
                 one.item);
    progress.add(1);
  }
}

}  // namespace

ScorePairs ScorePairs::parse(const std::string& text) {
  if (text == "logged") return {Kind::kLogged, 0};
  if (text == "in-batch") return {Kind::kInBatch, 0};
  int32_t best = 0;
  const char* end = text.data() + text.size();
  if (text.starts_with("top-")) {
    const auto parsed = std::from_chars(text.data() + 4, end, best);
    if (parsed.ec == std::errc() && parsed.ptr == end && best > 0) return {Kind::kTop, best};
  }
  fail<ConfigError>("pairs '{}': logged, in-batch or top-N, as in top-100, is expected", text);
}

ScoringResult score_pairs(const fs::path& run, const Dataset& dataset,
                          const ScoringOptions& options, const fs::path& out) {
  const auto begin = std::chrono::steady_clock::now();
  const Ranker ranker(run, dataset, options.device);
  const Json info = read_json(RunPaths(run).info);
  const LoaderOptions rows = rows_of(ranker, dataset, options, info.at("seed").get<uint64_t>());
  ScoreWriter writer(dataset, ranker, out);
  switch (options.pairs.kind) {
    case ScorePairs::Kind::kLogged:
      write_rows(dataset, ranker, rows, writer);
      break;
    case ScorePairs::Kind::kInBatch:
      write_in_batch(dataset, ranker, rows, options, writer);
      break;
    case ScorePairs::Kind::kTop:
      write_top(dataset, ranker, rows, options, writer);
  }
  ScoringResult result = writer.finish();
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return result;
}

Json to_json(const ScoringResult& result) {
  return {{"rows", result.rows},
          {"users", result.users},
          {"items", result.items},
          {"logits", result.logits},
          {"snapshot", result.snapshot},
          {"bytes", result.bytes},
          {"seconds", result.seconds},
          {"rows_per_second", static_cast<double>(result.rows) / result.seconds}};
}

}  // namespace retort
