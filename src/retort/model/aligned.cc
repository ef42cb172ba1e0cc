#include "retort/model/aligned.h"

#include "retort/common/error.h"

namespace retort {
namespace {

const std::string kPrefix = "teacher.";

void add_prefix(std::vector<FieldSpec>& fields) {
  for (FieldSpec& field : fields) field.table = kPrefix + field.table;
}

}  // namespace

Aligned::Aligned(const Schema& schema, const AlignedOptions& options, MultiTask& student)
    : sharing_(options.sharing),
      tasks_(student.spec().user.mixture->tasks),
      user_(student.spec().user),
      item_(student.spec().item.input),
      pair_(make_fields(schema, Side::kPair, options.features)) {
  if (sharing_ == "none") {
    add_prefix(user_.input.fields);
    for (SequenceSpec& sequence : user_.sequences) add_prefix(sequence.fields);
    add_prefix(item_.fields);
  }
  add_prefix(pair_.fields);
  for (SequenceSpec& sequence : user_.sequences) sequence.name = kPrefix + sequence.name;

  const InputSpec user = all_fields(user_);
  TableMap tables = sharing_ == "none" ? make_tables(*this, {&user, &item_, &pair_})
                                       : make_tables(*this, {&pair_});
  if (sharing_ != "none") tables.insert(student.tables().begin(), student.tables().end());
  if (sharing_ == "bottom") {
    shared_ = &student.bottom();
  } else {
    own_ = std::make_unique<UserBottom>(*this, user_, tables);
  }
  item_input_ = InputLayer(item_, tables);
  pair_input_ = InputLayer(pair_, tables);
  std::vector<int32_t> widths = shared_ != nullptr ? shared_->widths() : own_->widths();
  for (const InputSpec* input : {&item_, &pair_})
    for (const int32_t width : field_widths(*input)) widths.push_back(width);
  mixture_spec_ = options.mixture;
  mixture_spec_.head_layers.push_back(1);
  mixture_spec_.tasks = tasks_;
  mixture_ = std::make_unique<Mixture>(*this, "teacher", widths, mixture_spec_);
}

TaskLogits Aligned::score(const TensorBatch& batch) {
  std::vector<torch::Tensor> fields;
  for (const torch::Tensor& field : (shared_ != nullptr ? *shared_ : *own_).forward(batch.users))
    fields.push_back(expand_rows(field, batch.user_of_row));
  for (const torch::Tensor& field : split_fields(item_input_, item_, batch.items))
    fields.push_back(field);
  for (const torch::Tensor& field : split_fields(pair_input_, pair_, batch.pairs))
    fields.push_back(field);
  const std::vector<torch::Tensor> logits = mixture_->forward(fields);
  TaskLogits result;
  for (size_t i = 0; i < tasks_.size(); ++i) result[tasks_[i]] = logits[i].squeeze(1);
  return result;
}

RankerSpec Aligned::spec() const {
  RankerSpec spec;
  spec.kind = "aligned";
  spec.user = user_.input;
  spec.item = item_;
  spec.pair = pair_;
  spec.sequences = user_.sequences;
  if (shared_ != nullptr)
    for (SequenceSpec& sequence : spec.sequences) sequence.name.erase(0, kPrefix.size());
  spec.mixture = mixture_spec_;
  for (const std::string& task : tasks_) spec.tasks.push_back({task});
  return spec;
}

std::vector<torch::Tensor> Aligned::common_weights() { return mixture_->common_weights(); }

void Aligned::initialise(const Rng& init, double embedding_deviation) {
  initialise_sequence_tables(*this, user_, init, embedding_deviation);
  if (own_ != nullptr) own_->initialise(init);
  mixture_->initialise(init);
}

std::shared_ptr<RankingModel> make_aligned(const Schema& schema, const Json& teacher,
                                           const Rng& init, CandidateModel* student) {
  auto* retrieval = dynamic_cast<MultiTask*>(student);
  if (retrieval == nullptr)
    fail<ConfigError>("recipe key 'teacher.kind': 'aligned' goes with student.kind = 'multi_task'");
  if (teacher.contains("tasks"))
    fail<ConfigError>(
        "recipe key 'teacher.kind': 'aligned' has a head a task of the student (student.tasks); "
        "[tasks] want 'mmoe', 'cgc', 'ple' or 'shared_bottom'");
  const AlignedOptions options = AlignedOptions::read(teacher);
  auto model = std::make_shared<Aligned>(schema, options, *retrieval);
  model->initialise(init, options.features.embedding_deviation);
  return model;
}

}  // namespace retort
