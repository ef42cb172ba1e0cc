// A recipe's teacher without torch: what a server says of a pair beside the student's score. Equal
// to the torch model to 1e-4 in fp32.
#pragma once

#include <memory>

#include "retort/bundle/ranker_spec.h"
#include "retort/bundle/safetensors.h"
#include "retort/dataset/batch.h"
#include "retort/encoder/forest.h"

namespace retort {

class Ranker {
 public:
  /// Throws DataError if a weight is missing or of the wrong shape. Keeps `weights` mapped.
  Ranker(RankerSpec spec, std::shared_ptr<const SafetensorsFile> weights);
  ~Ranker();
  Ranker(Ranker&&) noexcept;
  const RankerSpec& spec() const;
  /// Logits of the pairs `users`[user_of_row], `items`, `pairs` of the batch, by output; what else
  /// the batch has is not looked at. Throws ArgumentError on a batch that does not fit or an id
  /// outside its table. Thread-safe; runs on the pool.
  RankerLogits score(const Batch& batch) const;

 private:
  struct State;
  std::unique_ptr<const State> state_;
};

}  // namespace retort
