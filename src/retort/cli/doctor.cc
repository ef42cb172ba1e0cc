#include <array>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <thread>

#include <CLI/CLI.hpp>
#include <unistd.h>

#include "retort/cli/frame.h"
#include "retort/common/recipe.h"
#include "retort/common/text.h"
#include "retort/log/duckdb.h"

namespace retort {
namespace {

/// The processor's own words on one key of /proc/cpuinfo; empty where there is none.
std::string processor(const std::string& key) {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(':');
    if (line.rfind(key, 0) == 0 && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "";
}

/// The features that kernels make use of, of those the processor names.
std::vector<std::string> vector_features() {
  std::istringstream words(processor("flags"));
  std::vector<std::string> found;
  for (std::string word; words >> word;)
    for (const char* wanted : {"avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16"})
      if (word == wanted) found.push_back(word);
  return found;
}

int64_t memory_bytes() {
  return static_cast<int64_t>(::sysconf(_SC_PHYS_PAGES)) * ::sysconf(_SC_PAGE_SIZE);
}

/// What `retort-train doctor --json` says; null where retort-train is not there or does not start.
Json torch_side() {
  const std::string path = path_beside("retort-train");
  if (!fs::exists(path)) return nullptr;
  const std::string quoted = "'" + path + "' doctor --json 2>/dev/null";
  FILE* pipe = ::popen(quoted.c_str(), "r");
  if (pipe == nullptr) return nullptr;
  std::string output;
  std::array<char, 4096> buffer{};
  for (size_t read = 0; (read = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;)
    output.append(buffer.data(), read);
  if (::pclose(pipe) != 0) return nullptr;
  const Json answer = Json::parse(output, nullptr, false);
  return answer.is_object() ? answer : Json(nullptr);
}

std::string words(const std::vector<std::string>& parts, const char* none) {
  return parts.empty() ? none : fmt::format("{}", fmt::join(parts, ", "));
}

Answer run() {
  const std::vector<std::string> features = vector_features(), data = recipe_names("data"),
                                 models = recipe_names("");
  const std::string duckdb = DuckDb().query_text("SELECT version()").value_or("unknown");
  const Json torch = torch_side();
  Answer answer;
  answer.json = {{"processor", processor("model name")},
                 {"features", features},
                 {"cores", std::thread::hardware_concurrency()},
                 {"memory_bytes", memory_bytes()},
                 {"duckdb", duckdb},
                 {"libtorch", torch.is_null() ? Json(nullptr) : torch["libtorch"]},
                 {"cuda", torch.is_null() ? Json(nullptr) : torch["cuda"]},
                 {"recipes", {{"data", data}, {"models", models}}}};
  const auto line = [&answer](const char* what, const std::string& found) {
    answer.text += fmt::format("{:<14} {}\n", what, found);
  };
  line("processor", processor("model name"));
  line("features", words(features, "none of those that matter"));
  line("cores", std::to_string(std::thread::hardware_concurrency()));
  line("memory", format_bytes(static_cast<uint64_t>(memory_bytes())));
  line("DuckDB", duckdb);
  line("libtorch", torch.is_null() ? "no retort-train: training commands are missing"
                                   : torch["libtorch"].get<std::string>());
  if (!torch.is_null()) line("CUDA", torch["cuda"].get<bool>() ? "seen" : "not seen");
  line("data recipes", words(data, "none found; set RETORT_RECIPES"));
  line("model recipes", words(models, "none found; set RETORT_RECIPES"));
  return answer;
}

Action add(CLI::App&, const CommonFlags&) {
  return [] { return run(); };
}

}  // namespace

Command doctor_command() {
  return {{.name = "doctor",
           .summary = "what this machine offers",
           .examples = "  retort doctor\n  retort doctor --json\n"},
          &add};
}

}  // namespace retort
