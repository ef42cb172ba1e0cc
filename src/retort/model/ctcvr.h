// The logit of pCTCVR = pCTR * pCVR from the two logits, in closed form.
#pragma once

#include <torch/torch.h>

namespace retort {

/// l = -logsumexp(-a, -b, -a-b), because (1 - p) / p = e^-a + e^-b + e^(-a-b) for
/// p = sigmoid(a) sigmoid(b). No branch, no probability near 0 or 1 is formed; dl/da and dl/db lie
/// in [0, 1].
/// Source: ESMM as used by DMTL eq. 6; methods A4.
/// @param click a, [R]   @param read_given_click b, [R]   @return [R]
torch::Tensor ctcvr_logit(const torch::Tensor& click, const torch::Tensor& read_given_click);

}  // namespace retort
