// The table of metrics: what `retort list metrics` prints and the documentation is made from.
#pragma once

#include <span>
#include <string_view>

namespace retort {

struct MetricEntry {
  std::string_view name;     // key in JSON; K stands for a number
  std::string_view summary;  // one line
  std::string_view source;   // paper or specification
};
std::span<const MetricEntry> metrics();

}  // namespace retort
