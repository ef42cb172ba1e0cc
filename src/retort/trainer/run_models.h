// The torch models of a finished run, as its folder has them.
#pragma once

#include <memory>

#include <torch/torch.h>

#include "retort/common/file.h"
#include "retort/dataset/dataset.h"
#include "retort/model/models.h"

namespace retort {

/// Weights are those of the best checkpoint (the last if there is no best); the teacher's those of
/// its own best epoch, unless it shares parts with the student.
struct RunModels {
  Json recipe;  // resolved
  ModelSpec spec;
  std::shared_ptr<CandidateModel> student;
  std::shared_ptr<RankingModel> teacher;  // nullptr if the recipe has none
  fs::path teacher_checkpoint;            // what its weights are from
  int64_t teacher_step = 0;               // after which they were kept
};
/// Opened on a dataset that grew from the run's own, what is new there has the vectors of the
/// unknown (row 0). Throws DataError if `run` is no run's folder, or was trained on another dataset
/// (digest of its manifest) that `dataset` did not grow from.
RunModels load_run_models(const fs::path& run, const Dataset& dataset, torch::Device device);

}  // namespace retort
