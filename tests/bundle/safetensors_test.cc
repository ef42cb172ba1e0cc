#include "retort/bundle/safetensors.h"

#include <array>
#include <cstring>
#include <fstream>

#include "tests/support/scratch_folder.h"
#include "tests/support/soak.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/common/rng.h"

namespace retort {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

template <class T>
std::span<const std::byte> bytes_of(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}

class Safetensors : public testing::Test {
 protected:
  ScratchFolder scratch_;
  const fs::path path_ = scratch_ / "weights.safetensors";

  void write_raw(const std::string& header, const std::string& data,
                 std::optional<uint64_t> length = {}) {
    const uint64_t size = length.value_or(header.size());
    write_file(path_, std::string(reinterpret_cast<const char*>(&size), 8) + header + data);
  }
  std::string error() const {
    try {
      SafetensorsFile file(path_);
    } catch (const DataError& error) {
      EXPECT_THAT(error.what(), HasSubstr(path_.string()));
      return error.what();
    }
    return "accepted";
  }
};

TEST_F(Safetensors, ReadsBytesWrittenByHand) {
  const float value = 1.5f;
  std::string data(4, '\0');
  std::memcpy(data.data(), &value, 4);
  write_raw(
      R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]}} )",
      data);
  // Headers of any length are allowed; this one is padded to 8 bytes as every writer does.
  const SafetensorsFile file(path_);
  EXPECT_EQ(file.metadata().at("format"), "pt");
  EXPECT_TRUE(file.has("a"));
  const std::array<int64_t, 2> shape{1, 1};
  EXPECT_THAT(file.floats("a", shape), ElementsAre(1.5f));
}

TEST_F(Safetensors, WritesWhatItReads) {
  const std::vector<float> floats{1, -2, 3.25f, 0, 5, 6};
  const std::vector<int64_t> longs{-7};
  const std::vector<uint8_t> odd{1, 2, 3};
  write_safetensors(path_,
                    {{"a_odd", {"U8", {3}, bytes_of(odd)}},
                     {"floats", {"F32", {2, 3}, bytes_of(floats)}},
                     {"empty", {"F32", {0, 4}, {}}},
                     {"longs", {"I64", {1}, bytes_of(longs)}}},
                    {{"made", "by a test"}});
  const SafetensorsFile file(path_);
  EXPECT_EQ(file.tensors().size(), 4u);
  EXPECT_EQ(file.metadata().at("made"), "by a test");
  const std::array<int64_t, 2> shape{2, 3}, none{0, 4}, wrong{3, 2};
  EXPECT_TRUE(std::ranges::equal(file.floats("floats", shape), floats));
  EXPECT_TRUE(file.floats("empty", none).empty());
  const TensorView& view = file.tensors().at("longs");
  EXPECT_EQ(view.dtype, "I64");
  EXPECT_EQ(std::memcmp(view.bytes.data(), longs.data(), 8), 0);
  EXPECT_EQ(file.tensors().at("a_odd").bytes.size(), 3u);
  EXPECT_THROW(file.floats("floats", wrong), DataError);
  EXPECT_THROW(file.floats("a_odd", std::array<int64_t, 1>{3}), DataError);
  EXPECT_THROW(file.floats("missing", shape), DataError);
}

TEST_F(Safetensors, WritingRefusesWhatDoesNotFit) {
  const std::vector<float> floats{1, 2};
  EXPECT_THROW(write_safetensors(path_, {{"a", {"F32", {3}, bytes_of(floats)}}}), ArgumentError);
  EXPECT_THROW(write_safetensors(path_, {{"a", {"F31", {2}, bytes_of(floats)}}}), ArgumentError);
  EXPECT_THROW(write_safetensors(path_, {{"a", {"F32", {-2}, bytes_of(floats)}}}), ArgumentError);
  EXPECT_THROW(write_safetensors(path_, {{"__metadata__", {"F32", {2}, bytes_of(floats)}}}),
               ArgumentError);
  EXPECT_FALSE(fs::exists(path_));
}

