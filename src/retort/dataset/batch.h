// What crosses from the dataset to a model: plain arrays, no torch.
#pragma once

#include <cstdint>
#include <vector>

namespace retort {

/// Ids of one sparse feature for R rows, in compressed rows: row r holds
/// ids[offsets[r] .. offsets[r + 1]).
struct SparseColumn {
  std::vector<int32_t> ids;
  std::vector<int32_t> offsets;  // [R + 1]
};

/// One side's features of R rows: `sparse` and the columns of `dense` in schema order.
struct SideBatch {
  int64_t rows = 0;
  std::vector<SparseColumn> sparse;
  std::vector<float> dense;  // [R, dense_width] row-major
};

/// What the ranking model that was live at the moment gave a shown article, as the log has it.
struct LoggedScores {
  std::vector<float> click, dwm;  // [R] logits, NaN where the log has none
  std::vector<int32_t> snapshot;  // [R] number of the model, -1 where the log has none
};

/// One training or evaluation batch. Rows that share a user and a moment share a row of `users`.
struct Batch {
  SideBatch users;                         // [G]
  SideBatch items;                         // [R]
  SideBatch pairs;                         // [R], empty sides when the schema has no pair features
  std::vector<int32_t> user_of_row;        // [R], row of `users`
  std::vector<int32_t> user;               // [R], index of the user in the dataset
  std::vector<int32_t> item;               // [R], index of the item in the dataset
  std::vector<int64_t> time;               // [R], microseconds
  std::vector<float> click;                // [R], y of DMTL: 1 clicked, 0 sampled or shown only
  std::vector<float> read;                 // [R], z of DMTL: 1 read longer than the threshold
  std::vector<float> seconds;              // [R], T: seconds read, 0 for negatives, NaN -> 0
  std::vector<float> known;                // [R], 1 where `seconds` are known; 0: outside DWM terms
  std::vector<std::vector<float>> labels;  // of Dataset::labels(), [R] each: 1, 0, NaN unknown
  std::vector<int64_t> source;  // [R], place in Clicks or Impressions, -1: sampled; may be empty
  LoggedScores logged;          // empty unless the rows are impressions with logged scores
  int64_t rows() const { return static_cast<int64_t>(item.size()); }
};

}  // namespace retort
