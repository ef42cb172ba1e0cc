#include "retort/trainer/checkpoint.h"

#include <fstream>

#include "tests/support/scratch_folder.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"

namespace retort {
namespace {

void put(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

Checkpoint sample() {
  Checkpoint checkpoint;
  checkpoint.tensors["a/weight"] = torch::arange(12, torch::kFloat32).reshape({3, 4});
  checkpoint.tensors["a/step"] = torch::tensor({int64_t{41}});
  checkpoint.tensors["b/double"] = torch::tensor({0.1, 1e-300}, torch::kFloat64);
  checkpoint.tensors["empty"] = torch::empty({0, 3});
  checkpoint.state = {{"step", 7}, {"best", 0.1}};
  return checkpoint;
}

TEST(Checkpoint, ComesBackBitForBit) {
  const ScratchFolder scratch;
  const Checkpoint written = sample();
  save_checkpoint(scratch / "last.safetensors", written);
  const Checkpoint read = load_checkpoint(scratch / "last.safetensors");
  EXPECT_EQ(read.state, written.state);
  ASSERT_EQ(read.tensors.size(), written.tensors.size());
  for (const auto& [name, tensor] : written.tensors) {
    EXPECT_EQ(read.tensors.at(name).scalar_type(), tensor.scalar_type()) << name;
    EXPECT_TRUE(torch::equal(read.tensors.at(name), tensor)) << name;
  }
}

TEST(Checkpoint, WritesTensorsThatAreNotContiguous) {
  const ScratchFolder scratch;
  const torch::Tensor turned = torch::arange(12, torch::kFloat32).reshape({3, 4}).t();
  save_checkpoint(scratch / "x", {{{"t", turned}}, Json::object()});
  EXPECT_TRUE(torch::equal(load_checkpoint(scratch / "x").tensors.at("t"), turned));
}

TEST(Checkpoint, RefusesEveryFlippedByteAndEveryCut) {
  const ScratchFolder scratch;
  save_checkpoint(scratch / "good", sample());
  const std::string good = read_file(scratch / "good");
  for (size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x11);
    put(scratch / "bad", bad);
    EXPECT_THROW(load_checkpoint(scratch / "bad"), DataError) << "byte " << at;
  }
  for (size_t size = 0; size < good.size(); size += 13) {
    put(scratch / "bad", good.substr(0, size));
    EXPECT_THROW(load_checkpoint(scratch / "bad"), DataError) << "cut at " << size;
  }
}

TEST(Checkpoint, PrefixesAreAddedAndTaken) {
  const NamedTensors tensors{{"x", torch::ones(1)}, {"y", torch::zeros(1)}};
  NamedTensors all = add_prefix(tensors, "student/");
  all["other/x"] = torch::ones(2);
  const NamedTensors taken = take_prefix(all, "student/");
  ASSERT_EQ(taken.size(), 2u);
  EXPECT_TRUE(torch::equal(taken.at("x"), tensors.at("x")));
}

}  // namespace
}  // namespace retort
