#include "retort/common/table.h"

#include <algorithm>
#include <utility>

#include "retort/common/error.h"

namespace retort {
namespace {

size_t width_of(const std::string& text) {  // code points of UTF-8
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string line(const std::vector<std::string>& cells, const std::vector<size_t>& widths) {
  std::string text;
  for (size_t column = 0; column < cells.size(); ++column) {
    const std::string padding(widths[column] - width_of(cells[column]), ' ');
    if (column > 0) text += "  ";
    text += column == 0 ? cells[column] + padding : padding + cells[column];
  }
  text.erase(text.find_last_not_of(' ') + 1);
  return text + '\n';
}

}  // namespace

Table::Table(std::vector<std::string> header) : header_(std::move(header)) {}

void Table::add(std::vector<std::string> row) {
  check(row.size() == header_.size(), "Table: {} cells in a table of {} columns", row.size(),
        header_.size());
  rows_.push_back(std::move(row));
}

std::string Table::text() const {
  std::vector<size_t> widths;
  for (const std::string& name : header_) widths.push_back(width_of(name));
  for (const auto& row : rows_)
    for (size_t column = 0; column < row.size(); ++column)
      widths[column] = std::max(widths[column], width_of(row[column]));
  size_t total = 0;
  for (const size_t width : widths) total += width + 2;
  std::string text = line(header_, widths) + std::string(total > 2 ? total - 2 : 0, '-') + '\n';
  for (const auto& row : rows_) text += line(row, widths);
  return text;
}

std::string Table::markdown() const {
  const auto line_of = [](const std::vector<std::string>& cells) {
    std::string text = "|";
    for (const std::string& cell : cells) text += ' ' + cell + " |";
    return text + '\n';
  };
  std::string text = line_of(header_) + "|---|";
  for (size_t column = 1; column < header_.size(); ++column) text += "---:|";
  text += '\n';
  for (const auto& row : rows_) text += line_of(row);
  return text;
}

}  // namespace retort
