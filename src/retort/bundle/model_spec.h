// The architecture of a candidate model as plain data: what nn/ builds torch modules from, and
// what encoder/ composes kernels from. Written as model.json into runs and bundles.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "retort/common/json.h"
#include "retort/dataset/schema.h"

namespace retort {

/// One sparse feature's way into a tower: rows of `table` are gathered and pooled.
struct FieldSpec {
  std::string feature;  // FeatureSpec::name
  std::string table;    // embedding table: weight "<table>.weight" [rows, dim]
  int64_t rows = 0;
  int32_t dim = 30;
  std::string pooling = "mean";  // categorical: irrelevant; bag, sequence: mean | sum
  std::string storage = "fp32";  // of the table in training: fp32 | bf16
};

/// Inputs concatenated in this order: fields (pooled embeddings), then the dense values of the
/// side. An empty bag pools to zeros.
struct InputSpec {
  Side side = Side::kUser;
  std::vector<FieldSpec> fields;
  std::vector<int> sparse_index;  // [fields] position in SideBatch::sparse
  int32_t dense_width = 0;        // all dense values of the side (0 = none used)
  int32_t width() const;
};

/// A sequence feature with its side information as one vector. Step i of a row is the product of
/// the rows that its fields look up there (fields of equal length, aligned, of width dim); with
/// `layers` > 0 a position is added and the steps pass through a bidirectional transformer. The
/// row's vector is the sum over its steps, zeros for an empty sequence.
/// Weights, with d = dim: "<name>.positions" [length, d]; block i = 0 .. layers - 1 is a post-norm
/// transformer layer with ReLU, "<name>.block<i>." + self_attn.in_proj_weight [3 d, d] (query, key,
/// value), self_attn.in_proj_bias [3 d], self_attn.out_proj.weight [d, d], .bias, linear1.weight
/// [hidden, d], .bias, linear2.weight [d, hidden], .bias, norm1.weight, .bias, norm2.weight, .bias
/// [d], epsilon 1e-5.
/// Source: RRA sec. 4.2.2; Vaswani et al. 2017.
struct SequenceSpec {
  std::string name;               // "user.watched_tv"
  std::vector<FieldSpec> fields;  // multiplied element by element
  std::vector<int> sparse_index;  // [fields] position in SideBatch::sparse
  int32_t length = 100;           // steps at most; further ones are cut
  int32_t layers = 2, heads = 2, hidden = 256;
  int32_t dim() const { return fields.empty() ? 0 : fields.front().dim; }
};

/// What follows the inputs of a user side with several tasks: products of fields, then experts with
/// a gate and a head a task.
/// Fields f_1 .. f_F are those of the input in order, then all dense values as one, then the
/// sequences. With product_dim = d > 0: p_ij = <W_i f_i, W_j f_j> for i < j in order (1,2), (1,3)
/// .. (F-1,F), W_i = "<tower>.product<i>.weight" [d, width_i], i from 0, and x = [f_1 .. f_F; p];
/// else x = [f_1 .. f_F]. Experts "<tower>.expert<k>.layer<i>" with ReLU after each layer; gate of
/// task t: softmax("<tower>.gate_<task>.weight" [experts, width of x] x), no bias; head
/// "<tower>.head_<task>.layer<i>" on the gated sum of the experts, ReLU between layers.
/// Source: RRA sec. 4.2.3, fig. 2; PNN: Qu et al., ICDM 2016; MMoE: Ma et al., KDD 2018.
struct MixtureSpec {
  int32_t product_dim = 64;
  int32_t experts = 3;
  std::vector<int32_t> expert_layers{256, 128};
  std::vector<int32_t> head_layers{128, 64};
  std::vector<std::string> tasks{"click", "dwm"};
};

/// How much each task counts for a user, [tasks], above 0 and 1 in sum. kind "learned": softmax of
/// an MLP on the tower's input, Linear + ReLU for each of `layers`, then Linear -> tasks; weights
/// "<tower>.gate.layer<i>.weight" and ".bias". kind "equal": 1 / tasks.
/// Source: DMMP (abstract: user preference gate); its form is methods C2.
struct GateSpec {
  std::string kind = "learned";  // learned | equal
  std::vector<std::string> tasks{"click", "read"};
  std::vector<int32_t> layers{64};
};

/// One side of the inner product. Plain: an MLP on the input, Linear + ReLU for each of `layers`
/// but the last, which is linear; weights "<name>.layer<i>.weight" [out, in] and ".bias" [out];
/// without layers the input itself. With a mixture (user side): one vector a task. With `towers`
/// (names of tasks): an MLP each, "<name>.tower_<task>.layer<i>", all on the one input; the vector
/// is, with a gate, their sum by its shares, without one all of them side by side. With a gate
/// alone: the plain vector times each share, side by side.
struct TowerSpec {
  std::string name;  // "user" or "item"
  InputSpec input;
  std::vector<int32_t> layers{};  // {512, 256, 128}
  std::vector<SequenceSpec> sequences{};
  std::optional<MixtureSpec> mixture{};
  std::vector<std::string> towers{};
  std::optional<GateSpec> gate{};
  /// Of the input, the dense values and the sequences together.
  int32_t input_width() const;
  /// Width of a vector.
  int32_t dim() const;
};

/// kind "two_tower": score = <user(u), item(v)>. kind "multi_task": the user side has a mixture of
/// two tasks or more and score = <sum of shares_t user_t(u), item(v)>, one item vector for all; of
/// two tasks the shares are w and 1 - w. kind "three_tower": the user side has a gate, and one of
/// the sides `towers`, of the gate's tasks; score = <user(u), item(v)>, which is the sum of
/// g_t(u) <user_t(u), item(v)> where the users have the towers, of g_t(u) <user(u), item_t(v)>
/// where the items have them.
/// Source: DMTL eq. 10; RRA eq. 7, 8; DMMP, methods C2.
struct ModelSpec {
  std::string kind = "two_tower";
  TowerSpec user, item;
  /// Popularity correction: item vectors get beta * log q as one more dimension, user vectors 1.
  double beta = 0;
  double fusion = 1;             // w of the first of two tasks
  std::vector<double> shares{};  // of three tasks or more; empty: equal ones
  int32_t dim() const { return user.dim(); }
};

/// Throws ConfigError naming `what` unless the model has two tasks and 0 <= fusion <= 1.
void check_fusion(const ModelSpec& spec, double fusion, const std::string& what);

/// Names of the tasks that the user side has a vector of its own for: a mixture's or a gate's;
/// none of a plain two-tower model.
const std::vector<std::string>& task_names(const ModelSpec& spec);

/// How much each task's vector counts, [tasks]; {1} without a mixture.
std::vector<double> task_shares(const ModelSpec& spec);
/// Makes the shares the model's own (of two tasks: divided by their sum); a single number is w of
/// two tasks. Throws ConfigError naming `what` unless there is one a task, each 0 or more and not
/// all 0.
void set_shares(ModelSpec& spec, const std::vector<double>& shares, const std::string& what);

Json to_json(const ModelSpec& spec);
/// Throws DataError naming the key.
ModelSpec model_spec_from_json(const Json& json);

/// InputSpec of one side of a schema: every sparse feature of the side with its own table
/// "<prefix>.<feature>" (or, with `share`, one table a vocabulary, "<vocabulary>"), all dense.
InputSpec make_input(const Schema& schema, Side side, const std::string& prefix, int32_t dim,
                     bool share);

}  // namespace retort
