// The pictures of a comparison with [plot]: a metric of its rows over their `x`.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "retort/study/compare_table.h"

namespace retort {

/// One SVG for each metric of the plot, by file name ("NAME-recall-20.svg"): a line of the means of
/// rows with one `line`, in the order of `x`, for each data recipe; bars are 95% intervals as in
/// the table. Empty without a plot.
std::map<std::string, std::string> plan_plots(const ComparePlan& plan,
                                              const std::vector<DataResult>& measured);

}  // namespace retort
