// What every teacher sees of a pair: x = [user fields; item fields; pair features], each with its
// dense values.
#pragma once

#include <torch/torch.h>

#include "retort/bundle/ranker_spec.h"
#include "retort/model/options.h"
#include "retort/nn/dense_layer.h"
#include "retort/nn/input.h"

namespace retort {

/// Source: x_i of DMTL sec. 2.1; methods A1. Tables "teacher.<feature>", apart from the student's.
class TeacherInput {
 public:
  /// Registers the tables below `model`. Throws ConfigError if no feature is left.
  TeacherInput(torch::nn::Module& model, const Schema& schema, const FeatureOptions& options);
  /// User features [G, user width] are the part that rows of one user share; item and pair features
  /// [R, their width] are a row's own. Where no row shares anything, all of x [R, width] is its
  /// own.
  GroupedRows forward(const TensorBatch& batch);
  /// The inputs, forest and layers of a teacher of this kind (RankerSpec::kind).
  RankerSpec spec(const char* kind, const TeacherOptions& options) const;
  int32_t width() const { return user_.width() + item_.width() + pair_.width(); }

 private:
  InputSpec user_spec_, item_spec_, pair_spec_;
  InputLayer user_, item_, pair_;
};

}  // namespace retort
