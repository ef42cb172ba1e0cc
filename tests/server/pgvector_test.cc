// Item vectors in a real Postgres with pgvector, which runs under Node (tests/node).
#include <algorithm>
#include <chrono>
#include <csignal>
#include <optional>
#include <thread>

#include "tests/server/running_server.h"
#include "tests/support/child_process.h"
#include "tests/support/node.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/rng.h"
#include "retort/server/http.h"
#include "retort/server/pgvector_export.h"
#include "retort/server/pgvector_index.h"

namespace retort {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

class PgvectorTest : public testing::Test {
 protected:
  void SetUp() override {
    const std::string missing = node_missing(false);
    if (!missing.empty()) GTEST_SKIP() << missing;
    start();
    ASSERT_NE(port_, "0") << database_->log();
  }
  void start() {
    database_.emplace(std::vector<std::string>{"node", RETORT_SOURCE "/tests/node/postgres.mjs",
                                               port_, (scratch_ / "postgres").string()},
                      scratch_ / "postgres.log");
    port_ = database_->line_after("listening on ");
  }
  std::string url() const { return "postgresql://postgres@127.0.0.1:" + port_ + "/postgres"; }
  ServerOptions options(const fs::path& bundles) const {
    ServerOptions options = RunningServer::of(bundles);
    options.index = "pgvector";
    options.database = url();
    return options;
  }

