// TensorBoard event files: TFRecord framing around hand-encoded protobuf Event messages with
// scalar summaries. Written by metrics_log; read by TensorBoard and whatever reads TFRecords.
#pragma once

#include <cstdint>
#include <fstream>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "retort/common/file.h"

namespace retort {

/// CRC-32C (Castagnoli, reflected polynomial 0x82f63b78). Source: RFC 3720, appendix B.4.
uint32_t crc32c(std::string_view bytes);
/// The rotated and offset form that TFRecord stores. Source: TensorFlow, core/lib/hash/crc32c.h.
uint32_t masked_crc32c(std::string_view bytes);

/// Appends scalars to one new event file "events.out.tfevents.<seconds>.<process>" in `folder`.
/// Every call leaves whole records in the file. Throws IoError if the disk refuses.
class EventWriter {
 public:
  explicit EventWriter(const fs::path& folder);
  /// One event holding all scalars of a step; `wall_time` in seconds since 1970.
  void scalars(int64_t step, double wall_time,
               std::span<const std::pair<std::string, double>> values);
  const fs::path& path() const { return path_; }

 private:
  void record(std::string_view event);
  fs::path path_;
  std::ofstream file_;
};

}  // namespace retort
