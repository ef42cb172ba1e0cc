// Both stores against one contract; Redis is a real server that the test starts, stops, freezes and
// starts again.
#include "retort/server/feature_store.h"

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <thread>

#include "tests/bundle/tiny_bundle.h"
#include "tests/server/redis_process.h"
#include "tests/support/soak.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "retort/common/error.h"
#include "retort/common/rng.h"

namespace retort {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

std::vector<std::string> items_of(const StoredUser& user) {
  std::vector<std::string> items;
  for (const UserEvent& event : user.events) items.push_back(event.item);
  return items;
}

/// Milliseconds that a call takes.
template <class Call>
int64_t milliseconds_of(const Call& call) {
  const auto begin = steady_clock::now();
  call();
  return std::chrono::duration_cast<milliseconds>(steady_clock::now() - begin).count();
}

/// Waits up to ten seconds.
template <class Holds>
bool soon(const Holds& holds) {
  for (int i = 0; i < 1000; ++i) {
    if (holds()) return true;
    std::this_thread::sleep_for(milliseconds(10));
  }
  return false;
}

class FeatureStores : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (GetParam() == "redis") {
      if (!RedisProcess::installed()) GTEST_SKIP() << "redis-server is not installed";
      ASSERT_TRUE(redis_.start());
    }
    store_ = open();
  }
  std::unique_ptr<FeatureStore> open() const {
    // A loaded machine may take longer than the default to answer.
    return open_feature_store(GetParam() == "redis" ? redis_.url("?timeout_ms=2000")
                                                    : "lmdb:" + (scratch_ / "users").string());
  }
  const ScratchFolder scratch_;
  RedisProcess redis_;
  std::unique_ptr<FeatureStore> store_;
};
INSTANTIATE_TEST_SUITE_P(Both, FeatureStores, testing::Values("lmdb", "redis"));

TEST_P(FeatureStores, FeaturesAndEventsComeBackForSeveralUsersAtOnce) {
  const std::vector<NamedFeatures> users{{"u1", {{"segment", "a"}, {"age", 31.5}}},
                                         {"u\r\n2 \xC3\xA9", {{"segment", "b"}}}};
  ASSERT_TRUE(store_->put(users));
  ASSERT_TRUE(store_->append_event("u1", {"i1", 100, true, 12.5f}));
  ASSERT_TRUE(store_->append_event("u1", {"i2", 300, false}));
  ASSERT_TRUE(store_->append_event("u1", {"i3", 200, true, NAN, "liked"}));
  const std::vector<std::string> keys{"nobody", users[1].user, "u1"};
  const std::vector<StoredUser> found = store_->find(keys);
  ASSERT_EQ(found.size(), 3u);
  EXPECT_FALSE(found[0].features);
  EXPECT_TRUE(found[0].available);
  EXPECT_EQ(found[1].features, users[1].features);
  EXPECT_EQ(found[2].features, users[0].features);
  ASSERT_THAT(items_of(found[2]), ElementsAre("i2", "i3", "i1"));
  EXPECT_FALSE(found[2].events[0].clicked);
  EXPECT_EQ(found[2].events[1].stream, "liked");
  EXPECT_TRUE(std::isnan(found[2].events[1].seconds));
  EXPECT_EQ(found[2].events[2].seconds, 12.5f);
  EXPECT_EQ(found[2].events[2].time, 100);
  ASSERT_TRUE(store_->put(std::vector<NamedFeatures>{{"u1", {{"segment", "c"}}}}));
  EXPECT_EQ(store_->find("u1").features, Json({{"segment", "c"}}));
  EXPECT_EQ(store_->find("u1").events.size(), 3u);
  const StoreCounters counters = store_->counters();
  EXPECT_EQ(counters.reads, 5u);
  EXPECT_EQ(counters.writes, 6u);
  EXPECT_EQ(counters.unavailable + counters.failures + counters.bad_values, 0u);
  EXPECT_TRUE(counters.up);
}

