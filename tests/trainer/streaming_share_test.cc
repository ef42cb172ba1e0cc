#include "retort/trainer/streaming_share.h"

#include <cmath>

#include <gtest/gtest.h>

#include "retort/common/error.h"
#include "retort/common/rng.h"

namespace retort {
namespace {

TEST(StreamingShare, FindsTheShareOfBatchesThatHoldAnItem) {
  constexpr double kShares[] = {0.8, 0.3, 0.05};
  StreamingShare stream(3, 0.02, torch::kCPU);
  const Rng rng(3, "test");
  for (int64_t step = 1; step <= 20000; ++step) {
    std::vector<int64_t> places;
    for (int64_t item = 0; item < 3; ++item)
      if (rng.uniform(static_cast<uint64_t>(3 * step + item)) < kShares[item])
        places.insert(places.end(), {item, item});  // twice in the batch
    if (!places.empty()) stream.update(torch::tensor(places, torch::kInt64), step);
  }
  const torch::Tensor share = stream.log_q().exp();
  for (int64_t item = 0; item < 3; ++item)
    EXPECT_NEAR(share[item].item<double>() / kShares[item], 1, 0.35) << item;
}

TEST(StreamingShare, FollowsTheAlgorithmByHand) {
  StreamingShare stream(4, 0.5, torch::kCPU);
  stream.update(torch::tensor({1, 2}, torch::kInt64), 2);  // first: B = 2
  stream.update(torch::tensor({1}, torch::kInt64), 3);     // 0.5 * 2 + 0.5 * 1
  const torch::Tensor share = stream.log_q().exp();
  EXPECT_NEAR(share[0].item<double>(), 1 / 4.0, 1e-6);  // not seen
  EXPECT_NEAR(share[1].item<double>(), 1 / 1.5, 1e-6);
  EXPECT_NEAR(share[2].item<double>(), 1 / 2.0, 1e-6);
}

TEST(StreamingShare, ContinuesFromItsState) {
  StreamingShare one(5, 0.1, torch::kCPU), two(5, 0.1, torch::kCPU);
  one.update(torch::tensor({1, 4}, torch::kInt64), 1);
  two.load_state(one.state());
  for (StreamingShare* stream : {&one, &two}) stream->update(torch::tensor({4}, torch::kInt64), 7);
  EXPECT_TRUE(torch::equal(one.log_q(), two.log_q()));
  EXPECT_THROW(two.load_state({}), DataError);
  EXPECT_THROW(two.load_state(StreamingShare(3, 0.1, torch::kCPU).state()), DataError);
}

}  // namespace
}  // namespace retort
