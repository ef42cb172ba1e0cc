// What the commands of retort-train say of themselves, known to `retort` as well.
#include "retort/cli/command.h"

namespace retort {

CommandHelp train_help() {
  return {.name = "train",
          .summary = "trains a model recipe on a dataset",
          .examples =
              "  retort train dmtl --dataset feed-dataset --out runs/dmtl\n"
              "  retort train dmtl --preset paper --dataset feed-dataset --out runs/big --seed 2\n"
              "  retort train dmtl --dataset feed-dataset --out runs/dmtl --resume\n",
          .reads_recipe = true};
}

CommandHelp evaluate_help() {
  return {.name = "evaluate",
          .summary = "judges a run beside the baselines",
          .examples =
              "  retort evaluate runs/dmtl\n"
              "  retort evaluate runs/dmtl --split valid --json\n"};
}

CommandHelp compare_help() {
  return {.name = "compare",
          .summary = "trains and judges several recipes: one table with intervals",
          .examples =
              "  retort compare dmtl dssm_click --dataset feed-dataset --seeds 3 --out compare\n"
              "  retort compare rra_table2 --preset tiny --seeds 2 --threads 1 --out tables\n",
          .reads_recipe = true};
}

CommandHelp publish_help() {
  return {.name = "publish",
          .summary = "a new version of a run's bundle",
          .examples =
              "  retort publish runs/dmtl --to bundles/dmtl\n"
              "  retort publish runs/dmtl --to bundles/dmtl --index hnsw\n"};
}

CommandHelp tune_fusion_help() {
  return {.name = "tune-fusion",
          .summary = "recall against weighted recall over the mix of two tasks, and a choice",
          .examples =
              "  retort tune-fusion runs/rra -k 20\n"
              "  retort tune-fusion runs/rra --rule wrecall --plot fusion.svg --keep\n"};
}

}  // namespace retort
