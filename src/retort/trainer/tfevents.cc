#include "retort/trainer/tfevents.h"

#include <array>
#include <bit>
#include <chrono>
#include <cstring>

#include <unistd.h>

#include "retort/common/error.h"

namespace retort {
namespace {

constexpr std::array<uint32_t, 256> make_crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78u : 0u);
    table[byte] = crc;
  }
  return table;
}
constexpr std::array<uint32_t, 256> kCrcTable = make_crc_table();

// Little-endian bytes of a fixed-width value; the project's targets are little-endian.
template <class T>
std::string fixed(T value) {
  static_assert(std::endian::native == std::endian::little);
  std::string bytes(sizeof(T), '\0');
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}

std::string varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>((value & 0x7f) | 0x80);
  return bytes + static_cast<char>(value);
}

enum class Wire : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

std::string key(uint32_t field, Wire wire) {
  return varint(field << 3 | static_cast<uint32_t>(wire));
}
std::string bytes_field(uint32_t field, std::string_view value) {
  return key(field, Wire::kBytes) + varint(value.size()) + std::string(value);
}

// Field numbers of TensorFlow's event.proto and summary.proto.
constexpr uint32_t kEventWallTime = 1, kEventStep = 2, kEventFileVersion = 3, kEventSummary = 5;
constexpr uint32_t kSummaryValue = 1, kValueTag = 1, kValueSimple = 2;

std::string event_head(double wall_time, int64_t step) {
  return key(kEventWallTime, Wire::kFixed64) + fixed(wall_time) + key(kEventStep, Wire::kVarint) +
         varint(static_cast<uint64_t>(step));
}

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  uint32_t crc = 0xffffffffu;
  for (const char byte : bytes)
    crc = (crc >> 8) ^ kCrcTable[(crc ^ static_cast<uint8_t>(byte)) & 0xff];
  return ~crc;
}

uint32_t masked_crc32c(std::string_view bytes) {
  return std::rotr(crc32c(bytes), 15) + 0xa282ead8u;
}

EventWriter::EventWriter(const fs::path& folder) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const double seconds = std::chrono::duration<double>(now).count();
  path_ = folder /
          fmt::format("events.out.tfevents.{:010}.{}", static_cast<int64_t>(seconds), ::getpid());
  file_.open(path_, std::ios::binary | std::ios::app);
  if (!file_) fail<IoError>("{}: cannot open: {}", path_.string(), errno_text());
  record(event_head(seconds, 0) + bytes_field(kEventFileVersion, "brain.Event:2"));
}

void EventWriter::scalars(int64_t step, double wall_time,
                          std::span<const std::pair<std::string, double>> values) {
  std::string summary;
  for (const auto& [tag, value] : values) {
    const std::string entry = bytes_field(kValueTag, tag) + key(kValueSimple, Wire::kFixed32) +
                              fixed(static_cast<float>(value));
    summary += bytes_field(kSummaryValue, entry);
  }
  record(event_head(wall_time, step) + bytes_field(kEventSummary, summary));
}

void EventWriter::record(std::string_view event) {
  const std::string length = fixed(static_cast<uint64_t>(event.size()));
  file_ << length << fixed(masked_crc32c(length)) << event << fixed(masked_crc32c(event));
  file_.flush();
  if (!file_) fail<IoError>("{}: cannot write: {}", path_.string(), errno_text());
}

}  // namespace retort
