#include "retort/kernel/catalogue_input.h"

#include "retort/common/error.h"

namespace retort {
namespace {

void check_row_items(const CatalogueSoftmaxInput& in, int64_t rows, int64_t items) {
  check(static_cast<int64_t>(in.row_offsets.size()) == rows + 1 && in.row_offsets[0] >= 0 &&
            in.row_offsets[static_cast<size_t>(rows)] <= static_cast<int64_t>(in.row_items.size()),
        "CatalogueSoftmax: row_offsets do not fit {} rows and {} row_items", rows,
        in.row_items.size());
  for (int64_t r = 0; r < rows; ++r) {
    const auto row = static_cast<size_t>(r);
    check(in.row_offsets[row] <= in.row_offsets[row + 1],
          "CatalogueSoftmax: row_offsets fall at row {}", r);
    int64_t last = -1;
    for (auto i = static_cast<size_t>(in.row_offsets[row]);
         i < static_cast<size_t>(in.row_offsets[row + 1]); ++i) {
      check(in.row_items[i] >= last && in.row_items[i] >= 0 && in.row_items[i] < items,
            "CatalogueSoftmax: row_items of row {} are not ascending items below {}", r, items);
      last = in.row_items[i];
    }
  }
}

}  // namespace

int64_t catalogue_items(const CatalogueSoftmaxInput& in) {
  return static_cast<int64_t>(in.items.empty() ? in.items_bf16.size() : in.items.size()) / in.dim;
}

void check_catalogue_input(const CatalogueSoftmaxInput& in) {
  check(in.dim > 0, "CatalogueSoftmax: width {}", in.dim);
  check(in.items.empty() || in.items_bf16.empty(),
        "CatalogueSoftmax: items are given in fp32 and in bf16");
  const auto rows = static_cast<int64_t>(in.targets.size()), items = catalogue_items(in);
  check(static_cast<int64_t>(in.users.size()) == rows * in.dim,
        "CatalogueSoftmax: users of {} floats are not [{}, {}]", in.users.size(), rows, in.dim);
  check(items > 0 && items <= INT32_MAX &&
            items * in.dim == static_cast<int64_t>(in.items.size() + in.items_bf16.size()),
        "CatalogueSoftmax: items of {} numbers are not [N, {}]",
        in.items.size() + in.items_bf16.size(), in.dim);
  for (size_t r = 0; r < in.targets.size(); ++r)
    check(in.targets[r] >= 0 && in.targets[r] < items,
          "CatalogueSoftmax: target {} of row {} is not in [0, {})", in.targets[r], r, items);
  const auto fits = [](size_t size, int64_t expected) {
    return size == 0 || static_cast<int64_t>(size) == expected;
  };
  check(fits(in.weight.size(), rows) && fits(in.reward.size(), rows),
        "CatalogueSoftmax: {} weights and {} rewards for {} rows", in.weight.size(),
        in.reward.size(), rows);
  check(fits(in.log_q.size(), items) && fits(in.excluded.size(), (items + 63) / 64),
        "CatalogueSoftmax: {} log_q and {} words of excluded for {} items", in.log_q.size(),
        in.excluded.size(), items);
  if (!in.row_offsets.empty()) check_row_items(in, rows, items);
  check(in.temperature >= 1e-6f && in.temperature <= 1e6f,
        "CatalogueSoftmax: temperature {} is not in [1e-6, 1e6]", in.temperature);
}

}  // namespace retort
