#include "retort/dataset/vocabulary.h"

#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/scratch_folder.h"
#include <gtest/gtest.h>

#include "retort/common/error.h"

namespace retort {
namespace {

TEST(HashedRow, FollowsTheReferenceHash) {
  // XXH64 of the empty text and of "a" with seed 0, from the xxHash specification's test values.
  EXPECT_EQ(hashed_row("", 1'000'001), 1 + static_cast<int32_t>(0xEF46DB3751D8E999ULL % 1'000'000));
  EXPECT_EQ(hashed_row("a", 1'000'001),
            1 + static_cast<int32_t>(0xD24EC4F1A98C6E5BULL % 1'000'000));
}

TEST(HashedRow, NeverGivesRowZeroAndFillsTheOthers) {
  std::set<int32_t> rows;
  for (int i = 0; i < 2000; ++i) rows.insert(hashed_row("key" + std::to_string(i), 50));
  EXPECT_EQ(rows.size(), 49U);
  EXPECT_EQ(*rows.begin(), 1);
  EXPECT_EQ(*rows.rbegin(), 49);
  EXPECT_EQ(hashed_row("anything", 2), 1);
  EXPECT_THROW(hashed_row("anything", 1), ArgumentError);
}

class Vocabularies : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::vector<std::string> texts{"", "news", "sport", "\xC3\xA9t\xC3\xA9"};
    write_strings(folder_.path(), "v", texts);
    columns_ = Columns(folder_.path());
  }
  ScratchFolder folder_;
  Columns columns_;
};

TEST_F(Vocabularies, FindKnownTextsAndSendOthersToRowZero) {
  const Vocabulary vocabulary(columns_.strings("v"), 0);
  EXPECT_EQ(vocabulary.rows(), 4);
  EXPECT_EQ(vocabulary.find("news"), 1);
  EXPECT_EQ(vocabulary.find("\xC3\xA9t\xC3\xA9"), 3);
  EXPECT_EQ(vocabulary.find("new"), 0);
  EXPECT_EQ(vocabulary.find(""), 0);
  EXPECT_EQ(vocabulary.text(2), "sport");
  EXPECT_EQ(vocabulary.text(0), "");
  EXPECT_THROW(vocabulary.text(4), ArgumentError);
}

TEST_F(Vocabularies, HashedOnesKeepNoTexts) {
  const Vocabulary vocabulary(Strings(), 100);
  EXPECT_EQ(vocabulary.rows(), 100);
  EXPECT_EQ(vocabulary.find("news"), hashed_row("news", 100));
  EXPECT_EQ(vocabulary.text(5), "");
}

TEST_F(Vocabularies, LookUpsFromManyThreadsAgree) {
  const StringIndex index(columns_.strings("v"));
  std::vector<int32_t> found(8, -2);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < found.size(); ++i)
    threads.emplace_back([&, i] { found[i] = index.find("sport"); });
  for (std::thread& thread : threads) thread.join();
  for (const int32_t place : found) EXPECT_EQ(place, 2);
  EXPECT_EQ(index.find("none"), -1);
  EXPECT_EQ(StringIndex().find("sport"), -1);
}

}  // namespace
}  // namespace retort
