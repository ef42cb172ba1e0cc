// The one oneDNN engine of the processor. Included by the files of this room that plan products.
#pragma once

#include <dnnl.hpp>

namespace retort {

inline const dnnl::engine& onednn_engine() {
  static const dnnl::engine kEngine(dnnl::engine::kind::cpu, 0);
  return kEngine;
}

}  // namespace retort
