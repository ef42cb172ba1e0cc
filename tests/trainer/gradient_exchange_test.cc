// Ranks as threads of this process, on the loopback.
#include "retort/trainer/gradient_exchange.h"

#include <functional>
#include <future>
#include <memory>
#include <vector>

#include "tests/trainer/ranks_job.h"
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "retort/common/error.h"

namespace retort {
namespace {

using testing::HasSubstr;

/// Runs `work` once a rank; rethrows the first failure.
void on_ranks(int size, const std::function<void(Ranks&)>& work) {
  Launch launch;
  launch.size = size;
  launch.address = "127.0.0.1";
  launch.port = free_port();
  std::vector<std::future<void>> done;
  for (launch.rank = 0; launch.rank < size; ++launch.rank)
    done.push_back(std::async(std::launch::async, [launch, &work] {
      Ranks ranks(launch, std::chrono::seconds(20), torch::kCPU);
      work(ranks);
    }));
  for (auto& rank : done) rank.wait();
  for (auto& rank : done) rank.get();
}

/// A table, two layers, and a parameter that no loss uses.
struct Net : torch::nn::Module {
  Net() {
    torch::manual_seed(3);
    table = register_module("table", EmbeddingTable(10, 4));
    table->weight.copy_(torch::randn({10, 4}));
    first = register_module("first", torch::nn::Linear(4, 5));
    second = register_module("second", torch::nn::Linear(5, 1));
    idle = register_parameter("idle", torch::ones({3}));
  }
  /// Mean over the rows [begin, end) of a batch of 6.
  torch::Tensor loss(int64_t begin, int64_t end) {
    const torch::Tensor ids = torch::tensor({7, 1, 7, 3, 1, 9}, torch::kInt64);
    const SparseTensor column{ids.slice(0, begin, end), torch::arange(end - begin + 1), true, 9};
    const torch::Tensor hidden = torch::tanh(first->forward(table->lookup(column, Pooling::kSum)));
    return second->forward(hidden).square().mean();
  }
  EmbeddingTable table{nullptr};
  torch::nn::Linear first{nullptr}, second{nullptr};
  torch::Tensor idle;
};

/// Of each of ten rows, zero where no part has it.
torch::Tensor dense_rows(EmbeddingTableImpl& table) {
  torch::Tensor rows = torch::zeros({10, 4});
  for (const RowGradients& part : table.pending) rows.index_add_(0, part.ids, part.grads);
  return rows;
}

void expect_gradients_of_the_whole_batch(const std::vector<std::pair<int64_t, int64_t>>& parts) {
  auto whole = std::make_shared<Net>();
  whole->loss(0, 6).backward();
  const torch::Tensor whole_rows = dense_rows(*whole->table);
  std::vector<std::shared_ptr<Net>> nets(parts.size());
  for (auto& net : nets) net = std::make_shared<Net>();
  std::vector<size_t> sent(parts.size());
  on_ranks(static_cast<int>(parts.size()), [&](Ranks& ranks) {
    const auto rank = static_cast<size_t>(ranks.rank());
    const auto [begin, end] = parts[rank];
    Net& net = *nets[rank];
    GradientExchange exchange(ranks, {&net}, /*bucket_values=*/8);
    ASSERT_EQ(exchange.buckets(), 4U);
    for (int step = 0; step < 2; ++step) {  // buckets are used again
      for (torch::Tensor& value : net.parameters()) value.mutable_grad().reset();
      net.table->pending.clear();
      exchange.begin();
      if (end > begin) (net.loss(begin, end) * (static_cast<double>(end - begin) / 6)).backward();
      const std::vector<double> sums =
          exchange.finish(std::vector<double>{0.5, static_cast<double>(rank)});
      EXPECT_EQ(sums[0], 0.5 * static_cast<double>(parts.size()));
      EXPECT_EQ(sums[1], static_cast<double>(parts.size() * (parts.size() - 1) / 2));
    }
    sent[rank] = exchange.sent_in_backward();
  });
  for (size_t rank = 0; rank < nets.size(); ++rank) {
    Net& net = *nets[rank];
    EXPECT_FALSE(net.idle.grad().defined());
    for (const auto& item : whole->named_parameters()) {
      if (item.key() == "idle") continue;
      const torch::Tensor grad = net.named_parameters()[item.key()].grad();
      EXPECT_TRUE(torch::allclose(grad, item.value().grad(), 1e-5, 1e-7)) << item.key();
      EXPECT_TRUE(torch::equal(grad, nets[0]->named_parameters()[item.key()].grad()));
    }
    EXPECT_TRUE(torch::allclose(dense_rows(*net.table), whole_rows, 1e-5, 1e-7));
    EXPECT_TRUE(torch::equal(dense_rows(*net.table), dense_rows(*nets[0]->table)));
  }
}

TEST(GradientExchange, RanksGetTheGradientsOfTheWholeBatch) {
  expect_gradients_of_the_whole_batch({{0, 3}, {3, 6}});
  expect_gradients_of_the_whole_batch({{0, 2}, {2, 5}, {5, 6}});
}

TEST(GradientExchange, ARankWithoutRowsGetsThemToo) {
  expect_gradients_of_the_whole_batch({{0, 0}, {0, 6}});
  expect_gradients_of_the_whole_batch({{0, 4}, {4, 4}, {4, 6}});
}

TEST(GradientExchange, FullBucketsLeaveDuringTheBackwardPass) {
  on_ranks(2, [](Ranks& ranks) {
    const torch::nn::Sequential net(torch::nn::Linear(4, 4), torch::nn::Linear(4, 4),
                                    torch::nn::Linear(4, 1));
    GradientExchange exchange(ranks, {net.ptr().get()}, /*bucket_values=*/20);
    exchange.begin();
    net.ptr()->forward(torch::ones({2, 4})).sum().backward();
    exchange.finish({});
    EXPECT_EQ(exchange.buckets(), 3U);
    EXPECT_EQ(exchange.sent_in_backward(), 3U);
  });
}

TEST(Ranks, SayTheSameToAll) {
  on_ranks(3, [](Ranks& ranks) {
    const bool first = ranks.first();
    EXPECT_EQ(ranks.broadcast(first ? "from rank 0" : "other"), "from rank 0");
    EXPECT_EQ(ranks.first_text(first ? "" : std::to_string(ranks.rank())), "1");
    EXPECT_EQ(ranks.first_text(""), "");
    EXPECT_EQ(ranks.gather(torch::empty({0})).size(), 3U);
    const torch::Tensor strided = torch::full({3, 2}, ranks.rank(), torch::kBFloat16).t();
    ranks.broadcast(strided);
    EXPECT_EQ(strided.to(torch::kFloat32).sum().item<float>(), 0);
    bool worked = false;
    ranks.first_does([&] { worked = true; });
    EXPECT_EQ(worked, first);
  });
}

TEST(Ranks, AnErrorOfRankZeroIsThrownByAll) {
  on_ranks(2, [](Ranks& ranks) {
    try {
      ranks.first_does([] { fail<DataError>("file x: bad\nline"); });
      ADD_FAILURE();
    } catch (const Error& error) {
      EXPECT_STREQ(error.what(), "file x: bad\nline");
      EXPECT_EQ(error.exit_code(), 3);
    }
  });
}

TEST(Ranks, ADifferenceIsRefusedByAllAndNamed) {
  on_ranks(3, [](Ranks& ranks) {
    EXPECT_NO_THROW(ranks.check_same("a", "recipe"));
    try {
      ranks.check_same(ranks.rank() == 2 ? "b" : "a", "recipe");
      ADD_FAILURE();
    } catch (const ConfigError& error) {
      EXPECT_THAT(error.what(), HasSubstr("rank 2 has another recipe"));
    }
  });
}

TEST(Ranks, AMeetingWithoutPeersEndsWithTheAddress) {
  Launch launch;
  launch.rank = 0;
  launch.size = 2;
  launch.address = "127.0.0.1";
  launch.port = free_port();
  try {
    const Ranks ranks(launch, std::chrono::seconds(1), torch::kCPU);
    ADD_FAILURE();
  } catch (const PeerLost& error) {
    EXPECT_THAT(error.what(), HasSubstr(fmt::format("127.0.0.1:{}", launch.port)));
  }
}

}  // namespace
}  // namespace retort
