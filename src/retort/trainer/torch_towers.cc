#include "retort/trainer/torch_towers.h"

#include <algorithm>
#include <cstring>

#include "retort/common/error.h"

namespace retort {
namespace {

constexpr int64_t kPiece = 16384;  // rows encoded at once

// Rows [begin, begin + rows) of a side.
SideBatch piece_of(const SideBatch& side, int64_t begin, int64_t rows, int32_t dense_width) {
  SideBatch piece;
  piece.rows = rows;
  for (const SparseColumn& column : side.sparse) {
    SparseColumn& part = piece.sparse.emplace_back();
    const int32_t first = column.offsets[begin];
    part.ids.assign(column.ids.begin() + first, column.ids.begin() + column.offsets[begin + rows]);
    for (int64_t row = begin; row <= begin + rows; ++row)
      part.offsets.push_back(column.offsets[row] - first);
  }
  piece.dense.assign(side.dense.begin() + begin * dense_width,
                     side.dense.begin() + (begin + rows) * dense_width);
  return piece;
}

template <class Encode>
void encode_in_pieces(const SideBatch& side, int32_t dense_width, int32_t dim, torch::Device device,
                      std::span<float> out, Encode encode) {
  const torch::NoGradGuard no_grad;
  check(static_cast<int64_t>(out.size()) == side.rows * dim, "encode: {} values for {} rows of {}",
        out.size(), side.rows, dim);
  if (side.rows <= kPiece) return copy_floats(encode(to_tensors(side, dense_width, device)), out);
  for (int64_t begin = 0; begin < side.rows; begin += kPiece) {
    const int64_t rows = std::min(kPiece, side.rows - begin);
    const SideBatch piece = piece_of(side, begin, rows, dense_width);
    copy_floats(encode(to_tensors(piece, dense_width, device)),
                out.subspan(begin * dim, rows * dim));
  }
}

}  // namespace

void copy_floats(const torch::Tensor& from, std::span<float> out) {
  const torch::Tensor flat = from.detach().cpu().contiguous();
  check(flat.numel() == static_cast<int64_t>(out.size()), "copy: {} values into {}", flat.numel(),
        out.size());
  if (!out.empty()) std::memcpy(out.data(), flat.data_ptr<float>(), out.size() * sizeof(float));
}

TorchTowers::TorchTowers(std::shared_ptr<CandidateModel> model, const Schema& schema,
                         torch::Device device)
    : model_(std::move(model)), widths_(dense_widths(schema)), device_(device) {}

int32_t TorchTowers::dim() const { return model_->spec().dim(); }

void TorchTowers::encode_users(const SideBatch& users, std::span<float> out) const {
  encode_in_pieces(users, widths_.user, dim(), device_, out,
                   [&](const SideTensors& side) { return model_->encode_users(side); });
}

void TorchTowers::encode_items(const SideBatch& items, std::span<float> out) const {
  encode_in_pieces(items, widths_.item, dim(), device_, out,
                   [&](const SideTensors& side) { return model_->encode_items(side); });
}

TorchPairScorer::TorchPairScorer(std::shared_ptr<RankingModel> model, const Schema& schema,
                                 torch::Device device)
    : model_(std::move(model)), widths_(dense_widths(schema)), device_(device) {}

void TorchPairScorer::score(const Batch& batch, std::string_view task, std::span<float> out) const {
  const torch::NoGradGuard no_grad;
  const TaskLogits logits = model_->score(to_tensors(batch, widths_, device_));
  auto chosen = logits.find(std::string(task));
  // A model without a task is asked for the nearest that it has: reads, else clicks, else its
  // first.
  const bool usual =
      task == "click" || task == "read" || task == "dwm" || task == "read_given_click";
  for (const char* other : {"read", "click"})
    if (usual && chosen == logits.end()) chosen = logits.find(other);
  if (usual && chosen == logits.end()) chosen = logits.begin();
  check(chosen != logits.end(), "score: no task '{}'; there are {}", task,
        fmt::join(model_->outputs(), ", "));
  copy_floats(chosen->second, out);
}

}  // namespace retort
