#include "retort/common/file.h"

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>

#include "tests/support/soak.h"
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "retort/common/error.h"
#include "retort/common/folder_lock.h"

namespace retort {
namespace {

class Files : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "retort-file-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }
  size_t entries() const {
    return static_cast<size_t>(
        std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }
  fs::path folder_;
};

/// What the IoError says that the action throws; empty if it throws none.
template <class Action>
std::string message_of(const Action& action) {
  try {
    action();
  } catch (const IoError& error) {
    return error.what();
  }
  return "";
}

TEST_F(Files, WriteThenReadGivesTheSameBytes) {
  for (const std::string& bytes :
       {std::string(), std::string("a\0b\n", 4), std::string(70'000, 'x')}) {
    write_file(folder_ / "a", bytes);
    EXPECT_EQ(read_file(folder_ / "a"), bytes);
  }
  EXPECT_EQ(entries(), 1U);  // no temporary file stays
}

TEST_F(Files, ErrorsNameThePath) {
  const auto read_missing = [&] { read_file(folder_ / "missing"); };
  const auto read_folder = [&] { read_file(folder_); };
  const auto write_nowhere = [&] { write_file(folder_ / "no/such/file", "x"); };
  const auto map_missing = [&] { MappedFile(folder_ / "missing"); };
  EXPECT_THAT(message_of(read_missing), ::testing::HasSubstr("missing"));
  EXPECT_THAT(message_of(read_folder), ::testing::HasSubstr("is a folder"));
  EXPECT_THAT(message_of(write_nowhere), ::testing::HasSubstr("no/such"));
  EXPECT_THAT(message_of(map_missing), ::testing::HasSubstr("missing"));
}

// A child rewrites a file with long runs of one letter until it is killed, at many moments: the
// file must always be one whole run.
TEST_F(Files, AKilledWriterLeavesTheOldFileOrTheNewOne) {
  const fs::path path = folder_ / "state";
  constexpr size_t kSize = 300'000;
  write_file(path, std::string(kSize, 'a'));
  const int rounds = soak(15);
  for (int round = 0; round < rounds; ++round) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      for (char letter = 'b';; letter = letter == 'z' ? 'b' : static_cast<char>(letter + 1))
        write_file(path, std::string(kSize, letter));
    }
    std::this_thread::sleep_for(std::chrono::microseconds(500 + 13'500 * round / rounds));
    ::kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status));
    const std::string bytes = read_file(path);
    ASSERT_EQ(bytes.size(), kSize);
    ASSERT_EQ(bytes.find_first_not_of(bytes[0]), std::string::npos);
  }
}

TEST_F(Files, DigestIsThatOfTheStandard) {
  // FIPS 180-2, appendix B.1.
  const char* abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  const char* empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
  EXPECT_EQ(sha256("abc"), abc);
  EXPECT_EQ(sha256(""), empty);
  write_file(folder_ / "abc", "abc");
  write_file(folder_ / "empty", "");
  EXPECT_EQ(sha256_file(folder_ / "abc"), abc);
  EXPECT_EQ(sha256_file(folder_ / "empty"), empty);
}

TEST_F(Files, AMappedFileShowsTheBytesAndMoves) {
  write_file(folder_ / "a", "hello");
  MappedFile first(folder_ / "a");
  MappedFile second(std::move(first));
  EXPECT_TRUE(first.bytes().empty());
  ASSERT_EQ(second.bytes().size(), 5U);
  EXPECT_EQ(std::memcmp(second.bytes().data(), "hello", 5), 0);
  MappedFile third;
  third = std::move(second);
  EXPECT_EQ(third.bytes().size(), 5U);
  write_file(folder_ / "empty", "");
  EXPECT_TRUE(MappedFile(folder_ / "empty").bytes().empty());
}

TEST_F(Files, AFolderIsLockedByOneUntilItEnds) {
  {
    const FolderLock lock(folder_);
    EXPECT_THAT(message_of([&] { FolderLock second(folder_); }),
                ::testing::AllOf(::testing::HasSubstr(folder_.string()),
                                 ::testing::HasSubstr("another process")));
  }
  const pid_t child = ::fork();
  if (child == 0) {
    const FolderLock lock(folder_);
    ::raise(SIGKILL);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status));
  const FolderLock after(folder_);
  EXPECT_THROW(FolderLock(folder_ / "missing"), IoError);
}

TEST_F(Files, AFolderInMakingAppearsOnlyAtCommit) {
  const fs::path target = folder_ / "deep" / "dataset";
  FolderInMaking making(target);
  write_file(making.path() / "a", "1");
  fs::create_directories(making.path() / "sub");
  write_file(making.path() / "sub" / "b", "2");
  EXPECT_FALSE(fs::exists(target));
  making.commit();
  EXPECT_EQ(read_file(target / "sub" / "b"), "2");
  EXPECT_FALSE(fs::exists(making.path()));
}

TEST_F(Files, AFolderInMakingWithoutCommitLeavesNothing) {
  {
    FolderInMaking making(folder_ / "dataset");
    write_file(making.path() / "a", "1");
  }
  EXPECT_EQ(entries(), 0U);
}

TEST_F(Files, AFolderInMakingRefusesATargetThatExists) {
  fs::create_directories(folder_ / "dataset");
  EXPECT_THROW(FolderInMaking(folder_ / "dataset"), IoError);
  EXPECT_THROW(FolderInMaking((folder_ / "dataset").string() + "/"), IoError);
  EXPECT_EQ(entries(), 1U);
}

TEST_F(Files, OfTwoMakersOfAFolderTheSecondIsTold) {
  FolderInMaking first(folder_ / "dataset"), second(folder_ / "dataset");
  write_file(first.path() / "a", "1");
  write_file(second.path() / "a", "2");
  first.commit();
  EXPECT_THAT(message_of([&] { second.commit(); }), ::testing::HasSubstr("another process"));
  EXPECT_EQ(read_file(folder_ / "dataset" / "a"), "1");
}

TEST_F(Files, AFolderInMakingTakesATrailingSlash) {
  FolderInMaking making((folder_ / "dataset").string() + "/");
  write_file(making.path() / "a", "1");
  making.commit();
  EXPECT_EQ(read_file(folder_ / "dataset" / "a"), "1");
  EXPECT_EQ(entries(), 1U);
}

TEST_F(Files, AKilledMakerLeavesNoTarget) {
  const fs::path target = folder_ / "dataset";
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    FolderInMaking making(target);
    write_file(making.path() / "a", "1");
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_FALSE(fs::exists(target));
  FolderInMaking again(target);  // a second attempt is not in the way of the first
  again.commit();
  EXPECT_TRUE(fs::is_directory(target));
}

}  // namespace
}  // namespace retort
