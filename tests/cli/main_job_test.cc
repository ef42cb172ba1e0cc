// The main job on a tiny world, command by command, as scripts/quickstart runs it.
#include "executable.h"
#include <fmt/format.h>
#include <gtest/gtest.h>

namespace retort {
namespace {

/// World, dataset, run and bundles, made once for all tests of this file.
class MainJob : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TestFolder;
    simulated_ = retort_command("simulate feed --preset tiny --json --quiet --out " + at("world"));
    ingested_ = retort_command("ingest feed --json --quiet --from " + at("world") + " --out " +
                               at("dataset"));
    trained_ = retort_command("train dmtl --preset tiny --json --quiet --threads 2 --dataset " +
                              at("dataset") + " --out " + at("run"));
    published_ = retort_command("publish " + at("run") + " --json --quiet --to " + at("bundles"));
  }
  static void TearDownTestSuite() { delete folder_; }
  static std::string at(const std::string& name) { return *folder_ / name; }

  inline static TestFolder* folder_ = nullptr;
  inline static Outcome simulated_, ingested_, trained_, published_;
};

TEST_F(MainJob, SimulateLeavesLogAndTruth) {
  ASSERT_EQ(simulated_.code, 0) << simulated_.err;
  EXPECT_EQ(simulated_.json()["path"], at("world"));
  EXPECT_TRUE(fs::exists(at("world/impressions.parquet")));
  EXPECT_TRUE(fs::is_directory(at("world/truth")));
}

TEST_F(MainJob, IngestCountsAddUp) {
  ASSERT_EQ(ingested_.code, 0) << ingested_.err;
  const Json json = ingested_.json();
  int64_t rejected = 0;
  for (const auto& [reason, count] : json["rejected"].items()) rejected += count.get<int64_t>();
  EXPECT_GT(json["rows_read"].get<int64_t>(), 0);
  EXPECT_EQ(json["rows_read"].get<int64_t>(), json["kept"].get<int64_t>() + rejected);
}

TEST_F(MainJob, TrainWritesARunThatASecondCallDoesNotOverwrite) {
  ASSERT_EQ(trained_.code, 0) << trained_.err;
  EXPECT_GT(trained_.json()["steps"].get<int64_t>(), 0);
  EXPECT_TRUE(fs::exists(at("run/metrics.jsonl")));
  const Outcome again = retort_command("train dmtl --preset tiny --quiet --dataset " +
                                       at("dataset") + " --out " + at("run"));
  EXPECT_NE(again.code, 0);
  EXPECT_NE(again.err.find(at("run")), std::string::npos) << again.err;
}

TEST_F(MainJob, EvaluateHasTheContractsKeysAndTheCeilingAboveTheModel) {
  const Outcome outcome = retort_command("evaluate " + at("run") + " --json --quiet --truth " +
                                         at("world") + " --resamples 20");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json models = outcome.json()["models"];
  for (const char* row : {"dmtl", "teacher", "popularity", "oracle"})
    ASSERT_TRUE(models.contains(row)) << row << " of " << outcome.out;
  for (const char* metric : {"auc_read", "auc_click", "auc_read_given_click", "auc_read_vs_sampled",
                             "recall@20", "ndcg@20", "mrr", "coverage@100"})
    ASSERT_TRUE(models["dmtl"].contains(metric)) << metric << " of " << models["dmtl"].dump();
  const Json auc = models["dmtl"]["auc_read"];
  EXPECT_LE(auc["low"].get<double>(), auc["value"].get<double>());
  EXPECT_GE(auc["high"].get<double>(), auc["value"].get<double>());
  EXPECT_GT(models["oracle"]["auc_read"]["value"].get<double>(), 0.7);
  EXPECT_GT(models["oracle"]["auc_read"]["value"].get<double>(), auc["value"].get<double>());
  EXPECT_GT(models["oracle"]["auc_read"]["value"].get<double>(),
            models["oracle_click"]["auc_read"]["value"].get<double>());
  EXPECT_EQ(models["oracle"]["auc_click"], models["oracle_click"]["auc_click"]);
}

