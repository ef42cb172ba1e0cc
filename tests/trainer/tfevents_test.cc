#include "retort/trainer/tfevents.h"

#include <cstring>
#include <vector>

#include "tests/support/scratch_folder.h"
#include <gtest/gtest.h>

namespace retort {
namespace {

// A reader written for this test alone: bitwise CRC, framing and the few protobuf fields.
uint32_t bitwise_crc32c(std::string_view bytes) {
  uint32_t crc = 0xffffffff;
  for (const char byte : bytes) {
    crc ^= static_cast<uint8_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) != 0 ? (crc >> 1) ^ 0x82f63b78 : crc >> 1;
  }
  return crc ^ 0xffffffff;
}

uint32_t unmask(uint32_t masked) {
  const uint32_t rotated = masked - 0xa282ead8u;
  return (rotated >> 17) | (rotated << 15);
}

template <class T>
T load(std::string_view bytes, size_t at) {
  T value;
  std::memcpy(&value, bytes.substr(at, sizeof(T)).data(), sizeof(T));
  return value;
}

std::vector<std::string> records_of(const fs::path& path) {
  const std::string bytes = read_file(path);
  std::vector<std::string> records;
  for (size_t at = 0; at < bytes.size();) {
    const auto length = load<uint64_t>(bytes, at);
    EXPECT_EQ(unmask(load<uint32_t>(bytes, at + 8)), bitwise_crc32c(bytes.substr(at, 8)));
    records.push_back(bytes.substr(at + 12, length));
    EXPECT_EQ(unmask(load<uint32_t>(bytes, at + 12 + length)), bitwise_crc32c(records.back()));
    at += 16 + length;
  }
  return records;
}

struct Field {
  uint32_t number;
  uint64_t value;     // varint, fixed32, fixed64
  std::string bytes;  // length-delimited
};

uint64_t read_varint(std::string_view text, size_t& at) {
  uint64_t value = 0;
  for (int shift = 0;; shift += 7) {
    const auto byte = static_cast<uint8_t>(text[at++]);
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
}

std::vector<Field> fields_of(std::string_view text) {
  std::vector<Field> fields;
  for (size_t at = 0; at < text.size();) {
    const uint64_t key = read_varint(text, at);
    Field field{static_cast<uint32_t>(key >> 3), 0, ""};
    switch (key & 7) {
      case 0:
        field.value = read_varint(text, at);
        break;
      case 1:
        field.value = load<uint64_t>(text, at);
        at += 8;
        break;
      case 5:
        field.value = load<uint32_t>(text, at);
        at += 4;
        break;
      case 2: {
        const uint64_t length = read_varint(text, at);
        field.bytes = text.substr(at, length);
        at += length;
        break;
      }
      default:
        ADD_FAILURE() << "wire type " << (key & 7);
        return fields;
    }
    fields.push_back(field);
  }
  return fields;
}

float as_float(uint64_t bits) {
  const auto narrow = static_cast<uint32_t>(bits);
  return load<float>(std::string_view(reinterpret_cast<const char*>(&narrow), 4), 0);
}

TEST(Crc32c, MatchesKnownVectors) {
  // RFC 3720, appendix B.4, and the check value of the polynomial.
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  std::string rising;
  for (char byte = 0; byte < 32; ++byte) rising += byte;
  EXPECT_EQ(crc32c(rising), 0x46dd794eu);
  EXPECT_EQ(unmask(masked_crc32c("foo")), crc32c("foo"));
  EXPECT_NE(masked_crc32c("foo"), crc32c("foo"));
}

TEST(EventWriter, WritesRecordsThatAnIndependentReaderDecodes) {
  const ScratchFolder scratch;
  EventWriter writer(scratch.path());
  const std::vector<std::pair<std::string, double>> values{{"train/loss", 0.625},
                                                           {"valid/auc_read", -3.5}};
  writer.scalars(300, 1700000000.25, values);
  const std::vector<std::string> records = records_of(writer.path());
  ASSERT_EQ(records.size(), 2u);
  const std::vector<Field> first = fields_of(records[0]);
  ASSERT_EQ(first.back().number, 3u);
  EXPECT_EQ(first.back().bytes, "brain.Event:2");

  const std::vector<Field> event = fields_of(records[1]);
  ASSERT_EQ(event.size(), 3u);
  const std::string wall(reinterpret_cast<const char*>(&event[0].value), 8);
  EXPECT_EQ(event[0].number, 1u);
  EXPECT_EQ(load<double>(wall, 0), 1700000000.25);
  EXPECT_EQ(event[1].number, 2u);
  EXPECT_EQ(event[1].value, 300u);
  const std::vector<Field> summary = fields_of(event[2].bytes);
  ASSERT_EQ(summary.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(summary[i].number, 1u);
    const std::vector<Field> value = fields_of(summary[i].bytes);
    ASSERT_EQ(value.size(), 2u);
    EXPECT_EQ(value[0].number, 1u);
    EXPECT_EQ(value[0].bytes, values[i].first);
    EXPECT_EQ(value[1].number, 2u);
    EXPECT_EQ(as_float(value[1].value), static_cast<float>(values[i].second));
  }
}

}  // namespace
}  // namespace retort
