// The frame of both executables: finds the command, parses its flags, runs it, prints its answer
// and turns exceptions into exit codes (0 done, 1 failed, 2 wrong usage or recipe, 3 bad data,
// 130 interrupted).
#pragma once

#include <span>
#include <string>

#include "retort/cli/command.h"

namespace retort {

/// Everything that main does. `program` is the name that help and messages show; `set_more_threads`
/// passes --threads on to a library with threads of its own. Never throws.
int run_command_line(std::string_view program, std::span<const Command> commands, int argc,
                     const char* const* argv, void (*set_more_threads)(int) = nullptr);

/// Replaces this process by the executable of that name beside it, with the arguments given; throws
/// Error if it was not built.
[[noreturn]] void become(std::string_view executable, const char* const* argv);
/// The executable of that name beside this one, whether it exists or not.
std::string path_beside(std::string_view executable);
/// The arguments of this process, for `become`.
const char* const* process_arguments();

}  // namespace retort
