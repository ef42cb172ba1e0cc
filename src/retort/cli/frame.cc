#include "retort/cli/frame.h"

#include <cstdio>
#include <iostream>
#include <new>

#include <CLI/CLI.hpp>
#include <unistd.h>

#include "retort/common/error.h"
#include "retort/common/file.h"
#include "retort/common/log.h"
#include "retort/common/progress.h"
#include "retort/common/text.h"
#include "retort/common/thread_pool.h"

namespace retort {
namespace {

constexpr const char* kVersion = "0.1.0";
const char* const* g_arguments = nullptr;

std::string overview(std::string_view program, std::span<const Command> commands) {
  std::string text = fmt::format(
      "Candidate generation for feeds: logs in, candidates out.\n"
      "Usage: {0} COMMAND [flags]\n\nCommands:\n",
      program);
  for (const Command& command : commands)
    text += fmt::format("  {:<10} {}\n", command.help.name, command.help.summary);
  return text +
         fmt::format("\n'{} COMMAND --help' shows the flags and examples of a command.\n", program);
}

const Command& find_command(std::string_view program, std::span<const Command> commands,
                            std::string_view name) {
  std::vector<std::string> names;
  for (const Command& command : commands) {
    if (command.help.name == name) return command;
    names.emplace_back(command.help.name);
  }
  const std::string near = nearest_name(name, names);
  fail<ConfigError>("no command '{}'{}; '{} --help' lists them", name,
                    near.empty() ? "" : "; did you mean '" + near + "'?", program);
}

void add_common_flags(CLI::App& app, CommonFlags& flags) {
  const char* group = "Common flags";
  app.add_flag("--json", flags.json, "one JSON object on standard output, nothing else there")
      ->group(group);
  app.add_flag("--quiet", flags.quiet, "no log lines and no progress")->group(group);
  app.add_option("--seed", flags.seed, "seed of every random draw")->group(group);
  app.add_option("--threads", flags.threads, "threads to use; 0 = one a core")
      ->check(CLI::NonNegativeNumber)
      ->group(group);
  app.add_option("--device", flags.device, "auto, cpu, cuda or cuda:N")->group(group);
  app.add_option("--set", flags.set, "a recipe's key, as in --set train.batch=2048; repeatable")
      ->take_all()
      ->allow_extra_args(false)
      ->group(group);
}

/// The message of a parse error, with the nearest flag where one is unknown.
std::string usage_error(const CLI::App& app, const CLI::ParseError& error) {
  std::string text = error.what();
  const auto* extras = dynamic_cast<const CLI::ExtrasError*>(&error);
  std::vector<std::string> known;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& name : option->get_lnames()) known.push_back(name);
  const size_t dashes = text.find("--");
  if (extras != nullptr && dashes != std::string::npos) {
    const std::string flag = text.substr(dashes + 2, text.find_first_of(" =", dashes) - dashes - 2);
    const std::string near = nearest_name(flag, known);
    text =
        fmt::format("no flag --{}{}", flag, near.empty() ? "" : "; did you mean --" + near + "?");
  }
  return text;
}

int run_command(std::string_view program, const Command& command, int argc, const char* const* argv,
                void (*set_more_threads)(int)) {
  CLI::App app{std::string(command.help.summary), fmt::format("{} {}", program, command.help.name)};
  app.footer("Examples:\n" + std::string(command.help.examples));
  CommonFlags flags;
  const Action action = command.add(app, flags);
  add_common_flags(app, flags);
  try {
    app.parse(argc - 1, argv + 1);
  } catch (const CLI::CallForHelp&) {
    std::cout << app.help();
    return 0;
  } catch (const CLI::ParseError& error) {
    fail<ConfigError>("{}\nusage: {} {} --help", usage_error(app, error), program,
                      command.help.name);
  }
  if (!flags.set.empty() && !command.help.reads_recipe)
    fail<ConfigError>("--set {}: '{} {}' reads no recipe", flags.set.front(), program,
                      command.help.name);
  set_threads(flags.threads);
  if (set_more_threads != nullptr) set_more_threads(flags.threads);
  if (flags.quiet) set_log_level(LogLevel::kWarning);
  catch_interrupts();
  const Answer answer = action();
  if (!answer.json.is_null())
    std::cout << (flags.json ? answer.json.dump(2) + '\n' : answer.text) << std::flush;
  if (!std::cout) fail<IoError>("standard output: {}", errno_text());
  return 0;
}

int report(const std::string& message, int code, int argc, const char* const* argv) {
  Progress::clear_line();
  std::fprintf(stderr, "error: %s\n", message.c_str());
  for (int i = 1; i < argc; ++i)
    if (std::string_view(argv[i]) == "--json")
      std::printf("%s\n", Json{{"error", message}, {"exit_code", code}}.dump(2).c_str());
  return code;
}

int dispatch(std::string_view program, std::span<const Command> commands, int argc,
             const char* const* argv, void (*set_more_threads)(int)) {
  const std::string_view name = argc < 2 ? "" : argv[1];
  if (name.empty() || name == "--help" || name == "-h" || name == "help") {
    std::fputs(overview(program, commands).c_str(), name.empty() ? stderr : stdout);
    return name.empty() ? 2 : 0;
  }
  if (name == "--version") {
    std::printf("retort %s\n", kVersion);
    return 0;
  }
  const Command& command = find_command(program, commands, name);
  if (command.add == nullptr) become(command.help.executable, argv);
  return run_command(program, command, argc, argv, set_more_threads);
}

}  // namespace

int run_command_line(std::string_view program, std::span<const Command> commands, int argc,
                     const char* const* argv, void (*set_more_threads)(int)) {
  g_arguments = argv;
  try {
    return dispatch(program, commands, argc, argv, set_more_threads);
  } catch (const Error& error) {
    return report(error.what(), error.exit_code(), argc, argv);
  } catch (const std::bad_alloc&) {
    return report("out of memory", 1, argc, argv);
  } catch (const std::exception& error) {
    return report(error.what(), 1, argc, argv);
  }
}

std::string path_beside(std::string_view executable) {
  std::error_code error;
  return (fs::read_symlink("/proc/self/exe", error).parent_path() / executable).string();
}

void become(std::string_view executable, const char* const* argv) {
  const std::string path = path_beside(executable);
  ::execv(path.c_str(), const_cast<char* const*>(argv));
  fail<Error>("this command needs {}, which is not beside retort ({}: {}); build it with {}",
              executable, path, errno_text(),
              executable == "retort-train" ? "-DRETORT_TORCH=ON (scripts/build release)"
                                           : "scripts/build release");
}

const char* const* process_arguments() { return g_arguments; }

}  // namespace retort
