#include "retort/trainer/launch.h"

#include <cstdlib>
#include <map>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"

namespace retort {
namespace {

using testing::AllOf;
using testing::HasSubstr;

using Variables = std::map<std::string, std::string>;

constexpr const char* kNames[] = {"RANK",
                                  "WORLD_SIZE",
                                  "LOCAL_RANK",
                                  "MASTER_ADDR",
                                  "MASTER_PORT",
                                  "OMPI_COMM_WORLD_RANK",
                                  "OMPI_COMM_WORLD_SIZE",
                                  "OMPI_COMM_WORLD_LOCAL_RANK",
                                  "TORCHELASTIC_USE_AGENT_STORE",
                                  "TORCHELASTIC_RESTART_COUNT"};

Launch launch_of(const Variables& variables) {
  for (const char* name : kNames) ::unsetenv(name);
  for (const auto& [name, value] : variables) ::setenv(name.c_str(), value.c_str(), 1);
  return Launch::from_environment();
}

std::string error_of(const Variables& variables) {
  try {
    launch_of(variables);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "no error";
}

const Variables kThird{
    {"RANK", "2"}, {"WORLD_SIZE", "4"}, {"MASTER_ADDR", "10.0.0.1"}, {"MASTER_PORT", "29500"}};

TEST(Launch, WithoutVariablesThereIsOneRank) {
  EXPECT_EQ(launch_of({}).size, 1);
  EXPECT_EQ(launch_of({{"RANK", "0"}, {"WORLD_SIZE", "1"}}).size, 1);
  EXPECT_EQ(launch_of({{"OMPI_COMM_WORLD_RANK", "0"}, {"OMPI_COMM_WORLD_SIZE", "1"}}).size, 1);
}

TEST(Launch, ReadsTheFourVariables) {
  const Launch launch = launch_of(kThird);
  EXPECT_EQ(launch.rank, 2);
  EXPECT_EQ(launch.size, 4);
  EXPECT_EQ(launch.address, "10.0.0.1");
  EXPECT_EQ(launch.port, 29500);
  EXPECT_FALSE(launch.agent_store);
}

TEST(Launch, EachMissingVariableIsNamed) {
  for (const auto& [name, value] : kThird) {
    Variables half = kThird;
    half.erase(name);
    EXPECT_THAT(error_of(half), AllOf(HasSubstr(name + " is missing"), HasSubstr("unset")));
  }
}

TEST(Launch, WrongValuesAreNamed) {
  const auto with = [](const std::string& name, const std::string& value) {
    Variables wrong = kThird;
    wrong[name] = value;
    return error_of(wrong);
  };
  EXPECT_THAT(with("RANK", "4"), AllOf(HasSubstr("RANK"), HasSubstr("0 to 3"), HasSubstr("'4'")));
  EXPECT_THAT(with("WORLD_SIZE", "none"), AllOf(HasSubstr("WORLD_SIZE"), HasSubstr("'none'")));
  EXPECT_THAT(with("MASTER_PORT", "65536"), HasSubstr("MASTER_PORT"));
}

TEST(Launch, OpenMpiGivesRankAndSizeWhereTheyAreAbsent) {
  Variables mpi{{"OMPI_COMM_WORLD_RANK", "1"},
                {"OMPI_COMM_WORLD_SIZE", "2"},
                {"OMPI_COMM_WORLD_LOCAL_RANK", "1"},
                {"MASTER_ADDR", "127.0.0.1"}};
  EXPECT_THAT(error_of(mpi), HasSubstr("MASTER_PORT is missing"));
  mpi["MASTER_PORT"] = "29500";
  EXPECT_EQ(launch_of(mpi).rank, 1);
  EXPECT_EQ(launch_of(mpi).local_rank, 1);
  mpi.insert(kThird.begin(), kThird.end());
  EXPECT_EQ(launch_of(mpi).size, 4);
}

TEST(Launch, UnderTorchrunTheAgentListens) {
  Variables elastic = kThird;
  elastic["TORCHELASTIC_USE_AGENT_STORE"] = "True";
  elastic["TORCHELASTIC_RESTART_COUNT"] = "3";
  EXPECT_TRUE(launch_of(elastic).agent_store);
  EXPECT_EQ(launch_of(elastic).restarts, 3);
}

}  // namespace
}  // namespace retort
