// The architecture of a ranking model (a recipe's teacher) as plain data: what encoder/ranker.h
// runs without torch. Written as teacher.json into bundles that carry the teacher.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "retort/bundle/model_spec.h"
#include "retort/common/json.h"

namespace retort {

/// A head: p(task | its parent), or p(task | shown) without one.
struct RankedTask {
  std::string name;
  int parent = -1;  // place in RankerSpec::tasks, before this one
};

/// Input of a pair: x = [user; item; pair], of each side its fields, then its dense values; after
/// those of the user the sequences. Layers have ReLU between them, experts also after the last;
/// gates are softmax(W x) without bias. Weights, k and i from 0:
/// mmoe: experts "teacher.expert<k>.layer<i>", gates "teacher.gate_<task>"; shared_bottom: one
/// expert for all tasks without a gate, "teacher.bottom"; single: the same, "teacher.expert0";
/// cgc: levels, "teacher.level<j>.shared.expert<k>", ".shared.gate" (not of the last level),
/// "teacher.level<j>.task_<t>.expert<k>", ".gate", where a task's gate mixes its own experts and
/// then the shared ones, and that of the shared ones all of the level, shared ones first. Above
/// stands a tower a task, "teacher.tower_<task>.layer<i>": hidden `tower_layers` and a linear
/// logit. aligned: MixtureSpec on the fields of x, heads with a linear logit last, no forest.
/// Outputs: of each task the logit of p(task | shown), which is the product along the way from the
/// root; of those with a parent also "<task>_given_<parent>". With seconds_cap above 0 the last two
/// tasks are heads of the seconds of a click, and the output "value" is the logit of
/// pCTR E[min(T, cap) | click] / cap. Source: as of model/mmoe.h, cgc.h, shared_bottom.h, single.h,
/// aligned.h, task_forest.h.
struct RankerSpec {
  std::string kind = "mmoe";  // mmoe | cgc | shared_bottom | single | aligned
  InputSpec user{Side::kUser, {}, {}, 0}, item{Side::kItem, {}, {}, 0},
      pair{Side::kPair, {}, {}, 0};
  std::vector<SequenceSpec> sequences{};                     // aligned
  std::optional<MixtureSpec> mixture{};                      // aligned
  int32_t experts = 2;                                       // mmoe
  int32_t shared_experts = 2, task_experts = 2, levels = 1;  // cgc
  std::vector<int32_t> expert_layers{1024, 512, 256};        // not of aligned
  std::vector<int32_t> tower_layers{};                       // may be empty
  std::vector<RankedTask> tasks{};
  double seconds_cap = 0;

  bool sees_pairs() const { return pair.width() > 0; }
};

/// The heads that come last with a seconds_cap, and the output they make.
inline constexpr const char* kRankedSeconds = "seconds";
inline constexpr const char* kRankedDeviation = "seconds_deviation";
inline constexpr const char* kRankedValue = "value";

/// "<task>_given_<parent>".
std::string given_name(const RankerSpec& spec, const RankedTask& task);

/// Widths of the fields of x in order: dense values of a side are one.
std::vector<int32_t> field_widths(const RankerSpec& spec);

/// Every field that looks up a table. Several may share one.
std::vector<FieldSpec> table_fields(const RankerSpec& spec);

Json to_json(const RankerSpec& spec);
/// Throws DataError naming the key.
RankerSpec ranker_spec_from_json(const Json& json);

/// Throws DataError unless every field is a feature of its side, of as many rows, at its place.
void check_fits(const RankerSpec& spec, const Schema& schema);

}  // namespace retort
