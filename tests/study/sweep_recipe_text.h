// The recipe of a sweep of four cells, which its tests share.
#pragma once

namespace retort {

inline constexpr const char* kSweepRecipe = R"(
name = "small"
title = "A reader's <sweep>"
data = "feed"
data_preset = "tiny"
preset = "tiny"
seeds = 1
metrics = ["auc_read"]
[[rows]]
recipe = "dssm_click"
[[rows]]
recipe = "dssm_classification"
[[claims]]
name = "clicks first"
row = "dssm_click"
other = "dssm_classification"
expected = "better"
[[dimensions]]
name = "epochs"
values = [{ name = "one", model = ["train.epochs=1"] }, { name = "two" }]
[[dimensions]]
name = "negatives"
title = "negatives a click"
values = [{ name = "2", data = ["negatives.per_click=2"] }, { name = "4" }]
[[maps]]
x = "epochs"
y = "negatives"
)";

}  // namespace retort
