#include "retort/trainer/ranks.h"

#include <cstring>
#include <optional>
#include <string_view>

#include <netdb.h>
#include <signal.h>
#include <sys/socket.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroup.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#ifdef USE_C10D_NCCL
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif
#include <unistd.h>

namespace retort {
namespace {

/// Rank 0's error, thrown on the others.
class FirstRankError : public Error {
 public:
  FirstRankError(const std::string& message, int code) : Error(message), code_(code) {}
  int exit_code() const noexcept override { return code_; }

 private:
  int code_;
};

/// The first line of what c10d says, without its stack.
std::string reason_of(const std::exception& error) {
  const std::string_view text = error.what();
  return std::string(text.substr(0, text.find('\n')));
}

/// This machine's address on the way to the peers' meeting place: peers reach it there, which is
/// not so for what the machine's own name resolves to on many hosts.
std::string address_towards(const Launch& launch) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_DGRAM;
  const int code =
      ::getaddrinfo(launch.address.c_str(), std::to_string(launch.port).c_str(), &hints, &found);
  if (code != 0) fail<ConfigError>("MASTER_ADDR '{}': {}", launch.address, ::gai_strerror(code));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    const int socket = ::socket(at->ai_family, at->ai_socktype, 0);
    sockaddr_storage own{};
    socklen_t length = sizeof own;
    char text[NI_MAXHOST];
    const bool good = socket >= 0 && ::connect(socket, at->ai_addr, at->ai_addrlen) == 0 &&
                      ::getsockname(socket, reinterpret_cast<sockaddr*>(&own), &length) == 0 &&
                      ::getnameinfo(reinterpret_cast<const sockaddr*>(&own), length, text,
                                    sizeof text, nullptr, 0, NI_NUMERICHOST) == 0;
    if (socket >= 0) ::close(socket);
    if (good) return text;
  }
  fail<ConfigError>("MASTER_ADDR '{}': this machine has no route to it", launch.address);
}

c10::intrusive_ptr<c10d::Store> make_store(const Launch& launch, std::chrono::seconds timeout) {
  c10d::TCPStoreOptions options;
  options.port = launch.port;
  options.isServer = launch.rank == 0 && !launch.agent_store;
  options.numWorkers = launch.size;
  options.timeout = timeout;
  auto store = c10::make_intrusive<c10d::TCPStore>(launch.address, options);
  return c10::make_intrusive<c10d::PrefixStore>(fmt::format("retort/{}", launch.restarts), store);
}

c10::intrusive_ptr<c10d::ProcessGroup> make_gloo(const Launch& launch,
                                                 const c10::intrusive_ptr<c10d::Store>& store,
                                                 std::chrono::seconds timeout) {
  using Gloo = c10d::ProcessGroupGloo;
  auto options = Gloo::Options::create(timeout);
  const char* interface = std::getenv("GLOO_SOCKET_IFNAME");
  options->devices.push_back(interface != nullptr
                                 ? Gloo::createDeviceForInterface(interface)
                                 : Gloo::createDeviceForHostname(address_towards(launch)));
  return c10::make_intrusive<Gloo>(store, launch.rank, launch.size, options);
}

bool over_nccl(torch::Device device) {
#ifdef USE_C10D_NCCL
  return device.is_cuda();
#else
  (void)device;
  return false;
#endif
}

torch::Tensor bytes_of(const std::string& text) {
  torch::Tensor bytes = torch::empty({static_cast<int64_t>(text.size())}, torch::kUInt8);
  if (!text.empty()) std::memcpy(bytes.data_ptr(), text.data(), text.size());
  return bytes;
}

std::string text_of(const torch::Tensor& bytes) {
  const torch::Tensor host = bytes.cpu();
  return {static_cast<const char*>(host.data_ptr()), static_cast<size_t>(host.numel())};
}

}  // namespace

struct Ranks::Group {
  c10::intrusive_ptr<c10d::Store> store;
  c10::intrusive_ptr<c10d::ProcessGroup> process_group;
  bool lost = false;
};

Ranks::Ranks() : device_(torch::kCPU) {}

Ranks::Ranks(const Launch& launch, std::chrono::seconds timeout, torch::Device device)
    : launch_(launch),
      timeout_(timeout),
      device_(over_nccl(device) ? device : torch::Device(torch::kCPU)) {
  if (alone()) return;
  ::signal(SIGPIPE, SIG_IGN);  // Gloo may write to a peer that has just gone
  group_ = std::make_unique<Group>();
  try {
    group_->store = make_store(launch_, timeout_);
#ifdef USE_C10D_NCCL
    if (over_nccl(device)) {
      auto options = c10d::ProcessGroupNCCL::Options::create();
      options->timeout = timeout_;
      group_->process_group = c10::make_intrusive<c10d::ProcessGroupNCCL>(
          group_->store, launch_.rank, launch_.size, options);
      return;
    }
#endif
    group_->process_group = make_gloo(launch_, group_->store, timeout_);
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    fail<PeerLost>(
        "rank {} of {} cannot meet its peers at {}:{} within {} s: {}; check that all ranks are "
        "started with the same MASTER_ADDR, MASTER_PORT and WORLD_SIZE",
        rank(), size(), launch_.address, launch_.port, timeout_.count(), reason_of(error));
  }
}