  ScratchFolder scratch_;
  std::string port_ = "0";
  std::optional<ChildProcess> database_;
};

TEST_F(PgvectorTest, FindsWhatTheExactIndexFindsUnderEveryFilter) {
  const TinyPublication tiny(random_tiny_dataset(5, 12, 300, 900));
  const Bundle bundle(tiny.publish().path);
  PostgresConnection database(url());
  fill_pgvector(database, bundle, {.batch = 7, .hnsw = false});
  const auto pool = std::make_shared<PostgresPool>(url());
  const PgvectorIndex naming(pool, bundle), fetching(pool, bundle, 0);
  EXPECT_EQ(naming.size(), bundle.items());
  const std::unique_ptr<ItemIndex> exact = find_index("exact").make({{"storage", "fp32"}});
  exact->build(bundle.item_vectors(), bundle.vector_dim());
  const Rng rng(3, "queries");
  uint64_t draw = 0;
  for (const double allowed : {1.0, .9, .5, .1, .01, 0.0}) {
    ItemFilter filter;
    if (allowed < 1) filter = ItemFilter::all(bundle.items());
    for (int32_t item = 0; item < bundle.items(); ++item)
      if (rng.uniform(draw++) >= allowed) filter.forbid(item);
    std::vector<float> query(static_cast<size_t>(bundle.vector_dim()));
    for (float& value : query) value = static_cast<float>(rng.normal(draw++));
    for (const int32_t k : {1, 10, 400}) {
      const std::vector<SearchHit> wanted = exact->search(query, k, filter);
      for (const PgvectorIndex* index : {&naming, &fetching}) {
        const std::vector<SearchHit> found = index->search(query, k, filter);
        ASSERT_EQ(found.size(), wanted.size()) << allowed << ' ' << k;
        for (size_t i = 0; i < found.size(); ++i) {
          EXPECT_NEAR(found[i].score, wanted[i].score, 1e-5);
          EXPECT_TRUE(filter.allows(found[i].item));
        }
      }
    }
  }
}

TEST_F(PgvectorTest, AnExportThatWasCutOffIsGoneOnWith) {
  const TinyPublication tiny(random_tiny_dataset(5, 12, 60, 400));
  const Bundle bundle(tiny.publish().path);
  PostgresConnection database(url());
  PgvectorFill cut{.batch = 10};
  cut.progress = [](int64_t rows) {
    if (rows >= 20) throw Interrupted("cut off");
  };
  EXPECT_THROW(fill_pgvector(database, bundle, cut), Interrupted);
  EXPECT_FALSE(pgvector_complete(database, bundle));
  EXPECT_THROW(PgvectorIndex(std::make_shared<PostgresPool>(url()), bundle), DataError);
  const PgvectorFilled rest = fill_pgvector(database, bundle);
  EXPECT_EQ(rest.rows, bundle.items());
  EXPECT_EQ(rest.added, bundle.items() - 20);
  EXPECT_TRUE(pgvector_complete(database, bundle));
  EXPECT_EQ(fill_pgvector(database, bundle).added, 0);
  const PostgresRows rows =
      database.run("SELECT item, id, embedding FROM " + pgvector_table(bundle) + " ORDER BY item");
  ASSERT_EQ(rows.size(), bundle.items());
  for (int32_t item = 0; item < bundle.items(); ++item) {
    EXPECT_EQ(rows.integer(item, 0), item);
    EXPECT_EQ(rows.text(item, 1), bundle.item_keys()[item]);
    const Json vector = Json::parse(rows.text(item, 2));
    for (int32_t d = 0; d < bundle.vector_dim(); ++d)
      EXPECT_FLOAT_EQ(vector[static_cast<size_t>(d)].get<float>(),
                      bundle.item_vectors()[static_cast<size_t>(item * bundle.vector_dim() + d)]);
  }
}

TEST_F(PgvectorTest, OlderExportsOfTheModelGo) {
  const TinyPublication tiny;
  PostgresConnection database(url());
  std::vector<std::string> tables;
  for (int i = 0; i < 3; ++i) {
    const Bundle bundle(tiny.publish().path);
    tables.push_back(pgvector_table(bundle));
    EXPECT_EQ(fill_pgvector(database, bundle, {.keep = 2}).dropped, i == 2 ? 1 : 0);
  }
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(
        database.run("SELECT to_regclass('" + tables[static_cast<size_t>(i)] + "') IS NOT NULL")
            .text(0, 0),
        i == 0 ? "f" : "t");
}

/// The server answers from the database as it would from the bundle's index, takes a version once
/// its export is whole, says 503 while the database is gone and goes on once it is back.
TEST_F(PgvectorTest, ServesWhileTheDatabaseComesAndGoes) {
  const TinyPublication tiny(random_tiny_dataset(7, 12, 60, 400));
  const Bundle first(tiny.publish().path);
  {
    PostgresConnection database(url());
    fill_pgvector(database, first);
  }
  const Json body{{"user", std::string(first.user_keys()[1])}, {"k", 10}};
  const RunningServer server(options(tiny.bundles())), own(tiny.bundles());
  const Json models = server.ask("GET", "/v1/models").json();
  EXPECT_EQ(models["models"][0]["index"]["name"], "pgvector");
  const RawAnswer answer = server.ask("POST", "/v1/retrieve", body.dump());
  ASSERT_EQ(answer.status, 200) << answer.body;
  const Json wanted = own.ask("POST", "/v1/retrieve", body.dump()).json()["items"];
  const Json found = answer.json()["items"];
  ASSERT_EQ(found.size(), wanted.size());
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i]["id"], wanted[i]["id"]);
    EXPECT_NEAR(found[i]["score"], wanted[i]["score"], 1e-5);
  }

  const Bundle second(tiny.publish().path);
  const auto refusal = [&] {
    return server.ask("GET", "/v1/models").json()["models"][0]["refused"].dump();
  };
  for (int i = 0; i < 250 && refusal() == "{}"; ++i) std::this_thread::sleep_for(20ms);
  EXPECT_THAT(refusal(), HasSubstr("retort export"));
  {
    PostgresConnection database(url());
    fill_pgvector(database, second);
  }
  EXPECT_TRUE(server.serves(second.version()));
  EXPECT_EQ(refusal(), "{}");

  database_->signal(SIGKILL);
  database_->wait();
  const RawAnswer gone = server.ask("POST", "/v1/retrieve", body.dump());
  EXPECT_EQ(gone.status, 503) << gone.body;
  EXPECT_EQ(server.ask("GET", "/healthz").status, 200);
  EXPECT_THAT(server.ask("GET", "/metrics").body, HasSubstr("retort_index_unavailable"));
  start();
  int status = 0;
  for (int i = 0; i < 250 && status != 200; ++i) {
    status = server.ask("POST", "/v1/retrieve", body.dump()).status;
    std::this_thread::sleep_for(20ms);
  }
  EXPECT_EQ(status, 200);
}

TEST(Pgvector, SaysWhereTheDatabaseCannotBeReached) {
  const TinyPublication tiny;
  tiny.publish();
  ServerOptions options = RunningServer::of(tiny.bundles());
  options.index = "pgvector";
  options.database = "postgresql://someone:secret@127.0.0.1:1/none";
  try {
    const RunningServer server(options);
    FAIL() << "it started";
  } catch (const PostgresError& error) {
    EXPECT_THAT(error.what(), HasSubstr("no connection to the database"));
    EXPECT_THAT(error.what(), Not(HasSubstr("secret")));
  }
}

}  // namespace
}  // namespace retort
