#include "retort/encoder/ranker.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "retort/common/error.h"
#include "retort/common/thread_pool.h"
#include "retort/encoder/dense_stack.h"
#include "retort/encoder/experts.h"
#include "retort/encoder/input.h"
#include "retort/encoder/mixture.h"
#include "retort/encoder/sequence.h"

namespace retort {
namespace {

constexpr int64_t kPairs = 128;  // taken through all layers at once

using Rows = std::vector<float>;
using Views = std::vector<std::span<const float>>;

/// Experts of one owner at one level, and the gate of what the owner gets from the level; without
/// one the owner gets the first expert that it sees.
struct Group {
  std::vector<DenseStack> experts;
  std::optional<PackedMatrix> gate;

  Group(const SafetensorsFile& weights, const std::vector<std::string>& names,
        const std::string& gate_name, int64_t gated, int64_t in, const RankerSpec& spec) {
    for (const std::string& name : names)
      experts.emplace_back(weights, name, in, spec.expert_layers, true);
    if (gated > 0) gate = gate_matrix(weights, gate_name + ".weight", gated, in);
  }
  std::vector<Rows> run(const Rows& x, int64_t rows, int64_t width) const {
    std::vector<Rows> outputs;
    for (const DenseStack& expert : experts) {
      Rows input = x;
      outputs.emplace_back(static_cast<size_t>(rows * width));
      expert.forward(input, outputs.back());
    }
    return outputs;
  }
  Rows mix(const Rows& x, const Views& seen, int64_t rows) const {
    if (gate) return gated_sum(x, *gate, seen, rows);
    return {seen.front().begin(), seen.front().end()};
  }
};

struct Level {
  Group shared;
  std::vector<Group> tasks;
};

std::vector<std::string> numbered(const std::string& stem, int32_t count) {
  std::vector<std::string> names;
  for (int32_t k = 0; k < count; ++k) names.push_back(fmt::format("{}.expert{}", stem, k));
  return names;
}

/// Of all kinds but cgc: shared experts alone.
Level only_level(const RankerSpec& spec, int64_t width, const SafetensorsFile& weights) {
  const bool mmoe = spec.kind == "mmoe";
  const std::vector<std::string> experts =
      mmoe ? numbered("teacher", spec.experts)
           : std::vector<std::string>{spec.kind == "single" ? "teacher.expert0" : "teacher.bottom"};
  Level level{Group(weights, experts, "", 0, width, spec), {}};
  for (const RankedTask& task : spec.tasks)
    level.tasks.emplace_back(weights, std::vector<std::string>(), "teacher.gate_" + task.name,
                             mmoe ? spec.experts : 0, width, spec);
  return level;
}

Level cgc_level(const RankerSpec& spec, int32_t at, int64_t width, const SafetensorsFile& weights) {
  const std::string stem = fmt::format("teacher.level{}.", at);
  const auto tasks = static_cast<int32_t>(spec.tasks.size());
  const int32_t shared = spec.shared_experts, own = spec.task_experts;
  const int32_t gated = at + 1 == spec.levels ? 0 : shared + tasks * own;
  Level level{
      Group(weights, numbered(stem + "shared", shared), stem + "shared.gate", gated, width, spec),
      {}};
  for (const RankedTask& task : spec.tasks) {
    const std::string name = stem + "task_" + task.name;
    level.tasks.emplace_back(weights, numbered(name, own), name + ".gate", own + shared, width,
                             spec);
  }
  return level;
}

std::vector<Level> make_levels(const RankerSpec& spec, int64_t width,
                               const SafetensorsFile& weights) {
  std::vector<Level> levels;
  if (spec.mixture) return levels;
  if (spec.kind != "cgc") {
    levels.push_back(only_level(spec, width, weights));
    return levels;
  }
  for (int32_t at = 0; at < spec.levels; ++at)
    levels.push_back(cgc_level(spec, at, at == 0 ? width : spec.expert_layers.back(), weights));
  return levels;
}

void append(Views& to, const std::vector<Rows>& rows) {
  for (const Rows& one : rows) to.emplace_back(one);
}

/// What the shared experts and each task see next, from what they see now.
std::vector<Rows> next_of(const Level& level, const std::vector<Rows>& inputs, int64_t rows,
                          int64_t width) {
  const auto input = [&](size_t i) -> const Rows& { return inputs[inputs.size() == 1 ? 0 : i]; };
  std::vector<std::vector<Rows>> experts{level.shared.run(input(0), rows, width)};
  for (size_t t = 0; t < level.tasks.size(); ++t)
    experts.push_back(level.tasks[t].run(input(t + 1), rows, width));
  std::vector<Rows> next(experts.size());
  if (level.shared.gate) {
    Views all;
    for (const std::vector<Rows>& owned : experts) append(all, owned);
    next[0] = level.shared.mix(input(0), all, rows);
  }
  for (size_t t = 0; t < level.tasks.size(); ++t) {
    Views seen;
    append(seen, experts[t + 1]);
    append(seen, experts[0]);
    next[t + 1] = level.tasks[t].mix(input(t + 1), seen, rows);
  }
  return next;
}

}  // namespace

struct Ranker::State {
  State(RankerSpec of, std::shared_ptr<const SafetensorsFile> file)
      : spec(std::move(of)),
        weights(std::move(file)),
        user("ranking model's user", spec.user, *weights),
        item("ranking model's item", spec.item, *weights),
        pair("ranking model's pair", spec.pair, *weights) {
    user_width = user.width();
    for (const SequenceSpec& sequence : spec.sequences) {
      sequences.emplace_back(sequence, *weights);
      user_width += sequence.dim();
    }
    width = user_width + item.width() + pair.width();
    levels = make_levels(spec, width, *weights);
    if (spec.mixture) {
      mixture.emplace("teacher", field_widths(spec), *spec.mixture, *weights);
      return;
    }
    std::vector<int32_t> layers = spec.tower_layers;
    layers.push_back(1);
    for (const RankedTask& task : spec.tasks)
      towers.emplace_back(*weights, "teacher.tower_" + task.name, spec.expert_layers.back(), layers,
                          false);
  }

