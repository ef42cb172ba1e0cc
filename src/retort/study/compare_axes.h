// Rows of a comparison that are all combinations of a few choices: tables [[axes]].
#pragma once

#include <string>

#include "retort/common/json.h"

namespace retort {

/// One table [[rows]] for each choice of one value from every axis, the last axis running fastest.
/// An axis is {"name", "values": [{"name", keys of a row}]}. A row's label is the chosen names with
/// "-" between them, its title their titles (else names) with ", ", its `sets` those of the values
/// one after another; of other keys a later axis's wins. "{AXIS}" in a text is the name chosen from
/// that axis. Throws ConfigError naming the key.
Json rows_of_axes(const Json& axes);

}  // namespace retort
