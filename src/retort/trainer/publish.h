// From a run to a bundle: the student's weights, the vectors of its dataset's items, an index.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "retort/bundle/bundle_writer.h"

namespace retort {

struct PublishOptions {
  fs::path dataset{};               // where the run's is now; empty: where it was
  std::string embeddings = "fp32";  // storage of the tables: fp32 | bf16 | int8
  Json index = {{"name", "exact"}};
  std::optional<double> beta{};     // popularity correction, instead of the run's own
  std::vector<double> fusion{};     // shares of tasks, instead of the run's own
  std::optional<int64_t> moment{};  // of all features, us; absent: the end of the log
  bool with_teacher = false;        // the bundle carries the run's teacher as well
  std::string device = "auto";
};

/// Throws ConfigError for with_teacher where the run has none, DataError where run and dataset do
/// not belong together, ConfigError on an option that does not go with the model, and what
/// publish_bundle throws.
PublishResult publish_run(const fs::path& run, const fs::path& bundles,
                          const PublishOptions& options);

}  // namespace retort
