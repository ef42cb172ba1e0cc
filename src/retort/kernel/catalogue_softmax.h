// Softmax cross-entropy of users over a whole catalogue of items, forward and backward, without
// holding the logits: tiles of some users and some items, a log-sum-exp that goes along the items,
// and logits computed once more for the gradients. Used by loss/ and without torch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "retort/kernel/catalogue_input.h"
#include "retort/kernel/precision.h"

namespace retort {

/// What backward needs of forward, of each row and in base 2: the greatest logit, the sum of
/// exponentials below it, and the target's logit.
struct CatalogueSoftmaxState {
  std::vector<float> max, sum, target;
};

/// Row r:  loss_r = -weight_r reward_r (s_r,target - log sum_i exp s_ri),
///   s_ri = <x_r, v_i> / temperature - log_q_i,
/// where i runs over the target, excluded or not, and all items that are not excluded.
/// Source: Bengio & Senecal 2008 and Yi et al., RecSys 2019 (logQ); Milakov & Gimelshein 2018
/// (log-sum-exp along blocks); Wijmans et al. 2024, Cut Cross-Entropy (logits computed once more).
///
/// Results are the same bits for any number of threads. In bf16, users, items and the gradients of
/// logits are rounded to bf16 for the products, which sum in fp32. Beyond inputs and outputs it
/// takes about 35 MiB, for any B and N, and keeps them: steady state allocates nothing but small
/// handles of oneDNN. One call at a time; runs on the pool.
class CatalogueSoftmax {
 public:
  explicit CatalogueSoftmax(Precision precision = Precision::kAuto);
  ~CatalogueSoftmax();
  CatalogueSoftmax(const CatalogueSoftmax&) = delete;
  CatalogueSoftmax& operator=(const CatalogueSoftmax&) = delete;
  /// kFp32 or kBf16.
  Precision precision() const;

  /// loss [B]. Throws ArgumentError where sizes, targets or options do not fit.
  void forward(const CatalogueSoftmaxInput& input, std::span<float> loss,
               CatalogueSoftmaxState& state);
  /// Gradients of sum_r loss_gradient_r loss_r, overwriting user_gradient [B, D] and item_gradient
  /// [N, D]; loss_gradient [B], or empty for ones. `state` is that of forward of this input.
  void backward(const CatalogueSoftmaxInput& input, const CatalogueSoftmaxState& state,
                std::span<const float> loss_gradient, std::span<float> user_gradient,
                std::span<float> item_gradient);

  /// Bytes of its own buffers so far.
  size_t buffer_bytes() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace retort