  void check_batch(const Batch& batch) const {
    const auto rows = std::ssize(batch.user_of_row);
    check(batch.items.rows == rows && (batch.pairs.rows == rows || !spec.sees_pairs()),
          "ranking model: {} items and {} pairs for {} rows", batch.items.rows, batch.pairs.rows,
          rows);
    user.check_batch(batch.users);
    item.check_batch(batch.items);
    if (spec.sees_pairs()) pair.check_batch(batch.pairs);
    for (const SequenceEncoder& sequence : sequences) sequence.check_batch(batch.users);
    for (const int32_t of : batch.user_of_row)
      check(of >= 0 && of < batch.users.rows, "ranking model: user row {} of {}", of,
            batch.users.rows);
  }

  /// The part of x that rows of one user share, [users, user_width].
  Rows user_part(const SideBatch& users) const {
    Rows part(static_cast<size_t>(users.rows * user_width));
    if (part.empty()) return part;
    user.fill(users, 0, users.rows, part, user_width);
    int64_t column = user.width();
    for (const SequenceEncoder& sequence : sequences) {
      sequence.encode(users, 0, users.rows, std::span(part).subspan(static_cast<size_t>(column)),
                      user_width);
      column += sequence.dim();
    }
    return part;
  }

  Rows input_rows(const Batch& batch, const Rows& users, int64_t begin, int64_t end) const {
    Rows x(static_cast<size_t>((end - begin) * width));
    for (int64_t row = begin; row < end; ++row)
      std::copy_n(users.begin() + batch.user_of_row[static_cast<size_t>(row)] * user_width,
                  user_width, x.begin() + (row - begin) * width);
    const auto from = [&](int64_t column) {
      return std::span(x).subspan(static_cast<size_t>(column));
    };
    if (item.width() > 0) item.fill(batch.items, begin, end, from(user_width), width);
    if (pair.width() > 0)
      pair.fill(batch.pairs, begin, end, from(user_width + item.width()), width);
    return x;
  }

  /// A logit a head, [tasks] of [rows].
  std::vector<Rows> heads(Rows x, int64_t rows) const {
    if (mixture) return mixture->encode_tasks(x);
    std::vector<Rows> inputs;
    inputs.push_back(std::move(x));
    for (const Level& level : levels)
      inputs = next_of(level, inputs, rows, spec.expert_layers.back());
    std::vector<Rows> logits;
    for (size_t t = 0; t < towers.size(); ++t) {
      logits.emplace_back(static_cast<size_t>(rows));
      towers[t].forward(inputs[t + 1], logits.back());
    }
    return logits;
  }

  RankerSpec spec;
  std::shared_ptr<const SafetensorsFile> weights;
  InputRows user, item, pair;
  int64_t user_width = 0, width = 0;
  std::vector<SequenceEncoder> sequences;
  std::vector<Level> levels;
  std::vector<DenseStack> towers;
  std::optional<MixtureEncoder> mixture;
};

Ranker::Ranker(RankerSpec spec, std::shared_ptr<const SafetensorsFile> weights)
    : state_(std::make_unique<State>(std::move(spec), std::move(weights))) {}

Ranker::~Ranker() = default;
Ranker::Ranker(Ranker&&) noexcept = default;

const RankerSpec& Ranker::spec() const { return state_->spec; }

RankerLogits Ranker::score(const Batch& batch) const {
  state_->check_batch(batch);
  const int64_t rows = std::ssize(batch.user_of_row);
  const Rows users = state_->user_part(batch.users);
  std::vector<Rows> heads(state_->spec.tasks.size(), Rows(static_cast<size_t>(rows)));
  parallel_for(0, rows, 16, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; row += kPairs) {
      const int64_t last = std::min(row + kPairs, end);
      const std::vector<Rows> block =
          state_->heads(state_->input_rows(batch, users, row, last), last - row);
      for (size_t t = 0; t < heads.size(); ++t) std::ranges::copy(block[t], heads[t].begin() + row);
    }
  });
  return forest_outputs(state_->spec, heads);
}

}  // namespace retort
