// `retort score` and the students that learn from its files: what is written, what is learned, and
// what is promised of every training run.
#include <algorithm>
#include <cmath>
#include <set>

#include "tests/support/scratch_folder.h"
#include "tests/trainer/learnable_data.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/common/thread_pool.h"
#include "retort/dataset/pair_batch.h"
#include "retort/dataset/prefetcher.h"
#include "retort/dataset/score_store.h"
#include "retort/log/duckdb.h"
#include "retort/trainer/checkpoint.h"
#include "retort/trainer/run_folder.h"
#include "retort/trainer/score_lists.h"
#include "retort/trainer/score_pairs.h"
#include "retort/trainer/train.h"
#include "retort/trainer/trained_model.h"

namespace retort {
namespace {

// The run scores in bf16 where it can, the file keeps what an earlier pass gave.
constexpr double kSameLoss = 1e-3;

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

class ScoredTraining : public testing::Test {
 protected:
  // One dataset and one ranking model for all.
  static void SetUpTestSuite() {
    set_threads(1);
    scratch_ = new ScratchFolder;
    TinyDataset data = learnable_dataset(900);
    for (size_t i = 0; i < data.clicks.size(); ++i) data.clicks[i].split = split_at(i);
    data.write(*scratch_ / "data");
    dataset_ = new Dataset(*scratch_ / "data");
    run("ranker", tiny_recipe("dmtl", {"train.batch=120", "train.epochs=2"}));
    score("logged");
    score("top-12");
  }
  static void TearDownTestSuite() {
    delete dataset_;
    delete scratch_;
  }
  static Split split_at(size_t i) {
    return i < 630 ? Split::kTrain : i < 765 ? Split::kValid : Split::kTest;
  }
  static TrainResult run(const std::string& folder, const Json& recipe, int64_t stop = -1,
                         bool resume = false) {
    TrainOptions options{.run = *scratch_ / folder, .resume = resume, .device = "cpu"};
    options.stop_after_step = stop;
    return train(recipe, *dataset_, options);
  }
  static std::string path(const std::string& name) { return (*scratch_ / name).string(); }
  static ScoringResult score(const std::string& pairs, ScoringOptions options = {},
                             std::string out = {}) {
    options.pairs = ScorePairs::parse(pairs);
    options.device = "cpu";
    if (out.empty()) out = pairs + ".parquet";
    return score_pairs(*scratch_ / "ranker", *dataset_, options, *scratch_ / out);
  }
  static Json recipe(const std::string& name, const std::string& file,
                     std::vector<std::string> sets = {}) {
    sets.insert(sets.begin(), {"train.batch=120", "train.epochs=2", "train.log_every=3",
                               "scores.file=" + path(file)});
    return tiny_recipe(name, sets);
  }
  /// The ranking model's logit of a pair, asked for alone.
  static float logit_of(const TrainedModel& model, const char* task, int32_t user, int32_t item,
                        int64_t time) {
    static const Assembler assembler(*dataset_);
    const PairGroup group{{user, time, -1}, std::span(&item, 1)};
    Batch batch;
    assemble_pairs(assembler, std::span(&group, 1), batch);
    float value = 0;
    model.teacher()->score(batch, task, std::span(&value, 1));
    return value;
  }
  static int64_t count(const std::string& file, const std::string& where = "true") {
    DuckDb db;
    return *db.query_integer("SELECT count(*) FROM read_parquet(" + sql_string(path(file)) +
                             ") WHERE " + where);
  }
  static inline ScratchFolder* scratch_ = nullptr;
  static inline Dataset* dataset_ = nullptr;
};

TEST_F(ScoredTraining, LoggedPairsAreTheRowsOfAFirstEpochWithTheRankersLogits) {
  const TrainedModel model(*scratch_ / "ranker", *dataset_, "cpu");
  const ScoreStore store(*dataset_, {.file = path("logged.parquet")});
  EXPECT_THAT(store.names(), ElementsAre("click", "read", "read_given_click"));
  EXPECT_EQ(store.match(), "row");
  EXPECT_EQ(store.counts().rows, 630 * 5);
  ASSERT_EQ(store.snapshots().size(), 1U);
  EXPECT_THAT(store.snapshots()[0], HasSubstr("dmtl/seed1/step"));
  LoaderOptions rows;
  rows.batch = 77;
  rows.negatives_epoch = 0;
  const Loader loader(*dataset_, rows);
  Prefetcher batches(loader);
  batches.start(1);  // the negatives of epoch 0 all the same
  int64_t seen = 0;
  while (const Batch* batch = batches.next())
    for (size_t row = 0; row < batch->item.size(); ++row, ++seen) {
      const int64_t at = store.find(batch->user[row], batch->item[row], batch->time[row]);
      ASSERT_GE(at, 0);
      if (seen % 50 != 0) continue;
      for (size_t name = 0; name < 3; ++name)
        EXPECT_NEAR(store.logit(name, at),
                    logit_of(model, store.names()[name].c_str(), batch->user[row], batch->item[row],
                             batch->time[row]),
                    1e-5);
    }
  EXPECT_EQ(seen, 630 * 5);
}

TEST_F(ScoredTraining, TopPairsAreTheRankersBestOfAllCandidates) {
  const TrainedModel model(*scratch_ / "ranker", *dataset_, "cpu");
  ScoreStore store(*dataset_, {.file = path("top-12.parquet"), .match = "pair"});
  store.make_lists({{"read", 1.0}});
  EXPECT_EQ(count("top-12.parquet"), 30 * 12);
  EXPECT_EQ(count("top-12.parquet", "position = 12"), 30);
  int64_t moment = 0;
  for (const int64_t row : dataset_->rows_of(Split::kTrain))
    moment = std::max(moment, dataset_->clicks().time[static_cast<size_t>(row)] + 1);
  for (const int32_t user : {0, 7, 29}) {
    std::vector<std::pair<float, int32_t>> all;
    for (int32_t item = 0; item < 40; ++item)
      all.emplace_back(-logit_of(model, "read", user, item, moment), item);
    std::sort(all.begin(), all.end());
    const ScoreStore::List list = store.list(user);
    ASSERT_EQ(list.item.size(), 12U);
    for (size_t place = 0; place < 12; ++place) {
      EXPECT_EQ(list.item[place], all[place].second) << user << ' ' << place;
      EXPECT_NEAR(list.score[place], -all[place].first, 1e-5);
    }
  }
}

TEST_F(ScoredTraining, ARerankedShortlistIsThatOfTheRunsOwnStudent) {
  ScoringOptions options;
  options.candidates = 40;  // all there are
  score("top-12", options, "all.parquet");
  DuckDb db;
  const auto same = [&](const std::string& other) {
    return *db.query_integer(fmt::format(
        "SELECT count(*) FROM read_parquet({}) a JOIN read_parquet({}) b USING (user, item, "
        "position)",
        sql_string(path("top-12.parquet")), sql_string(path(other))));
  };
  EXPECT_EQ(same("all.parquet"), 30 * 12);
  options.candidates = 14;
  score("top-12", options, "few.parquet");
  EXPECT_EQ(count("few.parquet"), 30 * 12);
  EXPECT_LT(same("few.parquet"), 30 * 12);
}

TEST_F(ScoredTraining, InBatchPairsAreUsersTimesItems) {
  ScoringOptions options;
  options.batch = 25;
  options.batches = 2;
  score("in-batch", options);
  LoaderOptions rows;
  rows.batch = 25;
  rows.negatives = 0;
  const Loader loader(*dataset_, rows);
  int64_t expected = 0;
  Batch batch;
  const ScoreStore store(*dataset_, {.file = path("in-batch.parquet")});
  for (int64_t index = 0; index < 2; ++index) {
    loader.load(0, index, batch);
    const std::set<int32_t> items(batch.item.begin(), batch.item.end());
    expected += 25 * std::ssize(items);
    for (size_t row = 0; row < 25; ++row)
      for (const int32_t item : items)
        ASSERT_GE(store.find(batch.user[row], item, batch.time[row]), 0);
  }
  EXPECT_EQ(count("in-batch.parquet"), expected);
}

TEST_F(ScoredTraining, ALagLeavesOutTheLastRows) {
  ScoringOptions options;
  options.lag = int64_t{3'600'000'000};
  options.negatives = 0;
  score("logged", options, "lag.parquet");
  EXPECT_EQ(count("lag.parquet"), 630 - 60);  // a click a minute
  options.lag *= 100;
  EXPECT_THROW(score("logged", options, "nothing.parquet"), DataError);
  EXPECT_FALSE(fs::exists(path("nothing.parquet")));
  EXPECT_FALSE(fs::exists(path("nothing.parquet.work")));
}

TEST_F(ScoredTraining, StoredScoresTeachAsTheRunThatMadeThemDoes) {
  run("stored", recipe("offline_point", "logged.parquet"));
  run("snapshot",
      recipe("offline_point", "", {"scores.kind=snapshot", "distill.run=" + path("ranker")}));
  const auto stored = metrics_of(*scratch_ / "stored"), live = metrics_of(*scratch_ / "snapshot");
  ASSERT_EQ(stored.size(), live.size());
  for (size_t i = 0; i < stored.size(); ++i) {
    if (stored[i]["split"] != "train") continue;  // rows of validation have no stored scores
    EXPECT_NEAR(stored[i]["loss"].get<double>(), live[i]["loss"].get<double>(), kSameLoss);
    EXPECT_EQ(stored[i]["coverage"]["rows"], 1.0);
  }
  const auto losses = metrics_of(*scratch_ / "stored");
  EXPECT_LT(losses[losses.size() - 2]["loss"], losses[0]["loss"]);
}

TEST_F(ScoredTraining, UnknownRowsAreMaskedOrScoredByTheRun) {
  // Of the second epoch's fresh negatives the file knows few.
  run("masked", recipe("offline_point", "logged.parquet", {"negatives.fresh=true"}));
  double share = 0;
  for (const Json& line : metrics_of(*scratch_ / "masked"))
    if (line["split"] == "train") share = line["coverage"]["rows"];
  EXPECT_GT(share, 0.2);
  EXPECT_LT(share, 0.9);
  const std::vector<std::string> sets{"negatives.fresh=true", "distill.run=" + path("ranker")};
  std::vector<std::string> rescore = sets, live = sets;
  rescore.emplace_back("scores.missing=rescore");
  live.emplace_back("scores.kind=snapshot");
  run("rescored", recipe("offline_point", "logged.parquet", rescore));
  run("live", recipe("offline_point", "", live));
  const auto a = metrics_of(*scratch_ / "rescored"), b = metrics_of(*scratch_ / "live");
  for (size_t i = 0; i < a.size(); ++i)
    EXPECT_NEAR(a[i]["loss"].get<double>(), b[i]["loss"].get<double>(), kSameLoss);
}

TEST_F(ScoredTraining, EveryOfflineRecipeLearnsAndResumesExactly) {
  struct Case {
    std::string name, file;
    std::vector<std::string> sets;
  };
  const std::vector<Case> cases{
      {"offline_point", "logged.parquet", {}},
      {"offline_rank", "top-12.parquet", {"terms.kd.mu=0.1", "terms.kd.mu_after=3"}},
      {"offline_pair", "top-12.parquet", {"terms.margin.enabled=true"}},
      {"offline_list",
       "top-12.parquet",
       {"terms.rrd.enabled=true", "terms.mle.enabled=true", "terms.cd.enabled=true",
        "scores.lists.sample=rank", "scores.lists.length=6", "scores.lists.rest=9"}},
      {"offline_rank", "logged.parquet", {"terms.weight.enabled=true"}},
      {"offline_in_batch", "logged.parquet", {}},
  };
  int number = 0;
  for (const auto& [name, file, sets] : cases) {
    SCOPED_TRACE(name + " of " + file);
    const std::string whole = fmt::format("whole{}", number), cut = fmt::format("cut{}", number);
    ++number;
    const Json wanted = recipe(name, file, sets);
    const int64_t steps = run(whole, wanted).steps;
    ASSERT_GT(steps, 6);
    EXPECT_THROW(run(cut, wanted, steps / 2 + 1), Interrupted);
    run(cut, wanted, -1, true);
    const RunPaths one(*scratch_ / whole), two(*scratch_ / cut);
    const Checkpoint expected = load_checkpoint(one.last), got = load_checkpoint(two.last);
    for (const auto& [tensor, value] : expected.tensors)
      EXPECT_TRUE(torch::equal(value, got.tensors.at(tensor))) << tensor;
    std::vector<double> losses;
    for (const Json& line : metrics_of(*scratch_ / whole))
      if (line.at("kind") == "epoch" && line.at("split") == "train") losses.push_back(line["loss"]);
    EXPECT_LT(losses.back(), losses.front());
  }
}

TEST_F(ScoredTraining, PairsOfABatchAreCountedAndTheRestIsScoredWhereAsked) {
  run("mask", recipe("offline_in_batch", "logged.parquet"));
  const double share = metrics_of(*scratch_ / "mask")[0]["coverage"]["pairs"];
  // By hand: the first steps' batches against the file's pairs.
  const ScoreStore store(*dataset_, {.file = path("logged.parquet"), .match = "pair"});
  LoaderOptions rows;
  rows.batch = 120;
  rows.negatives = 0;
  const Loader loader(*dataset_, rows);
  double expected = 0;
  Batch batch;
  for (int64_t index = 0; index < 3; ++index) {
    loader.load(0, index, batch);
    int64_t known = 0;
    for (size_t user = 0; user < batch.item.size(); ++user)
      for (size_t item = 0; item < batch.item.size(); ++item)
        known += store.find(batch.user[user], batch.item[item], 0) >= 0 ? 1 : 0;
    expected += static_cast<double>(known) / static_cast<double>(batch.rows() * batch.rows()) / 3;
  }
  EXPECT_NEAR(share, expected, 1e-12);
  EXPECT_LT(share, 1);
  const std::string ranker = "distill.run=" + path("ranker");
  run("rescore", recipe("offline_in_batch", "logged.parquet", {"scores.missing=rescore", ranker}));
  run("all", recipe("offline_in_batch", "", {"scores.kind=snapshot", ranker}));
  EXPECT_NEAR(metrics_of(*scratch_ / "rescore")[0]["coverage"]["pairs"].get<double>(), expected,
              1e-12);
  EXPECT_NEAR(metrics_of(*scratch_ / "rescore")[0]["loss"].get<double>(),
              metrics_of(*scratch_ / "all")[0]["loss"].get<double>(), 0.02);
}

TEST_F(ScoredTraining, ListsAreChosenByRankAndTheRestIsOutsideThem) {
  ScoreStore store(*dataset_, {.file = path("top-12.parquet")});
  store.make_lists({{"read", 1.0}});
  ScoreOptions::Lists options;
  options.length = 5;
  options.rest = 9;
  options.by_rank = true;
  options.spread = 4;
  const ScoreLists lists(*dataset_, store, options, true, torch::kCPU);
  LoaderOptions rows;
  rows.batch = 100;
  const Loader loader(*dataset_, rows);
  Batch batch;
  loader.load(0, 0, batch);
  std::vector<double> drawn(12);
  const int64_t steps = 200;
  for (int64_t step = 0; step < steps; ++step) {
    ScoredInputs scored;
    const SideTensors side = lists.fill(batch, Rng(1, "test").fork(step), scored);
    const torch::Tensor ids = side.sparse[0].ids - 1;  // item_id: row 1 + item
    ASSERT_EQ(scored.list_row.size(0), 20);
    for (int64_t list = 0; list < 20; ++list) {
      const auto user = batch.user[static_cast<size_t>(scored.list_row[list].item<int64_t>())];
      int32_t last = 0;
      for (int64_t k = 0; k < 5; ++k) {
        const auto item = ids[scored.list_places[list][k]].item<int64_t>();
        const int32_t rank = store.rank(user, static_cast<int32_t>(item));
        ASSERT_GT(rank, last);
        last = rank;
        drawn[static_cast<size_t>(rank - 1)] += 1.0 / static_cast<double>(20 * steps);
      }
      std::set<int64_t> rest;
      for (int64_t n = 0; n < 9; ++n) {
        const auto item = ids[scored.rest_places[list][n]].item<int64_t>();
        ASSERT_EQ(store.rank(user, static_cast<int32_t>(item)), 0);
        rest.insert(item);
      }
      ASSERT_EQ(rest.size(), 9U);
    }
  }
  // Inclusion probabilities of sampling without replacement fall with the rank; the first is
  // 1 - P(not among 5 successive draws), by enumeration of the urn in closed loops below.
  std::vector<double> inclusion(12);
  const auto walk = [&](auto& self, std::vector<bool>& taken, int left, double p) -> void {
    if (left == 0) return;
    double sum = 0;
    for (int i = 0; i < 12; ++i) sum += taken[i] ? 0 : std::exp(-(i + 1) / 4.0);
    for (int i = 0; i < 12; ++i) {
      if (taken[i]) continue;
      const double q = p * std::exp(-(i + 1) / 4.0) / sum;
      inclusion[i] += q;
      taken[i] = true;
      self(self, taken, left - 1, q);
      taken[i] = false;
    }
  };
  std::vector<bool> taken(12);
  walk(walk, taken, 5, 1);
  for (size_t rank = 0; rank < 12; ++rank) EXPECT_NEAR(drawn[rank], inclusion[rank], 0.03) << rank;
}

TEST_F(ScoredTraining, WhatDoesNotFitIsNamedWithItsRemedy) {
  run("no_teacher", recipe("offline_point", "logged.parquet", {"train.epochs=1"}));
  const auto train_with = [&](const Json& recipe) { run("refused", recipe); };
  EXPECT_THAT(
      [&] {
        score_pairs(*scratch_ / "no_teacher", *dataset_, {.device = "cpu"}, path("x.parquet"));
      },
      ThrowsMessage<ConfigError>(HasSubstr("no ranking model")));
  EXPECT_THAT([&] { ScorePairs::parse("top-0"); }, ThrowsMessage<ConfigError>(HasSubstr("top-N")));
  EXPECT_THAT([&] { score("logged"); }, ThrowsMessage<IoError>(HasSubstr("exists already")));
  EXPECT_THAT([&] { train_with(recipe("offline_list", "logged.parquet", {"scores.file=''"})); },
              ThrowsMessage<ConfigError>(HasSubstr("retort score")));
  EXPECT_THAT([&] { train_with(recipe("offline_point", "top-12.parquet")); },
              ThrowsMessage<DataError>(AllOf(HasSubstr("covers none"), HasSubstr("match"))));
  EXPECT_THAT(
      [&] {
        train_with(recipe("offline_point", "logged.parquet", {"terms.kd.target=scored_reed"}));
      },
      ThrowsMessage<ConfigError>(AllOf(HasSubstr("scored_reed"), HasSubstr("'scored_read'"))));
  EXPECT_THAT(
      [&] { train_with(recipe("offline_point", "logged.parquet", {"scores.kind=snapshot"})); },
      ThrowsMessage<ConfigError>(HasSubstr("distill.run")));
  EXPECT_THAT([&] { train_with(recipe("dmtl", "logged.parquet")); },
              ThrowsMessage<ConfigError>(HasSubstr("no term learns from them")));
  Json without = recipe("offline_list", "top-12.parquet");
  without.erase("scores");
  EXPECT_THAT([&] { train_with(without); }, ThrowsMessage<ConfigError>(HasSubstr("'scores'")));
  EXPECT_FALSE(fs::exists(path("refused")));
  // Another file under a run that is resumed.
  fs::copy_file(path("logged.parquet"), path("mine.parquet"));
  const Json mine = recipe("offline_point", "mine.parquet");
  EXPECT_THROW(run("mine", mine, 3), Interrupted);
  fs::remove(path("mine.parquet"));
  ScoringOptions options;
  options.lag = int64_t{3'600'000'000};
  score("logged", options, "mine.parquet");
  EXPECT_THAT([&] { run("mine", mine, -1, true); },
              ThrowsMessage<ConfigError>(HasSubstr("scores.file")));
}

}  // namespace
}  // namespace retort
