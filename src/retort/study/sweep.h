// `retort world sweep`: in which worlds an order of models holds. Needs libtorch (the trainer).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "retort/study/compare_table.h"
#include "retort/study/sweep_recipe.h"

namespace retort {

struct SweepResult {
  std::vector<SweepCell> cells;
  std::vector<std::vector<Verdict>> verdicts;  // of each cell, as judge_claims orders them
  std::vector<Json> counts;                    // of each cell: {"clicks", "users", "items"}
  /// Why a cell's world cannot be made, as where its anchors cannot be met; else "". Such a cell
  /// has no verdicts.
  std::vector<std::string> reasons;
};

/// Runs are OUT/cells/LABEL/ROW/seedK, worlds OUT/worlds/DIGEST, shared by cells that differ in
/// negatives or training only; what is there already is not made again. Throws as compare and
/// simulate do.
SweepResult run_sweep(const SweepPlan& plan, const CompareOptions& options);

/// {"name", "title", "dimensions", "maps", "cells": [{"label", "claims": [..]}]}
Json to_json(const SweepPlan& plan, const SweepResult& result);
/// A table a map and claim: difference and verdict in each cell.
std::string table(const SweepPlan& plan, const SweepResult& result);
/// The maps of all claims by one metric as one SVG picture: colour by the difference, the sign of
/// the verdict beside it.
std::string sweep_svg(const SweepPlan& plan, const SweepResult& result);

}  // namespace retort
