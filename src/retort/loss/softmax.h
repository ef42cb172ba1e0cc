// Multi-class classification of the shown item among the catalogue: RRA's retrieval losses.
#pragma once

#include <torch/torch.h>

#include "retort/loss/losses.h"
#include "retort/loss/negative_sets.h"

namespace retort {

/// on = student_click (or student, of one vector): L = mean_i -w_i log softmax(s_click)^i, w = 1
/// for clicked rows, else `unclicked` (alpha): what was shown and not clicked is a weak positive.
/// on = student_dwm: L = mean_i -y_i w_dwm log softmax(s_dwm)^i over the rows whose minutes are
/// known. on = student_<any other task>: L = mean_i -z_i log softmax over the rows whose label of
/// that name is known. Rows whose item is no candidate do not count.
/// Source: RRA eq. 3, 4; methods B5.
/// @param inputs vectors and targets of [R] rows (CatalogueInputs)   @return scalar
torch::Tensor softmax_loss(const LossInputs& inputs, const std::string& on, double unclicked,
                           const NegativeSet& set);

/// Options: on; unclicked (0.5); negatives = all | uniform | batch | batch_corrected | hard | mixed
/// with count, low, high, log_q = counts | streaming; temperature > 0.
Loss make_softmax(const Json& term);

}  // namespace retort
