#include "retort/server/key_store.h"

#include "tests/support/scratch_folder.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"

namespace retort {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Optional;
using testing::ThrowsMessage;

class KeyStores : public testing::TestWithParam<bool> {
 protected:
  fs::path folder() const { return GetParam() ? scratch_ / "store" : fs::path(); }
  const ScratchFolder scratch_;
};
INSTANTIATE_TEST_SUITE_P(OnDiskAndInMemory, KeyStores, testing::Bool());

TEST_P(KeyStores, AWriteIsWholeAndSeesItself) {
  KeyStore store(folder(), {});
  store.write([](KeyStore::Writer& writer) {
    writer.put("b", "2");
    writer.put("a", "");
    EXPECT_THAT(writer.get("b"), Optional(std::string("2")));
    writer.put("b", "3");
    writer.put("c", "4");
    writer.erase("c");
    EXPECT_FALSE(writer.get("c"));
  });
  EXPECT_THROW(store.write([](KeyStore::Writer& writer) {
    writer.put("d", "5");
    throw DataError("no");
  }),
               DataError);
  std::vector<std::string> seen;
  store.each([&](std::string_view key, std::string_view value) {
    seen.push_back(fmt::format("{}={}", key, value));
  });
  EXPECT_THAT(seen, ElementsAre("a=", "b=3"));
  EXPECT_EQ(store.size(), 2);
  const std::vector<std::string> keys{"b", "d", "a"};
  EXPECT_THAT(store.get(keys),
              ElementsAre(Optional(std::string("3")), std::nullopt, Optional(std::string())));
  EXPECT_THROW(store.get(""), ArgumentError);
  EXPECT_THROW(store.get(std::string(501, 'k')), ArgumentError);
}

TEST(KeyStoreFile, AnAlteredValueIsRefused) {
  const ScratchFolder scratch;
  const std::string value = "a value that is easily found in the file";
  {
    KeyStore store(scratch / "store", {});
    store.write([&](KeyStore::Writer& writer) { writer.put("key", value); });
  }
  std::string bytes = read_file(scratch / "store" / "data.mdb");
  const size_t at = bytes.find(value);
  ASSERT_NE(at, std::string::npos);
  bytes[at + 5] ^= 4;
  write_file(scratch / "store" / "data.mdb", bytes);
  const KeyStore store(scratch / "store", {});
  EXPECT_THAT([&] { store.get("key"); },
              ThrowsMessage<DataError>(HasSubstr("the value of 'key' was altered")));
}

}  // namespace
}  // namespace retort
