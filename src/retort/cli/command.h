// What a subcommand is. The frame (cli/frame.h) parses the flags, runs the action and prints its
// answer; a subcommand file holds its flags and its action only.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "retort/common/json.h"

namespace CLI {
class App;
}

namespace retort {

/// The flags that every command takes.
struct CommonFlags {
  bool json = false;   // one JSON object on standard output instead of text
  bool quiet = false;  // no log lines, no progress; warnings stay
  std::optional<uint64_t> seed;
  int threads = 0;               // 0 = one a core
  std::string device = "auto";   // auto | cpu | cuda | cuda:1
  std::vector<std::string> set;  // recipe overrides, "a.b=c"
};

/// What a command has to say, once: the frame prints `json` with --json, else `text`.
struct Answer {
  Json json = Json::object();  // null: nothing at all
  std::string text;
};

using Action = std::function<Answer()>;

/// What a command is called and says of itself.
struct CommandHelp {
  std::string_view name;                         // "ingest"
  std::string_view summary;                      // one line
  std::string_view examples;                     // lines of shell
  bool reads_recipe = false;                     // takes --set
  std::string_view executable = "retort-train";  // that has the command, where this one has not
};

/// One row of an executable's table of commands. `add` puts the command's own flags on `app` and
/// returns what to do once they are parsed; the flags are valid by then. Without `add` the command
/// is another executable's, which then takes the place of this process.
struct Command {
  CommandHelp help;
  Action (*add)(CLI::App& app, const CommonFlags& flags) = nullptr;
};

// Of `retort`, one file each.
Command simulate_command();
Command ingest_command();
Command retrieve_command();
Command export_command();
Command index_command();
Command abtest_command();
Command report_command();
Command bench_serve_command();
Command list_command();
Command doctor_command();

// Of `retortd`.
CommandHelp serve_help();
Command serve_command();

// Of `retort-train`; their help is shared so that `retort --help` shows them too.
CommandHelp train_help();
CommandHelp evaluate_help();
CommandHelp compare_help();
CommandHelp world_help();
CommandHelp publish_help();
CommandHelp tune_fusion_help();
CommandHelp tune_target_help();
CommandHelp score_help();
CommandHelp daily_help();
Command train_command();
Command evaluate_command();
Command compare_command();
Command world_command();
Command publish_command();
Command tune_fusion_command();
Command tune_target_command();
Command score_command();
Command daily_command();
Command list_torch_command();
Command doctor_torch_command();

}  // namespace retort
