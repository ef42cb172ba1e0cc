// The processes that train one model together, and what they say to each other: sums, gathered and
// broadcast tensors over c10d (Gloo on CPUs, NCCL on GPUs where libtorch has it).
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <torch/torch.h>

#include "retort/common/error.h"
#include "retort/trainer/launch.h"

namespace retort {

/// A peer has gone or does not answer. The run's last checkpoint stands.
class PeerLost : public Error {
 public:
  using Error::Error;
};

/// Every method but the getters is collective: all ranks call the same ones in the same order.
/// They throw PeerLost, after which the object is of no more use. With one rank they do nothing.
/// Not thread-safe.
class Ranks {
 public:
  Ranks();  // one rank
  /// Meets the peers. `timeout` bounds the meeting and every later answer; a peer whose process
  /// ends is noticed at once. @param device of training; tensors travel on `device()`.
  Ranks(const Launch& launch, std::chrono::seconds timeout, torch::Device device);
  ~Ranks();
  Ranks(const Ranks&) = delete;
  Ranks& operator=(const Ranks&) = delete;

  int rank() const { return launch_.rank; }
  int size() const { return launch_.size; }
  bool alone() const { return launch_.size == 1; }
  bool first() const { return launch_.rank == 0; }
  /// Where tensors lie while they are exchanged: the CPU for Gloo.
  torch::Device device() const { return device_; }

  /// Call it to wait for the result.
  using Pending = std::function<void()>;
  /// Sums the ranks' tensors in place, all ranks getting the same bits. The tensor must be
  /// contiguous on `device()` and be left alone until the wait is over.
  Pending sum(torch::Tensor tensor);
  /// Every rank's tensor, by rank. All are of one shape and contiguous on `device()`.
  std::vector<torch::Tensor> gather(const torch::Tensor& tensor);
  /// Overwrites the tensor by that of rank 0; any device and stride.
  void broadcast(torch::Tensor tensor);
  std::string broadcast(const std::string& text);
  /// The text of the lowest rank that has one.
  std::string first_text(const std::string& text);
  /// Throws ConfigError unless the text is the same on all ranks. `what` names it.
  void check_same(const std::string& text, const char* what);
  /// Rank 0 works, the others wait until it is done. An Error of it is thrown on every rank, with
  /// the same message and exit code.
  void first_does(const std::function<void()>& work);

 private:
  struct Group;
  template <class Work>
  auto guarded(Work work);

  Launch launch_;
  std::chrono::seconds timeout_{0};
  torch::Device device_;
  std::unique_ptr<Group> group_;
};

}  // namespace retort
