#include "retort/cli/frame.h"

#include <CLI/CLI.hpp>
#include <gtest/gtest.h>

#include "retort/common/error.h"

namespace retort {
namespace {

template <class E>
Action throwing(CLI::App&, const CommonFlags&) {
  return []() -> Answer { throw E("what went wrong"); };
}

Action echo(CLI::App& app, const CommonFlags& flags) {
  auto word = std::make_shared<std::string>();
  app.add_option("--word", *word, "a word")->required();
  return [word, &flags] {
    return Answer{{{"word", *word}, {"seed", flags.seed.value_or(0)}, {"set", flags.set}},
                  "the word is " + *word + '\n'};
  };
}

const std::vector<Command>& commands() {
  static const std::vector<Command> table{
      {{.name = "echo",
        .summary = "says a word",
        .examples = "  x echo --word a\n",
        .reads_recipe = true},
       &echo},
      {{.name = "failing", .summary = "", .examples = ""}, &throwing<Error>},
      {{.name = "misused", .summary = "", .examples = ""}, &throwing<ConfigError>},
      {{.name = "baddata", .summary = "", .examples = ""}, &throwing<DataError>},
      {{.name = "stopped", .summary = "", .examples = ""}, &throwing<Interrupted>},
      {{.name = "foreign", .summary = "", .examples = ""}, &throwing<std::runtime_error>},
      {{.name = "elsewhere", .summary = "done by another executable", .examples = ""}, nullptr},
  };
  return table;
}

struct Outcome {
  int code;
  std::string out, err;
};

Outcome run(std::vector<const char*> words) {
  words.insert(words.begin(), "x");
  const int count = static_cast<int>(words.size());
  words.push_back(nullptr);
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  const int code = run_command_line("x", commands(), count, words.data());
  std::string out = testing::internal::GetCapturedStdout();
  return {code, out, testing::internal::GetCapturedStderr()};
}

TEST(Frame, PrintsTheTextOfTheAnswer) {
  const Outcome outcome = run({"echo", "--word", "hello"});
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.out, "the word is hello\n");
}

TEST(Frame, JsonIsOneObjectAndNothingElse) {
  const Outcome outcome =
      run({"echo", "--word", "hello", "--json", "--seed", "7", "--set", "a.b=1", "--set", "c=2"});
  EXPECT_EQ(outcome.code, 0);
  const Json json = Json::parse(outcome.out);
  EXPECT_EQ(json["word"], "hello");
  EXPECT_EQ(json["seed"], 7);
  EXPECT_EQ(json["set"], (Json{"a.b=1", "c=2"}));
}

TEST(Frame, ExceptionsBecomeExitCodes) {
  EXPECT_EQ(run({"failing"}).code, 1);
  EXPECT_EQ(run({"misused"}).code, 2);
  EXPECT_EQ(run({"baddata"}).code, 3);
  EXPECT_EQ(run({"stopped"}).code, 130);
  const Outcome outcome = run({"foreign"});
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.err, "error: what went wrong\n");
}

TEST(Frame, AFailureUnderJsonIsOneObjectToo) {
  const Outcome outcome = run({"baddata", "--json"});
  EXPECT_EQ(outcome.code, 3);
  const Json json = Json::parse(outcome.out);
  EXPECT_EQ(json["error"], "what went wrong");
  EXPECT_EQ(json["exit_code"], 3);
}

TEST(Frame, UnknownCommandNamesTheNearest) {
  const Outcome outcome = run({"ehco"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_NE(outcome.err.find("did you mean 'echo'?"), std::string::npos) << outcome.err;
}

TEST(Frame, WrongFlagsAreUsageErrors) {
  const Outcome unknown = run({"echo", "--word", "a", "--sede", "3"});
  EXPECT_EQ(unknown.code, 2);
  EXPECT_NE(unknown.err.find("did you mean --seed?"), std::string::npos) << unknown.err;
  const Outcome missing = run({"echo"});
  EXPECT_EQ(missing.code, 2);
  EXPECT_NE(missing.err.find("--word"), std::string::npos) << missing.err;
  EXPECT_EQ(run({"echo", "--word", "a", "--threads", "-1"}).code, 2);
  EXPECT_EQ(run({}).code, 2);
}

TEST(Frame, SetIsRefusedWhereNoRecipeIsRead) {
  const Outcome outcome = run({"failing", "--set", "a=1"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_NE(outcome.err.find("reads no recipe"), std::string::npos) << outcome.err;
}

TEST(Frame, HelpListsCommandsAndExamples) {
  const Outcome all = run({"--help"});
  EXPECT_EQ(all.code, 0);
  EXPECT_NE(all.out.find("says a word"), std::string::npos);
  EXPECT_NE(all.out.find("done by another executable"), std::string::npos);
  const Outcome one = run({"echo", "--help"});
  EXPECT_EQ(one.code, 0);
  EXPECT_NE(one.out.find("x echo --word a"), std::string::npos) << one.out;
  EXPECT_NE(one.out.find("--json"), std::string::npos);
}

}  // namespace
}  // namespace retort
