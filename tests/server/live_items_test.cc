#include "retort/server/live_items.h"

#include <atomic>
#include <csignal>
#include <thread>

#include "tests/support/scratch_folder.h"
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

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

/// The n of an item that bulk_of put; -1 without it.
int64_t generation(const LiveItems& items, const std::string& id) {
  const auto record = items.find(id);
  return record && !record->deleted ? record->features.at("n").get<int64_t>() : -1;
}

constexpr int kBulk = 40;
std::vector<LiveItem> bulk_of(int64_t n) {
  std::vector<LiveItem> items;
  for (int i = 0; i < kBulk; ++i)
    items.push_back({fmt::format("item{}", i), {{"n", n}, {"text", std::string(200, 'x')}}});
  return items;
}

class LiveItemsTest : public testing::Test {
 protected:
  LiveItems::Options options(size_t map_bytes = size_t{1} << 20) {
    return {.clock = [this] { return now_.load(); }, .map_bytes = map_bytes};
  }
  const ScratchFolder scratch_;
  std::atomic<int64_t> now_ = 1'000'000;
};

TEST_F(LiveItemsTest, WhatWasPutAndErasedIsThereAfterARestart) {
  {
    LiveItems items(scratch_ / "live", options());
    items.put({"a", {{"title", "first"}}, 5'000'000});
    items.put({"b", Json::object()});
    const std::vector<std::string> gone{"b", "c"};
    EXPECT_THAT(items.erase(gone), ElementsAre(true, false));
  }
  const LiveItems items(scratch_ / "live", options());
  EXPECT_EQ(items.size(), 3);
  const auto a = items.find("a");
  ASSERT_TRUE(a);
  EXPECT_EQ(a->features, Json({{"title", "first"}}));
  EXPECT_EQ(a->expires, 5'000'000);
  EXPECT_EQ(a->updated, 1'000'000);
  EXPECT_FALSE(a->gone(4'999'999));
  EXPECT_TRUE(a->gone(5'000'000));
  EXPECT_TRUE(items.find("b")->deleted);
  EXPECT_TRUE(items.find("c")->deleted);
  EXPECT_FALSE(items.find("d"));
}

TEST_F(LiveItemsTest, OfOneIdInABulkTheLastCountsAndMomentsOnlyRise) {
  LiveItems items("", options());
  const std::vector<LiveItem> twice{{"a", {{"n", 1}}}, {"b", {{"n", 2}}}, {"a", {{"n", 3}}}};
  items.put(twice);
  EXPECT_EQ(generation(items, "a"), 3);
  EXPECT_EQ(items.size(), 2);
  now_ = 10;  // the clock was set back
  items.put({"b", {{"n", 4}}});
  EXPECT_GT(items.find("b")->updated, items.find("a")->updated);
}

TEST_F(LiveItemsTest, SweepKeepsOfExpiredItemsOnlyThatTheyAreGone) {
  LiveItems items(scratch_ / "live", options());
  items.put({"old", {{"n", 1}}, 2'000'000});
  items.put({"young", {{"n", 2}}, 3'000'000});
  EXPECT_EQ(items.sweep(), 0);
  now_ = 2'000'000;
  EXPECT_EQ(items.sweep(), 1);
  EXPECT_TRUE(items.find("old")->deleted);
  EXPECT_TRUE(items.find("old")->features.empty());
  EXPECT_EQ(generation(items, "young"), 2);
}

TEST_F(LiveItemsTest, TheFileGrowsAsItMust) {
  LiveItems items(scratch_ / "live", options(size_t{64} << 10));
  for (int i = 0; i < 30; ++i)
    items.put({fmt::format("big{}", i), {{"text", std::string(20'000, 'y')}}});
  EXPECT_EQ(items.all().size(), 30u);
}

TEST_F(LiveItemsTest, AFullDiskIsAnErrorAndWhatWasThereStays) {
  LiveItems items(scratch_ / "live", options());
  items.put(bulk_of(1));
  const auto old_action = std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{size_t{48} << 10, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  std::string error;
  try {
    for (int64_t n = 2; n < 100; ++n) {
      std::vector<LiveItem> more = bulk_of(n);
      for (LiveItem& item : more) item.id += std::to_string(n);
      items.put(more);
    }
  } catch (const IoError& thrown) {
    error = thrown.what();
  }
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, old_action);
  EXPECT_THAT(error, HasSubstr("cannot be written"));
  for (int i = 0; i < kBulk; ++i) EXPECT_EQ(generation(items, fmt::format("item{}", i)), 1);
  items.put(bulk_of(200));  // there is room again
  EXPECT_EQ(generation(items, "item3"), 200);
}

TEST_F(LiveItemsTest, AFolderOfSomethingElseIsRefused) {
  fs::create_directories(scratch_ / "other");
  write_file(scratch_ / "other" / "data.mdb", std::string(50'000, 'z'));
  EXPECT_THAT([&] { LiveItems(scratch_ / "other", options()); },
              ThrowsMessage<DataError>(HasSubstr("is no key store")));
  write_file(scratch_ / "file", "x");
  EXPECT_THROW(LiveItems(scratch_ / "file", options()), IoError);
}

TEST_F(LiveItemsTest, SeveralWritersAtOnceLoseNothing) {
  LiveItems items(scratch_ / "live", options(size_t{64} << 10));
  std::vector<std::thread> writers;
  for (int w = 0; w < 4; ++w)
    writers.emplace_back([&, w] {
      for (int i = 0; i < 25; ++i)
        items.put({fmt::format("w{}.{}", w, i), {{"n", i}, {"text", std::string(500, 'x')}}});
    });
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(items.size(), 100);
  EXPECT_EQ(generation(items, "w3.24"), 24);
}

TEST_F(LiveItemsTest, AKillAtAnyMomentLeavesWholeBulksUpToTheLastThatReturned) {
  const Rng rng(4, "kills");
  int64_t last = 0;
  for (int kill = 0; kill < soak(6); ++kill) {
    int pipe[2];
    ASSERT_EQ(::pipe(pipe), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      LiveItems items(scratch_ / "live", options(size_t{64} << 10));
      for (int64_t n = last + 1;; ++n) {
        items.put(bulk_of(n));
        if (::write(pipe[1], &n, sizeof n) != sizeof n) ::_exit(1);
      }
    }
    ::close(pipe[1]);
    std::this_thread::sleep_for(std::chrono::microseconds(
        30'000 + static_cast<int64_t>(rng.below(60'000, static_cast<uint64_t>(kill)))));
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself";
    for (int64_t n = 0; ::read(pipe[0], &n, sizeof n) == sizeof n;) last = n;
    ::close(pipe[0]);
    const LiveItems items(scratch_ / "live", options());
    const int64_t kept = generation(items, "item0");
    EXPECT_TRUE(kept == last || kept == last + 1 || (last == 0 && kept == -1))
        << kept << " after " << last;
    for (int i = 0; i < kBulk; ++i)
      ASSERT_EQ(generation(items, fmt::format("item{}", i)), kept) << "item " << i;
    last = std::max(last, kept);
  }
  EXPECT_GT(last, 5);
}

}  // namespace
}  // namespace retort
