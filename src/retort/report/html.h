// A collected report as one HTML file that needs no network.
#pragma once

#include <string>

#include "retort/common/json.h"

namespace retort {

/// `report`: of collect_report. The page holds its data, style, code and the chart library; a
/// Content-Security-Policy in it forbids every request. Texts of the data cannot become markup.
std::string report_html(const Json& report);

}  // namespace retort