// The threads of a group whose peer is lost may wait for it until the timeout: it is left behind.
Ranks::~Ranks() {
  if (group_ != nullptr && group_->lost) {
    group_->process_group.release();
    group_->store.release();
  }
}

template <class Work>
auto Ranks::guarded(Work work) {
  try {
    return work();
  } catch (const std::exception& error) {
    group_->lost = true;
    fail<PeerLost>(
        "rank {} of {} lost a peer: it ended, or did not answer within {} s ({}); the run's last "
        "checkpoint is kept: start the ranks again with --resume, as many as you like",
        rank(), size(), timeout_.count(), reason_of(error));
  }
}

Ranks::Pending Ranks::sum(torch::Tensor tensor) {
  if (alone()) return [] {};
  return guarded([&]() -> Pending {
    std::vector<torch::Tensor> tensors{tensor};
    auto work = group_->process_group->allreduce(tensors);
    return [this, work] { guarded([&] { work->wait(); }); };
  });
}

std::vector<torch::Tensor> Ranks::gather(const torch::Tensor& tensor) {
  if (alone() || tensor.numel() == 0) return std::vector<torch::Tensor>(size(), tensor);
  return guarded([&] {
    std::vector<torch::Tensor> in{tensor};
    std::vector<std::vector<torch::Tensor>> out(1);
    for (int i = 0; i < size(); ++i) out[0].push_back(torch::empty_like(tensor));
    group_->process_group->allgather(out, in)->wait();
    return out[0];
  });
}

void Ranks::broadcast(torch::Tensor tensor) {
  if (alone() || tensor.numel() == 0) return;
  const torch::NoGradGuard no_grad;
  guarded([&] {
    // As bytes: Gloo knows fewer types than libtorch.
    const torch::Tensor flat = tensor.detach().to(device_).contiguous();
    std::vector<torch::Tensor> bytes{flat.view({-1}).view(torch::kUInt8)};
    group_->process_group->broadcast(bytes)->wait();
    if (!first() && flat.data_ptr() != tensor.data_ptr()) tensor.copy_(flat);
  });
}

std::string Ranks::broadcast(const std::string& text) {
  if (alone()) return text;
  torch::Tensor length = torch::tensor({static_cast<int64_t>(text.size())});
  broadcast(length);
  torch::Tensor bytes =
      first() ? bytes_of(text) : torch::empty({length.item<int64_t>()}, torch::kUInt8);
  broadcast(bytes);
  return text_of(bytes);
}

std::string Ranks::first_text(const std::string& text) {
  if (alone()) return text;
  const auto length = static_cast<int64_t>(text.size());
  const std::vector<torch::Tensor> lengths = gather(torch::tensor({length}).to(device_));
  int64_t longest = 0;
  for (const torch::Tensor& other : lengths) longest = std::max(longest, other.item<int64_t>());
  if (longest == 0) return "";
  torch::Tensor padded = torch::zeros({longest}, torch::kUInt8);
  padded.narrow(0, 0, length).copy_(bytes_of(text));
  const std::vector<torch::Tensor> texts = gather(padded.to(device_));
  for (size_t i = 0; i < texts.size(); ++i)
    if (const auto of_rank = lengths[i].item<int64_t>(); of_rank > 0)
      return text_of(texts[i].narrow(0, 0, of_rank));
  return "";
}

void Ranks::check_same(const std::string& text, const char* what) {
  if (alone()) return;
  const std::string wrong = broadcast(text) == text
                                ? ""
                                : fmt::format("rank {} has another {} than rank 0", rank(), what);
  const std::string found = first_text(wrong);
  if (!found.empty())
    fail<ConfigError>("{}; start all ranks with the same command on the same data", found);
}

void Ranks::first_does(const std::function<void()>& work) {
  if (alone()) return work();
  if (first()) {
    try {
      work();
    } catch (const PeerLost&) {
      throw;
    } catch (const std::exception& error) {
      const auto* own = dynamic_cast<const Error*>(&error);
      broadcast(fmt::format("{} {}", own == nullptr ? 1 : own->exit_code(), error.what()));
      throw;
    }
    broadcast(std::string());
    return;
  }
  const std::string answer = broadcast(std::string());
  if (answer.empty()) return;
  const size_t space = answer.find(' ');
  throw FirstRankError(answer.substr(space + 1), std::stoi(answer.substr(0, space)));
}

}  // namespace retort