TEST_F(Safetensors, HostileHeadersAreRefused) {
  const std::string data(8, 'x');
  const auto tensor = [](const std::string& dtype, const std::string& shape,
                         const std::string& offsets) {
    return R"({"a":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" +
           offsets + "}}";
  };
  const auto refused = [&](const std::string& header) {
    write_raw(header, data);
    return error();
  };
  write_file(path_, "1234567");
  EXPECT_THAT(error(), HasSubstr("too short"));
  write_raw("{}", "", 3);
  EXPECT_THAT(error(), HasSubstr("header of 3 bytes"));
  write_raw("{}", "", ~uint64_t{0});
  EXPECT_THAT(error(), HasSubstr("header of 18446744073709551615 bytes"));
  EXPECT_THAT(refused("{"), HasSubstr("not JSON"));
  EXPECT_THAT(refused("[1]"), HasSubstr("not an object"));
  EXPECT_THAT(refused(std::string(100'000, '[')), HasSubstr("not JSON"));
  EXPECT_THAT(refused(R"({"a":3})"), HasSubstr("'a'"));
  EXPECT_THAT(refused(R"({"__metadata__":{"k":1}})"), HasSubstr("'k' is not a string"));
  EXPECT_THAT(refused(R"({"__metadata__":[]})"), HasSubstr("__metadata__"));
  EXPECT_THAT(refused(tensor("F33", "[2]", "[0,8]")), HasSubstr("unknown dtype"));
  EXPECT_THAT(refused(tensor("F32", "[2.5]", "[0,8]")), HasSubstr("shape holds 2.5"));
  EXPECT_THAT(refused(tensor("F32", "[-2]", "[0,8]")), HasSubstr("shape holds -2"));
  EXPECT_THAT(refused(tensor("F32", "2", "[0,8]")), HasSubstr("shape is not a list"));
  EXPECT_THAT(refused(tensor("F32", "[4294967296,4294967296,4]", "[0,8]")),
              HasSubstr("do not fit"));
  EXPECT_THAT(refused(tensor("F32", "[2]", "[0,12]")), HasSubstr("not within the 8 bytes"));
  EXPECT_THAT(refused(tensor("F32", "[2]", "[8,0]")), HasSubstr("not within"));
  EXPECT_THAT(refused(tensor("F32", "[2]", "[0]")), HasSubstr("two values"));
  EXPECT_THAT(refused(tensor("F32", "[3]", "[0,8]")), HasSubstr("do not fit"));
  EXPECT_THAT(refused(tensor("F32", "[1]", "[0,4]")), HasSubstr("end at byte 4 of 8"));
  EXPECT_THAT(refused(tensor("F32", "[1]", "[4,8]")), HasSubstr("unused bytes"));
  EXPECT_THAT(refused(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                      R"("b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})"),
              HasSubstr("overlaps"));
}

TEST_F(Safetensors, FlippedHeaderBytesAreRefusedOrReadWithinBounds) {
  const std::vector<float> floats(24, 1.0f);
  write_safetensors(path_, {{"first", {"F32", {2, 6}, bytes_of(floats).first(48)}},
                            {"second", {"F32", {12}, bytes_of(floats).first(48)}}});
  const std::string good = read_file(path_);
  const Rng rng(9, "flips");
  const auto trials = static_cast<uint64_t>(soak(600));
  uint64_t refused = 0;
  for (uint64_t trial = 0; trial < trials; ++trial) {
    std::string bad = good;
    const uint64_t header = good.size() - 96;
    bad[rng.below(header, 2 * trial)] ^= static_cast<char>(1 << rng.below(8, 2 * trial + 1));
    std::ofstream(path_, std::ios::binary | std::ios::trunc) << bad;
    try {
      const SafetensorsFile file(path_);
      size_t total = 0;
      for (const auto& [name, tensor] : file.tensors()) total += tensor.bytes.size();
      EXPECT_EQ(total, 96u);
    } catch (const DataError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, trials / 2);
}

}  // namespace
}  // namespace retort
