// `retort`: starts at once, carries no libtorch. The commands that train are retort-train's.
#include <vector>

#include "retort/cli/frame.h"

int main(int argc, char** argv) {
  using namespace retort;
  const std::vector<Command> commands{
      simulate_command(),   ingest_command(),      {train_help()},   {evaluate_help()},
      {compare_help()},     {world_help()},        {publish_help()}, {tune_fusion_help()},
      {tune_target_help()}, {score_help()},        {daily_help()},   retrieve_command(),
      {serve_help()},       bench_serve_command(), export_command(), index_command(),
      abtest_command(),     report_command(),      list_command(),   doctor_command(),
  };
  return run_command_line("retort", commands, argc, argv);
}
