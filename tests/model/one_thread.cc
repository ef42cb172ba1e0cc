// These models are so small that a second thread of libtorch costs more than it does; on a busy
// machine a hundred times more.
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

namespace {

struct OneThread : testing::Environment {
  void SetUp() override { at::set_num_threads(1); }
};

[[maybe_unused]] const auto* const kOneThread =
    testing::AddGlobalTestEnvironment(new OneThread);  // owned by GoogleTest

}  // namespace
