#include "retort/dataset/columns.h"

#include <fstream>

#include "tests/support/scratch_folder.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"

namespace retort {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

template <class Action>
std::string data_error(const Action& action) {
  try {
    action();
  } catch (const DataError& error) {
    return error.what();
  }
  return "no error";
}

TEST(Columns, GiveBackWhatWasWrittenInLittleEndian) {
  const ScratchFolder folder;
  write_column<int32_t>(folder.path(), "a.b", std::vector<int32_t>{1, -2, 3});
  write_column<double>(folder.path(), "c", std::vector<double>{0.5});
  write_column<float>(folder.path(), "empty", {});
  EXPECT_EQ(read_file(folder / "a.b.i32"), std::string("\1\0\0\0\xFE\xFF\xFF\xFF\3\0\0\0", 12));
  const Columns columns(folder.path());
  EXPECT_THAT(columns.get<int32_t>("a.b"), ElementsAre(1, -2, 3));
  EXPECT_THAT(columns.get<double>("c"), ElementsAre(0.5));
  EXPECT_TRUE(columns.get<float>("empty").empty());
  EXPECT_THAT(columns.names(), ElementsAre("a.b", "c", "empty"));
  EXPECT_TRUE(columns.has("a.b"));
  EXPECT_FALSE(columns.has("a"));
}

TEST(Columns, AWriterPassesItsBuffer) {
  const ScratchFolder folder;
  ColumnWriter<int64_t> writer(folder.path(), "n");
  constexpr int64_t kRows = 150'000;
  for (int64_t i = 0; i < kRows; ++i) writer.push(i * i);
  EXPECT_EQ(writer.size(), kRows);
  writer.close();
  const Columns columns(folder.path());
  const auto values = columns.get<int64_t>("n");
  ASSERT_EQ(values.size(), static_cast<size_t>(kRows));
  for (int64_t i = 0; i < kRows; ++i) ASSERT_EQ(values[static_cast<size_t>(i)], i * i);
}

TEST(Columns, AFullDiskIsAnError) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  const ScratchFolder folder;
  fs::create_symlink("/dev/full", folder / "n.i64");
  ColumnWriter<int64_t> writer(folder.path(), "n");
  writer.push(1);
  EXPECT_THROW(writer.close(), IoError);
}

TEST(Columns, StringsKeepEveryByte) {
  const ScratchFolder folder;
  const std::vector<std::string> texts{"", "a", std::string("x\0y", 3), "\xC3\xA9", ""};
  write_strings(folder.path(), "s", texts);
  const Columns columns(folder.path());
  const Strings strings = columns.strings("s");
  ASSERT_EQ(strings.size(), 5);
  for (size_t i = 0; i < texts.size(); ++i) EXPECT_EQ(strings[static_cast<int64_t>(i)], texts[i]);
}

TEST(Columns, ErrorsNameTheFile) {
  const ScratchFolder folder;
  write_column<int32_t>(folder.path(), "a", std::vector<int32_t>{1});
  write_file(folder / "cut.i64", "12345");
  write_column<int64_t>(folder.path(), "s.offsets", std::vector<int64_t>{0, 9});
  write_column<uint8_t>(folder.path(), "s.bytes", std::vector<uint8_t>{'x'});
  const Columns columns(folder.path());
  EXPECT_THAT(data_error([&] { columns.get<int32_t>("b"); }), HasSubstr("b.i32: missing"));
  EXPECT_THAT(data_error([&] { columns.get<float>("a"); }), HasSubstr("another type"));
  EXPECT_THAT(data_error([&] { columns.get<int64_t>("cut"); }), HasSubstr("cut.i64"));
  EXPECT_THAT(data_error([&] { columns.strings("s"); }), HasSubstr("s.offsets.i64"));
}

