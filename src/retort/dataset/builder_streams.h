// The streams of a dataset in the making: user events beside the clicks, sorted and written.
#pragma once

#include "retort/dataset/builder_recipe.h"

namespace retort {

/// Writes stream.NAME.* from the table of the stream, which it drops; users and items are numbered.
void write_stream(DuckDb& db, const StreamSource& stream, int64_t users, const fs::path& folder);

}  // namespace retort
