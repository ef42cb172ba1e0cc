// What a recipe's teacher predicts of an article that is shown: tasks that follow from one another.
#pragma once

#include <string>
#include <vector>

#include "retort/common/json.h"

namespace retort {

struct Task {
  std::string name;   // of its logit, "teacher_<name>", and of its head's weights
  std::string label;  // click, read or a label of the dataset
  int parent = -1;    // place in the forest; -1: shown
  double weight = 1;  // of its own term in the sum of losses; 0: it has none
};

/// The table [tasks] of a recipe, parents before their children. p(task | shown) is the product of
/// the conditional probabilities along the way from the root; the task's label in the entire space
/// of what was shown is 1 where its own label and those of all its ancestors are.
/// Source: ESMM, Ma et al., SIGIR 2018, eq. 1, for chains of any length; DMTL eq. 6 is click, read.
struct TaskForest {
  std::vector<Task> tasks;
  bool declared = false;  // false: click, then read, without terms of their own
  /// Above 0: the last two of `tasks` are no tasks but heads, kSecondsHead and kDeviationHead, and
  /// the model gives kValueOutput as well; seconds beyond the cap are worth no more.
  double seconds_cap = 0;

  /// Adds the two heads. Throws ConfigError without a task "click", where a task has one of the
  /// names, or for a cap that is not above 0.
  void add_seconds(double cap);

  /// DMTL's two tasks.
  static TaskForest paper();
  /// `tasks` is the recipe's table; null: paper(). Throws ConfigError naming the key on a cycle, an
  /// unknown parent, a weight below 0, a name that is none.
  static TaskForest read(const Json& tasks);

  /// Place of a task, -1 if there is none of this name.
  int find(const std::string& name) const;
  /// The task at the root of the tree that the task at `place` is in.
  const Task& root_of(int place) const;
  std::vector<std::string> names() const;
};

/// ln of the seconds of a click is normal: its mean, and the logarithm of its deviation.
inline constexpr const char* kSecondsHead = "seconds";
inline constexpr const char* kDeviationHead = "seconds_deviation";
/// The logit of pCTR E[min(T, cap) | click] / cap.
inline constexpr const char* kValueOutput = "value";

/// The recipe's [teacher] with its [tasks], as make_ranking_model takes it; null without a teacher.
Json teacher_table(const Json& recipe);

/// "<task>_given_<parent>": the output of a task's conditional probability.
std::string given_name(const TaskForest& forest, const Task& task);
/// The outputs of a forest's model: every task's, and of those with a parent given_name.
std::vector<std::string> output_names(const TaskForest& forest);

}  // namespace retort
