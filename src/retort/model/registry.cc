#include <array>

#include "retort/common/error.h"
#include "retort/common/text.h"
#include "retort/model/aligned.h"
#include "retort/model/cgc.h"
#include "retort/model/mmoe.h"
#include "retort/model/models.h"
#include "retort/model/multi_task.h"
#include "retort/model/shared_bottom.h"
#include "retort/model/single.h"
#include "retort/model/three_tower.h"
#include "retort/model/two_tower.h"

namespace retort {
namespace {

// Order does not matter.
constexpr auto kCandidateModels = std::to_array<CandidateModelEntry>({
    {"two_tower", "user tower and item tower, scored by their inner product",
     "DMTL sec. 2.2, eq. 10", &make_two_tower},
    {"multi_task", "one user vector a task (click, watching minutes, ..) against one item vector",
     "RRA sec. 4.2, eq. 7-8", &make_multi_task},
    {"three_tower", "a tower a task on one side, mixed by a gate on the user's preference",
     "DMMP, abstract", &make_three_tower},
});

constexpr auto kRankingModels = std::to_array<RankingModelEntry>({
    {"mmoe", "experts with a gate and a tower a task of a forest: pCTR, pCVR and their product",
     "DMTL sec. 2.1, eq. 1-6", &make_mmoe},
    {"cgc", "experts of a task and of all, one level: customised gate control",
     "DMMP, abstract; PLE (RecSys 2020) eq. 4-6", &make_cgc},
    {"ple", "levels of experts of a task and of all: progressive layered extraction",
     "PLE (RecSys 2020) sec. 4.2", &make_cgc},
    {"shared_bottom", "one bottom for all tasks, a tower each", "MMoE (KDD 2018) sec. 3.1",
     &make_shared_bottom},
    {"single", "one expert and one tower: the logit of a read alone",
     "control KD-single, not in the paper", &make_single},
    {"aligned",
     "the tasks of a pair (click, watching minutes, ..), on the student's tables and sequences",
     "RRA sec. 4.2.4, fig. 2", &make_aligned},
});

/// The value of `kind` in a recipe's table, or `fallback`.
std::string kind_of(const Json& table, const char* section, const std::string& fallback) {
  if (table.is_null() || !table.contains("kind")) return fallback;
  if (!table["kind"].is_string())
    fail<ConfigError>("recipe key '{}.kind': a string is expected, not {}", section,
                      table["kind"].dump());
  return table["kind"].get<std::string>();
}

template <class Entries>
auto make_by_name(const Entries& entries, const char* section, const std::string& kind,
                  const Schema& schema, const Json& table, const Rng& init, auto&... student) {
  std::vector<std::string> known;
  for (const auto& entry : entries) {
    if (entry.name == kind) return entry.make(schema, table, init, student...);
    known.emplace_back(entry.name);
  }
  const std::string near = nearest_name(kind, known);
  fail<ConfigError>("recipe key '{}.kind': '{}' is unknown{}; known: {}", section, kind,
                    near.empty() ? "" : ", did you mean '" + near + "'?", fmt::join(known, ", "));
}

}  // namespace

std::span<const CandidateModelEntry> candidate_models() { return kCandidateModels; }
std::span<const RankingModelEntry> ranking_models() { return kRankingModels; }

std::shared_ptr<CandidateModel> make_candidate_model(const Schema& schema, const Json& student,
                                                     const Rng& init) {
  const std::string kind = kind_of(student, "student", "two_tower");
  return make_by_name(kCandidateModels, "student", kind, schema, student, init);
}

std::shared_ptr<RankingModel> make_ranking_model(const Schema& schema, const Json& teacher,
                                                 const Rng& init, CandidateModel* student) {
  if (teacher.is_null()) return nullptr;
  const std::string kind = kind_of(teacher, "teacher", "mmoe");
  if (kind == "none") return nullptr;
  return make_by_name(kRankingModels, "teacher", kind, schema, teacher, init, student);
}

std::shared_ptr<CandidateModel> make_candidate_model(const ModelSpec& spec) {
  if (spec.kind == "two_tower") return std::make_shared<TwoTower>(spec);
  if (spec.kind == "multi_task") return std::make_shared<MultiTask>(spec);
  if (spec.kind == "three_tower") return std::make_shared<ThreeTower>(spec);
  fail<DataError>("model spec: kind '{}' is unknown; known: two_tower, multi_task, three_tower",
                  spec.kind);
}

}  // namespace retort
