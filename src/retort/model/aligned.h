// The ranking model of RRA, which may share its lower half with the retrieval model.
#pragma once

#include <memory>
#include <string>

#include <torch/torch.h>

#include "retort/model/multi_task.h"
#include "retort/model/multi_task_options.h"

namespace retort {

/// A logit a task of the student (s_ctr, s_dwm) of a pair: the user's fields, the target show's and
/// the interactions' through products and a mixture of its own. The user side has the shape of the
/// student's; `sharing`: "bottom" takes the student's tables and sequences, "embeddings" its tables
/// only, "none" neither. Names: "teacher.<what the student calls it>" for all that is its own.
/// Source: RRA sec. 4.2.4, fig. 2 ("partially shared"). Shapes: logits [R].
class Aligned : public RankingModel {
 public:
  Aligned(const Schema& schema, const AlignedOptions& options, MultiTask& student);
  TaskLogits score(const TensorBatch& batch) override;
  RankerSpec spec() const override;
  std::vector<std::string> outputs() const override { return tasks_; }
  bool shares_student() const override { return sharing_ != "none"; }
  std::vector<torch::Tensor> common_weights() override;
  void initialise(const Rng& init, double embedding_deviation);

 private:
  std::string sharing_;
  std::vector<std::string> tasks_;
  TowerSpec user_;
  InputSpec item_, pair_;
  MixtureSpec mixture_spec_;
  UserBottom* shared_ = nullptr;  // the student's
  std::unique_ptr<UserBottom> own_;
  InputLayer item_input_, pair_input_;
  std::unique_ptr<Mixture> mixture_;
};

std::shared_ptr<RankingModel> make_aligned(const Schema&, const Json& teacher, const Rng& init,
                                           CandidateModel* student);

}  // namespace retort
