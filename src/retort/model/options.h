// The recipe's tables [student] and [teacher], and the inputs that they ask for.
// Source: default sizes of DMTL sec. 3.1.4; initial deviation of methods A6.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "retort/bundle/model_spec.h"
#include "retort/common/json.h"
#include "retort/common/recipe.h"
#include "retort/dataset/schema.h"
#include "retort/model/task_forest.h"

namespace retort {

/// What both tables say about features and their embeddings.
struct FeatureOptions {
  int32_t embedding = 30;            // dimension of every table, > 0
  bool share_tables = false;         // one table a vocabulary instead of one a feature
  std::string pooling = "mean";      // of bags and sequences: mean | sum
  std::string storage = "fp32";      // of the tables: fp32 | bf16 (half the memory)
  double embedding_deviation = 0.3;  // initial N(0, d^2), >= 0
  std::vector<std::string> exclude;  // features that the model does not see
};

struct StudentOptions {
  FeatureOptions features;
  std::vector<int32_t> user_layers{512, 256, 128};  // last sizes equal, linear
  std::vector<int32_t> item_layers{512, 256, 128};

  /// Throws ConfigError naming the key.
  static StudentOptions read(const Json& table);
};

/// Of all teachers with experts, so that one kind may stand for another in a recipe: what a kind
/// has no use for it does not look at.
struct TeacherOptions {
  FeatureOptions features;
  int32_t experts = 2;                                 // mmoe: K
  int32_t shared_experts = 2, task_experts = 2;        // cgc, ple: of each level
  int32_t levels = 2;                                  // ple; cgc has 1
  std::vector<int32_t> expert_layers{1024, 512, 256};  // ReLU after each
  std::vector<int32_t> tower_layers{256, 256};         // hidden layers, before Linear -> 1
  TaskForest tasks = TaskForest::paper();              // of teacher_table(), with seconds_cap

  static TeacherOptions read(const Json& table);
};

/// Pieces of reading a table, for the options of other models. `fields` is the table's.
void read_feature_options(Fields& fields, FeatureOptions& options);
/// A list of sizes of 1 or more. Throws ConfigError naming the key.
void read_layers(Fields& fields, const std::string& key, std::vector<int32_t>& layers,
                 bool may_be_empty);
/// Names of a student's tasks: two or more, each once. Throws ConfigError naming `key`.
void check_student_tasks(const std::string& key, const std::vector<std::string>& tasks);
/// {name: table}: what Fields reads a table from.
Json under(const char* name, const Json& table);

/// Input of one side, [R, width]: every feature but the excluded ones, tables "<prefix>.<feature>"
/// or, with share_tables, "<shared_prefix><vocabulary>". Dense values are seen all or not at all.
/// Throws ConfigError on an excluded feature that the schema does not have.
InputSpec make_input(const Schema& schema, Side side, const std::string& prefix,
                     const std::string& shared_prefix, const FeatureOptions& options);

}  // namespace retort
