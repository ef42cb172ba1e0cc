// Strings written one after another, without holding the column in memory.
#pragma once

#include <string>
#include <string_view>

#include "retort/dataset/columns.h"

namespace retort {

/// Writes the two columns of write_strings(). `close()` must be called.
class StringWriter {
 public:
  StringWriter(const fs::path& folder, const std::string& name)
      : bytes_(folder, name + ".bytes"), offsets_(folder, name + ".offsets") {
    offsets_.push(0);
  }
  void push(std::string_view text) {
    for (const char c : text) bytes_.push(static_cast<uint8_t>(c));
    offsets_.push(bytes_.size());
  }
  int64_t size() const { return offsets_.size() - 1; }
  void close() {
    bytes_.close();
    offsets_.close();
  }

 private:
  ColumnWriter<uint8_t> bytes_;
  ColumnWriter<int64_t> offsets_;
};

}  // namespace retort
