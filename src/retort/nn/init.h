// Initial weights from counter-based random numbers: a parameter's values depend on the seed and
// on its name only, not on the order in which modules are made.
#pragma once

#include <string>
#include <string_view>

#include <torch/torch.h>

#include "retort/common/rng.h"

namespace retort {

/// The stream of one named parameter.
Rng parameter_stream(const Rng& init, std::string_view name);

/// Fills `tensor` with N(0, deviation^2); value i is the draw at position i of the parameter's
/// stream. CPU float32.
void fill_normal(torch::Tensor tensor, const Rng& init, std::string_view name, double deviation);

/// What follows a linear layer decides its deviation: ReLU sqrt(2 / in), nothing
/// sqrt(2 / (in + out)).
/// Source: He et al., ICCV 2015; Glorot & Bengio, AISTATS 2010.
enum class Followed { kByRelu, kByNothing };
/// Weight as above, bias (where there is one) zero. `name` is the layer's, "user.layer0".
void initialise(torch::nn::LinearImpl& layer, const Rng& init, const std::string& name,
                Followed followed);

/// Every embedding table below `module`: N(0, deviation^2), row 0 (unknown) like the others.
/// Small deviations leave inner-product towers at the saddle R = S = 0 for a long time (0.05: a
/// whole epoch); 0.3 does not.
void initialise_tables(torch::nn::Module& module, const Rng& init, double deviation);

}  // namespace retort
