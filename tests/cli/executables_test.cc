// The executables as a user meets them: help, exit codes, what goes to which stream.
#include "executable.h"
#include <gtest/gtest.h>

namespace retort {
namespace {

TEST(Retort, HelpNamesEveryCommandOfTheContract) {
  const Outcome outcome = retort_command("--help");
  EXPECT_EQ(outcome.code, 0);
  for (const char* name : {"simulate", "ingest", "train", "evaluate", "compare", "publish", "score",
                           "retrieve", "export", "list", "doctor"})
    EXPECT_NE(outcome.out.find(std::string("\n  ") + name + " "), std::string::npos) << name;
}

TEST(Retort, EveryCommandHasHelpWithAnExample) {
  for (const std::string name : {"simulate", "ingest", "retrieve", "export", "list", "doctor"}) {
    const Outcome outcome = retort_command(name + " --help");
    EXPECT_EQ(outcome.code, 0) << name;
    EXPECT_NE(outcome.out.find("retort " + name), std::string::npos) << outcome.out;
    EXPECT_NE(outcome.out.find("Examples:"), std::string::npos) << name;
    EXPECT_NE(outcome.out.find("--json"), std::string::npos) << name;
  }
}

TEST(Retort, WrongUsageIsExitCodeTwo) {
  EXPECT_EQ(retort_command("").code, 2);
  EXPECT_EQ(retort_command("list colours").code, 2);
  EXPECT_EQ(retort_command("ingest").code, 2);
  EXPECT_EQ(retort_command("retrieve somewhere").code, 2);  // neither --user nor --features
  const Outcome outcome = retort_command("ingset feed --out x");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_NE(outcome.err.find("did you mean 'ingest'?"), std::string::npos) << outcome.err;
}

TEST(Retort, AnUnknownRecipeKeyNamesTheNearest) {
  const TestFolder folder;
  const Outcome outcome =
      retort_command("simulate feed --set world.user=10 --out " + folder / "world");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_NE(outcome.err.find("world.user"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("did you mean 'users'?"), std::string::npos) << outcome.err;
  EXPECT_FALSE(fs::exists(folder / "world"));
}

TEST(Retort, AnInstalledCopyNeedsNothingOfItsBuild) {
  const TestFolder folder;
  const Outcome installed =
      run_program("/usr/bin/cmake", "--install " + (fs::path(RETORT_BIN) / "..").string() +
                                        " --prefix " + folder / "prefix");
  ASSERT_EQ(installed.code, 0) << installed.err;
  for (const std::string program : {"retort", "retortd"}) {
    const std::string path = folder / "prefix/bin/" + program;
    const Outcome libraries = run_program("/usr/bin/env", "-i /usr/bin/ldd " + path);
    EXPECT_EQ(libraries.out.find("not found"), std::string::npos) << libraries.out;
    EXPECT_EQ(libraries.out.find(".cache"), std::string::npos) << libraries.out;
    EXPECT_EQ(run_program("/usr/bin/env", "-i " + path + " --help").code, 0);
  }
  const Outcome recipes =
      run_program("/usr/bin/env", "-i -C / " + folder / "prefix/bin/retort" + " doctor --json");
  EXPECT_NE(recipes.out.find("feed_null"), std::string::npos) << recipes.out << recipes.err;
}

TEST(Retort, AnUnknownRecipeListsThoseThereAre) {
  const Outcome outcome = retort_command("simulate fede --out nowhere");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_NE(outcome.err.find("long_video"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("did you mean 'feed'?"), std::string::npos) << outcome.err;
}

TEST(Retort, ABrokenBundleIsBadData) {
  const TestFolder folder;
  fs::create_directories(folder.path() / "1");
  write_file(folder.path() / "1/manifest.json", "{}");
  EXPECT_EQ(retort_command("retrieve " + folder.path().string() + " --user u1").code, 3);
}

TEST(Retort, JsonIsOneObjectOnStandardOutput) {
  for (const std::string kind : {"samplers", "indexes", "metrics"}) {
    const Outcome outcome = retort_command("list " + kind + " --json");
    EXPECT_EQ(outcome.code, 0);
    const Json rows = outcome.json().at(kind);
    ASSERT_FALSE(rows.empty());
    for (const Json& row : rows) {
      EXPECT_FALSE(row.at("name").get<std::string>().empty());
      EXPECT_FALSE(row.at("source").get<std::string>().empty()) << row.dump();
    }
  }
  const Outcome doctor = retort_command("doctor --json");
  EXPECT_EQ(doctor.code, 0);
  EXPECT_GE(doctor.json().at("cores").get<int>(), 1);
  EXPECT_GT(doctor.json().at("memory_bytes").get<int64_t>(), 0);
  EXPECT_EQ(doctor.json().at("duckdb").get<std::string>().front(), 'v');
}

TEST(Retort, WithoutRetortTrainItSaysWhatToBuild) {
  const TestFolder folder;
  fs::copy_file(fs::path(RETORT_BIN) / "retort", folder.path() / "retort");
  const Outcome outcome = run_program(folder.path() / "retort", "train dmtl --dataset d --out r");
  EXPECT_EQ(outcome.code, 1);
  EXPECT_NE(outcome.err.find("RETORT_TORCH=ON"), std::string::npos) << outcome.err;
}

TEST(Retort, CarriesNoLibtorch) {
  FILE* pipe = ::popen(("ldd '" + (fs::path(RETORT_BIN) / "retort").string() + "'").c_str(), "r");
  ASSERT_NE(pipe, nullptr);
  std::string libraries;
  std::array<char, 4096> buffer{};
  for (size_t read = 0; (read = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;)
    libraries.append(buffer.data(), read);
  ::pclose(pipe);
  EXPECT_NE(libraries.find("libduckdb"), std::string::npos) << libraries;
  EXPECT_EQ(libraries.find("torch"), std::string::npos) << libraries;
}

}  // namespace
}  // namespace retort
