#include "retort/kernel/catalogue_tiles.h"

#include <algorithm>
#include <unordered_map>

#include <omp.h>

#include "retort/common/error.h"
#include "retort/kernel/onednn.h"

namespace retort {
namespace {

using Desc = dnnl::memory::desc;
using Type = dnnl::memory::data_type;
using Layout = dnnl::memory::format_tag;

dnnl::primitive_attr attributes(bool add) {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (add) {
    dnnl::post_ops after;
    after.append_sum(1.0f);
    attr.set_post_ops(after);
  }
  return attr;
}

dnnl::memory view(const Desc& desc, const void* data) {
  return {desc, onednn_engine(), const_cast<void*>(data)};
}

void execute(const dnnl::primitive& primitive, const std::unordered_map<int, dnnl::memory>& args) {
  dnnl::stream stream(onednn_engine());
  primitive.execute(stream, args);
  stream.wait();
}

/// c = a b or, with `add`, c += a b; b [K, N] in a layout of oneDNN's choice.
class Product {
 public:
  Product(const Desc& a, int64_t inner, int64_t width, Type type, const Desc& c, bool add)
      : descriptor_({a, Desc({inner, width}, type, Layout::any), c}, attributes(add),
                    onednn_engine()),
        product_(descriptor_) {}
  size_t packed_size() const { return descriptor_.weights_desc().get_size(); }
  size_t scratch_size() const { return descriptor_.scratchpad_desc().get_size(); }
  Desc packed() const { return descriptor_.weights_desc(); }
  void operator()(const void* a, const void* b, float* c, void* scratch) const {
    execute(product_, {{DNNL_ARG_SRC, view(descriptor_.src_desc(), a)},
                       {DNNL_ARG_WEIGHTS, view(descriptor_.weights_desc(), b)},
                       {DNNL_ARG_DST, view(descriptor_.dst_desc(), c)},
                       {DNNL_ARG_SCRATCHPAD, view(descriptor_.scratchpad_desc(), scratch)}});
  }

 private:
  dnnl::matmul::primitive_desc descriptor_;
  dnnl::matmul product_;
};

/// A copy into another layout.
class Packing {
 public:
  Packing(const Desc& from, const Desc& to)
      : descriptor_(onednn_engine(), from, onednn_engine(), to, attributes(false)),
        reorder_(descriptor_) {}
  size_t scratch_size() const { return descriptor_.scratchpad_desc().get_size(); }
  void operator()(const void* from, void* to, void* scratch) const {
    execute(reorder_, {{DNNL_ARG_FROM, view(descriptor_.src_desc(), from)},
                       {DNNL_ARG_TO, view(descriptor_.dst_desc(), to)},
                       {DNNL_ARG_SCRATCHPAD, view(descriptor_.scratchpad_desc(), scratch)}});
  }

 private:
  dnnl::reorder::primitive_desc descriptor_;
  dnnl::reorder reorder_;
};

Type type_of(Precision precision) { return precision == Precision::kBf16 ? Type::bf16 : Type::f32; }

}  // namespace

struct TileProducts::State {
  State(const TileShape& s, Type type)
      : shape(s),
        logits({{s.rows, s.dim}, type, Layout::ab}, s.dim, s.items, type,
               {{s.rows, s.items}, Type::f32, Layout::ab}, false),
        users({{s.rows, s.items}, type, Layout::ab}, s.items, s.dim, type,
              {{s.rows, s.dim}, Type::f32, Layout::ab}, true),
        items({{s.items, s.rows}, type, Layout::ba}, s.rows, s.dim, type,
              {{s.items, s.dim}, Type::f32, Layout::ab}, true),
        pack_logit_items({{s.dim, s.items}, type, Layout::ba}, logits.packed()),
        pack_gradient_items({{s.items, s.dim}, type, Layout::ab}, users.packed()),
        pack_users({{s.rows, s.dim}, type, Layout::ab}, items.packed()) {}

  TileShape shape;
  Product logits, users, items;
  Packing pack_logit_items, pack_gradient_items, pack_users;
};

TileProducts::TileProducts(const TileShape& shape) {
  check(shape.rows > 0 && shape.items > 0 && shape.dim > 0, "TileProducts: shape [{}, {}, {}]",
        shape.rows, shape.items, shape.dim);
  const OneThread one;
  state_ = std::make_unique<State>(shape, type_of(shape.precision));
}

TileProducts::~TileProducts() = default;

const TileShape& TileProducts::shape() const { return state_->shape; }
size_t TileProducts::users_size() const { return state_->items.packed_size(); }
size_t TileProducts::logit_items_size() const { return state_->logits.packed_size(); }
size_t TileProducts::gradient_items_size() const { return state_->users.packed_size(); }

size_t TileProducts::scratch_size() const {
  const State& s = *state_;
  return std::max({size_t{64}, s.logits.scratch_size(), s.users.scratch_size(),
                   s.items.scratch_size(), s.pack_logit_items.scratch_size(),
                   s.pack_gradient_items.scratch_size(), s.pack_users.scratch_size()});
}

void TileProducts::pack_users(const void* users, void* packed, void* scratch) const {
  state_->pack_users(users, packed, scratch);
}

void TileProducts::pack_logit_items(const void* items, void* packed, void* scratch) const {
  state_->pack_logit_items(items, packed, scratch);
}

void TileProducts::pack_gradient_items(const void* items, void* packed, void* scratch) const {
  state_->pack_gradient_items(items, packed, scratch);
}

void TileProducts::logits(const void* users, const void* packed_items, float* logits,
                          void* scratch) const {
  state_->logits(users, packed_items, logits, scratch);
}

void TileProducts::user_gradient(const void* gradient, const void* packed_items, float* sum,
                                 void* scratch) const {
  state_->users(gradient, packed_items, sum, scratch);
}

void TileProducts::item_gradient(const void* gradient, const void* packed_users, float* sum,
                                 void* scratch) const {
  state_->items(gradient, packed_users, sum, scratch);
}

OneThread::OneThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
OneThread::~OneThread() { omp_set_num_threads(before_); }

}  // namespace retort