class Manifest : public ::testing::Test {
 protected:
  void SetUp() override {
    write_file(folder_ / "a.i32", "12345678");
    write_file(folder_ / "empty.u8", "");
    fs::create_directories(folder_ / "sub");
    write_file(folder_ / "sub/b.i32", "abcd");
    write_manifest(folder_.path(), {{"name", "test"}});
  }
  std::string error(bool deep = true) {
    return data_error([&] { read_manifest(folder_.path(), deep); });
  }
  void flip(const std::string& name, size_t at, char with) {
    std::string bytes = read_file(folder_ / name);
    bytes.at(at) = static_cast<char>(bytes.at(at) ^ with);
    overwrite(name, bytes);
  }
  void overwrite(const std::string& name, const std::string& bytes) {  // without write_file's sync
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
  }
  ScratchFolder folder_;
};

TEST_F(Manifest, OfAnUntouchedFolderIsRead) {
  const Json manifest = read_manifest(folder_.path());
  EXPECT_EQ(manifest["name"], "test");
  EXPECT_EQ(manifest["files"].size(), 3U);
  EXPECT_EQ(manifest["files"]["sub/b.i32"]["bytes"], 4);
  EXPECT_EQ(manifest["files"]["sub/b.i32"]["sha256"], sha256("abcd"));
}

TEST_F(Manifest, RefusesEveryFlippedBitOfEveryFile) {
  for (const std::string name : {"a.i32", "sub/b.i32", "manifest.json", "manifest.json.sha256"}) {
    const std::string good = read_file(folder_ / name);
    for (size_t at = 0; at < good.size(); ++at) {
      flip(name, at, static_cast<char>(1 << (at % 8)));
      const std::string message = error();
      // The digest file is part of what guards the manifest: either name is the culprit's.
      EXPECT_THAT(message, HasSubstr(name.starts_with("manifest") ? "manifest.json" : name)) << at;
      overwrite(name, good);
    }
  }
  EXPECT_NO_THROW(read_manifest(folder_.path()));
}

TEST_F(Manifest, RefusesCutMissingAndExtraFilesEvenWhenShallow) {
  for (const bool deep : {true, false}) {
    for (const std::string name : {"a.i32", "sub/b.i32", "manifest.json", "manifest.json.sha256"}) {
      const std::string good = read_file(folder_ / name);
      overwrite(name, good.substr(0, good.size() - 1));
      EXPECT_THAT(error(deep), HasSubstr(name.starts_with("manifest") ? "manifest.json" : name));
      overwrite(name, good + "x");
      EXPECT_THAT(error(deep), HasSubstr(name.starts_with("manifest") ? "manifest.json" : name));
      fs::remove(folder_ / name);
      EXPECT_THAT(error(deep), AllOf(HasSubstr(name), HasSubstr("missing")));
      overwrite(name, good);
    }
    overwrite("sub/more.u8", "1");
    EXPECT_THAT(error(deep), AllOf(HasSubstr("sub/more.u8"), HasSubstr("extra")));
    fs::remove(folder_ / "sub/more.u8");
    EXPECT_NO_THROW(read_manifest(folder_.path(), deep));
  }
}

TEST_F(Manifest, ShallowReadingDoesNotDigest) {
  flip("a.i32", 3, 1);
  EXPECT_NO_THROW(read_manifest(folder_.path(), false));
  EXPECT_THAT(error(true), AllOf(HasSubstr("a.i32"), HasSubstr("altered")));
}

TEST_F(Manifest, RefusesAFolderWithoutOne) {
  const ScratchFolder empty;
  EXPECT_THAT(data_error([&] { read_manifest(empty.path()); }), HasSubstr("manifest.json"));
  EXPECT_THAT(data_error([&] { read_manifest(empty / "nowhere"); }), HasSubstr("no such folder"));
}

// The digest is right, the content is not ours.
TEST_F(Manifest, RefusesForeignContent) {
  for (const std::string text : {"", "{", "[]", "{\"files\": 3}", "{\"files\": {\"a.i32\": 1}}"}) {
    overwrite("manifest.json", text);
    overwrite("manifest.json.sha256", sha256(text) + "  manifest.json\n");
    EXPECT_THAT(error(), HasSubstr("manifest")) << text;
  }
}

}  // namespace
}  // namespace retort
