// The table of losses. A loss never samples and never owns weights; it sees logits and labels.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <torch/torch.h>

#include "retort/common/json.h"
#include "retort/common/rng.h"

namespace retort {

/// What a loss over the catalogue needs: the vectors behind the student's logits.
struct CatalogueInputs {
  std::map<std::string, torch::Tensor> users;  // [R, D] by the name of the logit they are behind
  torch::Tensor items;                         // [N, D] of all candidates; moving: of the rows
  torch::Tensor targets;          // [R] int64, the row's item in `items`; -1: no candidate
  torch::Tensor shown;            // [R'] int64, the targets of all rows that have one
  torch::Tensor log_q;            // [N] log of the share of training impressions
  torch::Tensor streaming_log_q;  // [N] the same, estimated from the steps so far
  torch::Tensor user_of_row;      // [R] int64: rows of one number have one user vector and
                                  // stand together; undefined: nothing is known
  /// Item features depend on the moment: `items` are the batch's rows, each at its own moment, of
  /// these items; undefined: `items` are the candidates, each once.
  torch::Tensor item_of_row;  // [N] int64
  Rng draws;                  // of this step
};

/// What the scores of a ranking model say of a batch beyond its rows ([scores]); what no loss of
/// the recipe needs is undefined.
struct ScoredInputs {
  int64_t known_rows = 0;   // rows with a score in the file
  int64_t known_pairs = 0;  // pairs likewise
  // Lists of Q users at their moments, the ranking model's best first.
  torch::Tensor list_row;      // [Q] int64, a row of the batch with this user and moment
  torch::Tensor list_items;    // [M, D] of the items of lists and rests
  torch::Tensor list_places;   // [Q, K] int64, in list_items
  torch::Tensor list_teacher;  // [Q, K] logits, descending
  torch::Tensor list_valid;    // [Q, K] bool; a list's valid places come first
  torch::Tensor rest_places;   // [Q, N] int64: items drawn from those that are not in the list
  torch::Tensor rest_valid;    // [Q, N] bool; false where there are not so many
  torch::Tensor rank;          // [R] place of the row's item in its user's whole list, 0: not in it
  torch::Tensor snapshot;      // [R] int64, the model version of the row's score; -1: unknown
  int64_t length = 0;          // K
  int64_t catalogue = 0;       // candidates
  int64_t step = 0;            // of training; 0 where there is none
  // Pairs of a user row and another row's item.
  torch::Tensor group_row;                           // [G] int64, a row of each user row
  torch::Tensor row_items;                           // [R, D]
  torch::Tensor pair_group, pair_row;                // [P] int64: the pairs with a score
  std::map<std::string, torch::Tensor> pair_logits;  // [P] by name, NaN: unknown
};

/// What a loss may look at, by the names that recipes use; a name is missing where a recipe has
/// none. All [R] float.
struct LossInputs {
  /// "student" s, the student's inner product; "student_<task>" of a student with a vector a task;
  /// "teacher_<output>" of the ranking model ("teacher_click" a, "teacher_read_given_click" b,
  /// "teacher_read" the logit of pCTCVR, "teacher_dwm"); "logged_click", "logged_dwm" of the ranker
  /// live at the moment (NaN: unknown); "mentor_<output>" of the frozen ranker of an earlier run;
  /// "scored_<name>" of a file of scores or what stands for it ([scores]; NaN: unknown).
  std::map<std::string, torch::Tensor> logits{};
  /// "click" y, "read" z, "seconds" T; "known": 1 where T is known, else 0; "reward" w_dwm: min(T,
  /// clip) / mean, of clicks about 1. Labels of the dataset, and of the tasks of a forest those in
  /// the entire space: 1, 0 or NaN where unknown.
  std::map<std::string, torch::Tensor> labels{};
  CatalogueInputs catalogue{};
  ScoredInputs scored{};
};

/// Behind a logit's name: on the scale of the row's snapshot.
inline constexpr const char* kPerSnapshot = "@snapshot";

/// Mean over the batch, differentiable.
using Loss = std::function<torch::Tensor(const LossInputs&)>;

/// What a loss asks of the trainer beyond logits and labels.
struct LossNeeds {
  bool catalogue = false;    // LossInputs::catalogue
  bool reward = false;       // LossInputs::reward
  bool lists = false;        // lists of LossInputs::scored
  bool pairs = false;        // pairs of LossInputs::scored
  bool whole_batch = false;  // a mean over rows that a part of the batch does not know
};

/// Source: as each entry says.
struct LossEntry {
  std::string_view name, summary, source;
  /// Options are the recipe's table of the term ("loss" and "weight" in it are the trainer's);
  /// throws ConfigError on an unknown key.
  Loss (*make)(const Json& options);
  LossNeeds needs{};
};
std::span<const LossEntry> losses();
/// Throws ConfigError listing the known names.
const LossEntry& loss_entry(const std::string& name);
Loss make_loss(const std::string& name, const Json& options);

/// Whether a term of the recipe waits for the deviation of the training seconds: its loss is
/// "squared" with transform = "scaled" and no `scale` (or 0). The trainer then sets the term's
/// "scale" before make_loss, which refuses 0.
bool needs_seconds_deviation(const Json& term);

}  // namespace retort
