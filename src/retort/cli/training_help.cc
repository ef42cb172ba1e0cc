// What the commands of retort-train say of themselves, known to `retort` as well.
#include "retort/cli/command.h"

namespace retort {

CommandHelp train_help() {
  return {.name = "train",
          .summary = "trains a model recipe on a dataset",
          .examples =
              "  retort train dmtl --dataset feed-dataset --out runs/dmtl\n"
              "  retort train dmtl --preset paper --dataset feed-dataset --out runs/big --seed 2\n"
              "  retort train dmtl --dataset feed-dataset --out runs/dmtl --resume\n"
              "  retort train dmtl --dataset grown --warm-start runs/dmtl --out runs/next\n",
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
              "  retort compare rra_table2 --preset tiny --seeds 2 --threads 1 --out tables\n"
              "  retort compare dmtl_table1 --new-worlds --out worlds\n",
          .reads_recipe = true};
}

CommandHelp world_help() {
  return {.name = "world",
          .summary = "world sweep: in which simulated worlds an order of models holds",
          .examples = "  retort world sweep dmtl --preset tiny --seeds 1 --out sweep\n",
          .reads_recipe = true};
}

CommandHelp publish_help() {
  return {.name = "publish",
          .summary = "a new version of a run's bundle",
          .examples =
              "  retort publish runs/dmtl --to bundles/dmtl\n"
              "  retort publish runs/dmtl --to bundles/dmtl --index hnsw --with-teacher\n"};
}

CommandHelp tune_fusion_help() {
  return {.name = "tune-fusion",
          .summary = "recall against weighted recall over the mix of two tasks, and a choice",
          .examples =
              "  retort tune-fusion runs/rra -k 20\n"
              "  retort tune-fusion runs/rra --rule wrecall --plot fusion.svg --keep\n"};
}

CommandHelp tune_target_help() {
  return {.name = "tune-target",
          .summary = "which mix of a ranking model's probabilities a student should learn",
          .examples =
              "  retort tune-target runs/dmtl\n"
              "  retort tune-target runs/dmtl --metric recall@100 --steps 10 --json\n"};
}

CommandHelp score_help() {
  return {
      .name = "score",
      .summary = "a run's ranking model scores pairs, into a file that students learn from",
      .examples =
          "  retort score runs/dmtl --pairs logged --out scores.parquet\n"
          "  retort score runs/dmtl --pairs logged --rows impressions --lag 1d --out s.parquet\n"
          "  retort score runs/dmtl --pairs top-100 --out lists.parquet\n"
          "  retort train offline_list --dataset feed-dataset --out runs/list \\\n"
          "    --set scores.file=lists.parquet\n"};
}

CommandHelp daily_help() {
  return {.name = "daily",
          .summary = "a day's append, scores, training, judgement and, if not worse, publication",
          .examples =
              "  retort daily feed --from world --day 2024-03-12 --out feed\n"
              "  retort daily my-feed.toml --from /data/logs --day 2024-03-13 --out feed --json\n",
          .reads_recipe = true};
}

}  // namespace retort
