// Plain text tables for the terminal.
#pragma once

#include <string>
#include <vector>

namespace retort {

/// Columns are as wide as their widest cell (counted in code points); the first is set left, the
/// others right.
class Table {
 public:
  explicit Table(std::vector<std::string> header);
  /// Throws ArgumentError if the number of cells is not that of the header.
  void add(std::vector<std::string> row);
  std::string text() const;
  /// The same as a Markdown table.
  std::string markdown() const;

 private:
  std::vector<std::string> header_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace retort
