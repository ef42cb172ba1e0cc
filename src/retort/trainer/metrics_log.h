// The numbers of a run: metrics.jsonl for tools, the same scalars as TensorBoard events.
#pragma once

#include <fstream>
#include <optional>

#include "retort/common/file.h"
#include "retort/common/json.h"
#include "retort/trainer/tfevents.h"

namespace retort {

class MetricsLog {
 public:
  /// Opens `run`/metrics.jsonl for appending after cutting it to `keep_bytes`: what was written
  /// after the checkpoint that the run resumes from is written again.
  MetricsLog(const fs::path& run, int64_t keep_bytes);

  /// Appends one line. Numbers of `record`, nested tables included, become scalars named
  /// "<split>/<key>/<key>" at the record's "step". Throws IoError.
  void write(const Json& record);
  /// Bytes of metrics.jsonl that are safely on disk.
  int64_t sync();

 private:
  fs::path path_;
  std::ofstream file_;
  EventWriter events_;
};

}  // namespace retort