TEST_F(MainJob, RetrieveAnswersFromTheBundle) {
  ASSERT_EQ(published_.code, 0) << published_.err;
  EXPECT_EQ(published_.json()["version"], 1);
  const auto manifest = [](const char* file) { return Json::parse(read_file(at(file))); };
  EXPECT_EQ(manifest("bundles/1/manifest.json")["trained_until"],
            manifest("dataset/manifest.json")["split"]["valid_from"]);
  Outcome outcome;
  int user = 0;
  do {  // the first users who are in the log
    outcome = retort_command("retrieve " + at("bundles") + " -k 10 --exclude-seen --json --truth " +
                             at("world") + " --user " + fmt::format("u{:06}", user++));
  } while (outcome.code == 3 && user < 50);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const Json json = outcome.json();
  EXPECT_EQ(json["version"], 1);
  ASSERT_EQ(json["items"].size(), 10U);
  for (size_t i = 0; i < 10; ++i) {
    const Json& item = json["items"][i];
    EXPECT_TRUE(item["click_bait"].is_boolean());
    EXPECT_GT(item["expected_seconds"].get<double>(), 0);
    if (i > 0) {
      EXPECT_LE(item["score"].get<double>(), json["items"][i - 1]["score"].get<double>());
    }
  }
}

TEST_F(MainJob, RetrieveRefusesAnUnknownUserAndAFlippedByte) {
  ASSERT_EQ(published_.code, 0) << published_.err;
  EXPECT_EQ(retort_command("retrieve " + at("bundles") + " --user nobody").code, 3);
  fs::copy(at("bundles/1"), at("flipped"), fs::copy_options::recursive);
  std::string weights = read_file(at("flipped/weights.safetensors"));
  weights[weights.size() / 2] ^= 1;
  write_file(at("flipped/weights.safetensors"), weights);
  const Outcome outcome = retort_command("retrieve " + at("flipped") + " --user u000001");
  EXPECT_EQ(outcome.code, 3);
  EXPECT_NE(outcome.err.find("weights.safetensors"), std::string::npos) << outcome.err;
}

TEST_F(MainJob, ExportWritesVectors) {
  ASSERT_EQ(published_.code, 0) << published_.err;
  for (const std::string format : {"npy", "parquet"}) {
    const std::string file = at("items." + format);
    const Outcome outcome = retort_command("export " + at("bundles") + " --json --vectors items " +
                                           "--format " + format + " --out " + file);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_GT(fs::file_size(file), outcome.json()["rows"].get<uint64_t>());
  }
}

TEST_F(MainJob, PublishesTheTeacherAndExportsTowers) {
  ASSERT_EQ(trained_.code, 0) << trained_.err;
  Outcome outcome = retort_command("publish " + at("run") + " --json --quiet --with-teacher --to " +
                                   at("taught"));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(Json::parse(read_file(at("taught/1/manifest.json")))["teacher"], "mmoe");
  outcome =
      retort_command("export " + at("taught") + " --json --vectors users --format npy --out " +
                     at("taught.npy"));  // loads the teacher as well
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  outcome = retort_command("export " + at("taught") + " --json --onnx " + at("towers"));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(outcome.json()["path"], at("towers"));
  const Json signature = Json::parse(read_file(at("towers/signature.json")));
  for (const char* tower : {"user_tower", "item_tower"}) {
    EXPECT_GT(fs::file_size(at("towers/" + std::string(tower) + ".onnx")), 10'000U);
    EXPECT_FALSE(signature[tower]["inputs"].empty());
  }
}

TEST_F(MainJob, ListAndDoctorReachRetortTrain) {
  for (const std::string kind : {"models", "losses"}) {
    const Outcome outcome = retort_command("list " + kind + " --json");
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_GE(outcome.json()[kind].size(), 2U);
  }
  EXPECT_TRUE(retort_command("doctor --json").json()["libtorch"].is_string());
  for (const std::string name : {"train", "evaluate", "compare", "publish"}) {
    const Outcome outcome = retort_command(name + " --help");
    EXPECT_EQ(outcome.code, 0) << name;
    EXPECT_NE(outcome.out.find("retort " + name), std::string::npos) << outcome.out;
  }
}

TEST_F(MainJob, AnInterruptEndsTrainingWithCode130AndACheckpoint) {
  ASSERT_EQ(ingested_.code, 0) << ingested_.err;
  const std::string run = at("interrupted");
  const std::string train = "\"" + (fs::path(RETORT_BIN) / "retort").string() +
                            "\" train dmtl --preset tiny --quiet --set train.epochs=500" +
                            " --set train.patience=0 --dataset " + at("dataset") + " --out " + run;
  const Outcome outcome =
      run_program("/bin/sh", "-c '" + train + " & pid=$!; while kill -0 $pid && [ ! -s " + run +
                                 "/run.json ]; do sleep 0.1; done; kill -INT $pid; wait $pid'");
  EXPECT_EQ(outcome.code, 130) << outcome.err;
  EXPECT_NE(outcome.err.find("nterrupted"), std::string::npos) << outcome.err;
  EXPECT_FALSE(fs::is_empty(run + "/checkpoints"));
}

}  // namespace
}  // namespace retort
