// The JSON value of every room: manifests, recipes once resolved, `--json` output.
#pragma once

#include <nlohmann/json.hpp>

namespace retort {

/// Keys keep the order they were written in, so that manifests and tables read as intended.
using Json = nlohmann::ordered_json;

}  // namespace retort