TEST_P(FeatureStores, TheNewestEventsAreKeptOnceEach) {
  for (int64_t i = 0; i < 230; ++i)
    ASSERT_TRUE(store_->append_event("u", {fmt::format("i{}", i), 1000 + (i * 37) % 230}));
  ASSERT_TRUE(store_->append_event("u", {"i1", 1037}));
  const StoredUser user = store_->find("u");
  ASSERT_EQ(std::ssize(user.events), FeatureStore::kEvents);
  for (size_t i = 0; i < user.events.size(); ++i)
    EXPECT_EQ(user.events[i].time, 1229 - static_cast<int64_t>(i));
}

TEST_P(FeatureStores, AnotherProcessOrTheNextOneFindsThem) {
  ASSERT_TRUE(store_->append_event("u", {"i1", 5}));
  store_.reset();
  EXPECT_THAT(items_of(open()->find("u")), ElementsAre("i1"));
}

TEST_P(FeatureStores, ManyAtOnceLoseNothing) {
  std::vector<std::thread> threads;
  std::atomic<int> lost = 0;
  for (int t = 0; t < 6; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 20; ++i) {
        const std::string user = fmt::format("u{}", i % 3);
        if (!store_->append_event(user, {fmt::format("t{}.{}", t, i), t * 1000 + i})) ++lost;
        if (!store_->find(user).available) ++lost;
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(lost, 0);
  size_t events = 0;
  for (const char* user : {"u0", "u1", "u2"}) events += store_->find(user).events.size();
  EXPECT_EQ(events, 120u);
}

TEST_P(FeatureStores, WrongKeysAreTheCallersMistake) {
  EXPECT_THROW(store_->append_event("", {"i1", 5}), DataError);
  EXPECT_THROW(store_->put(std::vector<NamedFeatures>{{std::string(401, 'u'), Json::object()}}),
               DataError);
  EXPECT_FALSE(store_->find(std::string(2000, 'u')).features);
  EXPECT_FALSE(store_->find("").features);
}

TEST_P(FeatureStores, FilledFromABundleAUserIsTheBundlesOwn) {
  const TinyPublication tiny(random_tiny_dataset(6));
  const Bundle bundle(tiny.publish().path);
  EXPECT_EQ(fill_feature_store(bundle, *store_), 12);
  for (int32_t user = 0; user < 12; ++user) {
    const std::string key = fmt::format("u{}", user);
    const StoredUser stored = store_->find(key);
    ASSERT_TRUE(stored.features);
    // Over no row of a bundle that knows the user, and over its own.
    const int64_t now = bundle.moment();
    const RawUser own = user_after(bundle, key, nullptr, {}, now);
    const RawUser stranger = user_after(bundle, "not in the bundle", *stored.features, {}, now);
    const RawUser same = user_after(bundle, key, *stored.features, {}, now);
    for (const RawUser* got : {&stranger, &same}) {
      for (size_t i = got == &same ? 0 : 1; i < own.features.sparse.size(); ++i)  // 0: user_id
        EXPECT_EQ(got->features.sparse[i].ids, own.features.sparse[i].ids) << "feature " << i;
      for (size_t i = 0; i < own.features.dense.size(); ++i)
        EXPECT_NEAR(got->features.dense[i], own.features.dense[i], 1e-6);
    }
    EXPECT_EQ(same.seen, own.seen);
  }
}

TEST(FeatureStoreUrls, WrongOnesAreRefused) {
  const auto refused = [](const std::string& url, const std::string& why) {
    EXPECT_THAT([&] { open_feature_store(url); }, ThrowsMessage<ConfigError>(HasSubstr(why)))
        << url;
  };
  refused("rocksdb:/x", "write lmdb:FOLDER or redis://HOST:PORT/DB");
  refused("lmdb:", "write lmdb:FOLDER");
  refused("redis://", "no host");
  refused("redis://h:0", "port '0'");
  refused("redis://h:1/x", "database 'x'");
  refused("redis://h?timeout=3", "unknown option 'timeout'");
  refused("redis://h?timeout_ms=0", "timeout_ms '0'");
  refused("redis://name:secret@h", "a redis URL names no user");
}

TEST(LmdbFeatureStore, AKillAtAnyMomentLosesNoEventThatWasAcknowledged) {
  const ScratchFolder scratch;
  const std::string url = "lmdb:" + (scratch / "users").string();
  const Rng rng(8, "kills");
  int64_t last = 0;
  for (int kill = 0; kill < soak(4); ++kill) {
    int pipe[2];
    ASSERT_EQ(::pipe(pipe), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      const auto store = open_feature_store(url);
      for (int64_t n = last + 1;; ++n) {
        if (!store->append_event("u", {"i", n})) ::_exit(1);
        if (::write(pipe[1], &n, sizeof n) != sizeof n) ::_exit(1);
      }
    }
    ::close(pipe[1]);
    std::this_thread::sleep_for(
        milliseconds(30 + static_cast<int64_t>(rng.below(60, static_cast<uint64_t>(kill)))));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself";
    for (int64_t n = 0; ::read(pipe[0], &n, sizeof n) == sizeof n;) last = n;
    ::close(pipe[0]);
    const StoredUser user = open_feature_store(url)->find("u");
    ASSERT_FALSE(user.events.empty());
    EXPECT_TRUE(user.events[0].time == last || user.events[0].time == last + 1);
    last = user.events[0].time;
  }
  EXPECT_GT(last, 5);
}

TEST(LmdbFeatureStore, AFullDiskIsUnavailableAndCountedAndReadsGoOn) {
  const ScratchFolder scratch;
  const auto store = open_feature_store("lmdb:" + (scratch / "users").string());
  ASSERT_TRUE(store->append_event("u", {"i1", 1}));
  const auto old_action = std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{size_t{40} << 10, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  bool refused = false;
  for (int i = 0; i < 200 && !refused; ++i)
    refused = !store->put(
        std::vector<NamedFeatures>{{fmt::format("v{}", i), {{"text", std::string(1000, 'x')}}}});
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, old_action);
  EXPECT_TRUE(refused);
  EXPECT_EQ(store->counters().unavailable, 1u);
  EXPECT_THAT(items_of(store->find("u")), ElementsAre("i1"));
  EXPECT_TRUE(store->append_event("u", {"i2", 2}));
}

class RedisDown : public testing::Test {
 protected:
  void SetUp() override {
    if (!RedisProcess::installed()) GTEST_SKIP() << "redis-server is not installed";
    ASSERT_TRUE(redis_.start());
  }
  RedisProcess redis_;
};

TEST_F(RedisDown, CallsReturnAtOnceAndItIsUsedAgainOnceItIsBack) {
  const auto store = open_feature_store(redis_.url("?timeout_ms=200"));
  ASSERT_TRUE(soon([&] { return store->append_event("u", {"i1", 1}); }));
  const uint64_t before = store->counters().unavailable;
  redis_.stop();
  const int64_t first = milliseconds_of([&] { EXPECT_FALSE(store->find("u").available); });
  EXPECT_LT(first, 1000);
  EXPECT_FALSE(store->counters().up);
  int64_t slowest = 0;
  for (int i = 0; i < 200; ++i)
    slowest = std::max(slowest, milliseconds_of([&] {
                         EXPECT_FALSE(store->find("u").available);
                         EXPECT_FALSE(store->append_event("u", {"i2", 2}));
                       }));
  EXPECT_LT(slowest, 1000);
  EXPECT_EQ(store->counters().unavailable - before, 401u);
  ASSERT_TRUE(redis_.start());
  EXPECT_TRUE(soon([&] { return store->find("u").available; }));
  EXPECT_TRUE(soon([&] { return store->append_event("u", {"i3", 3}); }));
  EXPECT_THAT(items_of(store->find("u")), ElementsAre("i3")) << "the new server begins empty";
  EXPECT_TRUE(store->counters().up);
  EXPECT_GT(store->counters().reconnects, 0u);
  EXPECT_GT(store->counters().failures, 0u);
}

TEST_F(RedisDown, AServerThatIsFrozenCostsOneTimeoutThenNothing) {
  const auto store = open_feature_store(redis_.url("?timeout_ms=100"));
  ASSERT_TRUE(soon([&] { return store->find("u").available; }));
  redis_.signal(SIGSTOP);
  const int64_t first = milliseconds_of([&] { EXPECT_FALSE(store->find("u").available); });
  EXPECT_GE(first, 90);
  EXPECT_LT(first, 2000);
  const int64_t others = milliseconds_of([&] {
    for (int i = 0; i < 100; ++i) EXPECT_FALSE(store->find("u").available);
  });
  EXPECT_LT(others, 2000);
  redis_.signal(SIGCONT);
  EXPECT_TRUE(soon([&] { return store->find("u").available; }));
}

TEST_F(RedisDown, ItMayBeDownAtTheStart) {
  redis_.stop();
  const auto store = open_feature_store(redis_.url("?timeout_ms=200"));
  EXPECT_FALSE(store->counters().up);
  EXPECT_FALSE(store->find("u").available);
  ASSERT_TRUE(redis_.start());
  EXPECT_TRUE(soon([&] { return store->append_event("u", {"i1", 1}); }));
}

TEST_F(RedisDown, EntriesOfOthersThatCannotBeReadCountAsAbsent) {
  const auto store = open_feature_store(redis_.url("?timeout_ms=2000"));
  redis_.command("SET retort:features:u nonsense");
  redis_.command("ZADD retort:events:u 5 nonsense");
  redis_.command("SET retort:events:v text");
  ASSERT_TRUE(store->append_event("u", {"i1", 1}));
  const StoredUser user = store->find("u");
  EXPECT_TRUE(user.available);
  EXPECT_FALSE(user.features);
  EXPECT_THAT(items_of(user), ElementsAre("i1"));
  EXPECT_EQ(store->counters().bad_values, 2u);
  EXPECT_FALSE(store->find("v").available) << "a value of another type is an error of the server";
  EXPECT_TRUE(store->find("u").available) << "and no reason to leave it";
}

TEST_F(RedisDown, DisturbedWhileCallsGoOnItOnlyMissesAnswers) {
  const auto store = open_feature_store(redis_.url("?timeout_ms=50"));
  std::atomic<bool> done = false;
  std::atomic<int64_t> answered = 0, missed = 0, wrong = 0, slowest = 0;
  std::vector<std::thread> callers;
  for (int t = 0; t < 4; ++t)
    callers.emplace_back([&, t] {
      const std::string user = fmt::format("u{}", t);
      for (int64_t n = 1; !done; ++n) {
        const int64_t took = milliseconds_of([&] {
          const bool kept = store->append_event(user, {fmt::format("{}.{}", t, n), n});
          const StoredUser found = store->find(user);
          (found.available ? answered : missed) += 1;
          for (const UserEvent& event : found.events)
            wrong += event.item.starts_with(fmt::format("{}.", t)) ? 0 : 1;
          (void)kept;
        });
        slowest = std::max<int64_t>(slowest, took);
        std::this_thread::sleep_for(milliseconds(1));
      }
    });
  for (int round = 0; round < soak(2); ++round) {
    std::this_thread::sleep_for(milliseconds(100));
    if (round % 2 == 0) {
      redis_.stop();
      std::this_thread::sleep_for(milliseconds(100));
      EXPECT_TRUE(redis_.start());
    } else {
      redis_.signal(SIGSTOP);
      std::this_thread::sleep_for(milliseconds(150));
      redis_.signal(SIGCONT);
    }
    const int64_t before = answered;
    EXPECT_TRUE(soon([&] { return answered > before + 10; })) << "not used again";
  }
  done = true;
  for (std::thread& caller : callers) caller.join();
  EXPECT_GT(missed, 0);
  EXPECT_EQ(wrong, 0) << "an answer went to another caller";
  EXPECT_LT(slowest, 5000);
}

}  // namespace
}  // namespace retort
