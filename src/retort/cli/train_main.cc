// `retort-train`: the commands that need libtorch. `retort` starts it; its help speaks as retort.
#include <vector>

#include "retort/cli/frame.h"
#include "retort/trainer/torch_info.h"

int main(int argc, char** argv) {
  using namespace retort;
  const std::vector<Command> commands{
      train_command(),   evaluate_command(),    compare_command(),      world_command(),
      publish_command(), tune_fusion_command(), tune_target_command(),  score_command(),
      daily_command(),   list_torch_command(),  doctor_torch_command(),
  };
  return run_command_line("retort", commands, argc, argv, &set_torch_threads);
}
