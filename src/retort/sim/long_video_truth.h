// The latents of World L on disk: DIR/truth/, a folder of columns under a manifest with digests.
// Only the oracle reads it; ingest and the feature builders never do.
#pragma once

#include "retort/common/file.h"
#include "retort/sim/long_video_world.h"

namespace retort {

/// Fills the folder (it must exist) and closes it with a manifest.
void write_truth(const fs::path& folder, const LongVideoWorld& world);

/// Whether DIR/truth is that of World L (a world of another kind, or none, is not).
bool has_long_video_truth(const fs::path& world);
/// Throws DataError if a file is missing, altered or of another size than the options say.
LongVideoWorld read_long_video_truth(const fs::path& folder);

}  // namespace retort
