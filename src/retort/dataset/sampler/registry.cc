#include <array>
#include <string>

#include "retort/common/error.h"
#include "retort/dataset/sampler/frequency.h"
#include "retort/dataset/sampler/mixed.h"
#include "retort/dataset/sampler/trailing.h"
#include "retort/dataset/sampler/uniform.h"

namespace retort {
namespace {

constexpr std::array<SamplerEntry, 4> kSamplers{{
    {"frequency", "by training clicks to a power (exponent)", "DMTL section 2.1", &make_frequency},
    {"uniform", "every item alike", "Rendle et al., UAI 2009", &make_uniform},
    {"mixed", "by training clicks, a share uniform (exponent, uniform_share)",
     "Yang et al., WWW 2020", &make_mixed},
    {"trailing", "by clicks in the window before the moment (window)",
     "DMTL section 2.1, on live items", &make_trailing},
}};

void refuse_unused(const std::string& name, const SamplerOptions& options) {
  const auto refuse = [&](const char* key, const char* users) {
    fail<ConfigError>("negatives.{}: the sampler '{}' does not use it (only: {}); leave it out",
                      key, name, users);
  };
  const SamplerOptions defaults;
  if (options.window != defaults.window && name != "trailing") refuse("window", "trailing");
  if (options.exponent != defaults.exponent && name != "frequency" && name != "mixed")
    refuse("exponent", "frequency, mixed");
  if (options.uniform_share != defaults.uniform_share && name != "mixed")
    refuse("uniform_share", "mixed");
}

}  // namespace

std::span<const SamplerEntry> samplers() { return kSamplers; }

std::unique_ptr<NegativeSampler> make_sampler(const std::string& name, const Dataset& dataset,
                                              const SamplerOptions& options) {
  std::string known;
  for (const SamplerEntry& entry : kSamplers) {
    if (entry.name == name) {
      refuse_unused(name, options);
      return entry.make(dataset, options);
    }
    known += (known.empty() ? "" : ", ") + std::string(entry.name);
  }
  fail<ConfigError>("negatives.sampler: '{}' is none of: {}", name, known);
}

}  // namespace retort
