// A collected report for the terminal.
#pragma once

#include <string>

#include "retort/common/json.h"

namespace retort {

/// `report`: of collect_report.
std::string report_text(const Json& report);

}  // namespace retort
