// A trained run opened for judging and publishing. No torch in this header: rooms to the right
// (study, cli) see spans and plain structs only.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "retort/bundle/model_spec.h"
#include "retort/bundle/ranker_spec.h"
#include "retort/common/file.h"
#include "retort/dataset/dataset.h"
#include "retort/metric/towers.h"

namespace retort {

class TrainedModel {
 public:
  /// Opens the best checkpoint of a run (last if there is no best). Verifies that the dataset is
  /// the one the run was trained on (digest of its manifest); throws DataError otherwise.
  /// `device`: "auto", "cpu", "cuda", "cuda:1".
  TrainedModel(const fs::path& run, const Dataset& dataset, const std::string& device = "auto");
  ~TrainedModel();
  TrainedModel(TrainedModel&&) noexcept;

  const std::string& name() const;  // of the recipe
  const Json& recipe() const;       // resolved
  const ModelSpec& spec() const;
  const Towers& student() const;
  /// The student's vectors are mixed with w from now on; ConfigError for one of a single task.
  void set_fusion(double w);
  /// nullptr if the recipe has no teacher. Tasks: click, read, read_given_click (probabilities'
  /// logits, so that ranking is by logit).
  const PairScorer* teacher() const;
  /// Writes the student's weights (named as ModelSpec says) as safetensors.
  void save_student(const fs::path& path) const;
  /// The teacher's architecture. Throws ConfigError if the run has none.
  RankerSpec teacher_spec() const;
  /// Writes the weights that teacher_spec() names, also those that it shares with the student.
  /// Throws ConfigError if the run has no teacher.
  void save_teacher(const fs::path& path) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The dataset folder a run was trained on, from its run.json.
fs::path dataset_of_run(const fs::path& run);

/// Makes w the run's own: its model.json and run.json say so from now on. Atomic file by file.
void keep_fusion(const fs::path& run, double w);

}  // namespace retort
