#include "retort/nn/embedding.h"

#include "retort/common/error.h"
#include "retort/nn/huge_tensor.h"

namespace retort {
namespace {

/// Keeps a table alive as long as a graph may still push gradients into it.
struct TableHolder : torch::CustomClassHolder {
  explicit TableHolder(std::shared_ptr<EmbeddingTableImpl> held) : table(std::move(held)) {}
  std::shared_ptr<EmbeddingTableImpl> table;
};

/// `anchor` only tells autograd that the result needs a gradient; it never receives one.
struct Lookup : torch::autograd::Function<Lookup> {
  static torch::Tensor forward(torch::autograd::AutogradContext* context,
                               const torch::Tensor& anchor,
                               const std::shared_ptr<EmbeddingTableImpl>& table,
                               const SparseTensor& column, int64_t pooling) {
    (void)anchor;
    context->saved_data["table"] =
        c10::IValue::make_capsule(c10::make_intrusive<TableHolder>(table));
    context->saved_data["ids"] = column.ids;
    context->saved_data["offsets"] = column.offsets;
    context->saved_data["single"] = column.single;
    context->saved_data["pooling"] = pooling;
    return pool_rows(table->weight, column, static_cast<Pooling>(pooling));
  }

  static torch::autograd::tensor_list backward(torch::autograd::AutogradContext* context,
                                               torch::autograd::tensor_list grads) {
    auto& saved = context->saved_data;
    const auto holder = saved["table"].toCapsule();
    EmbeddingTableImpl& table = *static_cast<TableHolder&>(*holder).table;
    const SparseTensor column{saved["ids"].toTensor(), saved["offsets"].toTensor(),
                              saved["single"].toBool(), -1};
    if (column.ids.size(0) > 0)
      table.pending.push_back(
          unpool_rows(grads[0], column, static_cast<Pooling>(saved["pooling"].toInt())));
    return {torch::Tensor(), torch::Tensor(), torch::Tensor(), torch::Tensor()};
  }
};

}  // namespace

const torch::Tensor& table_anchor() {
  static const torch::Tensor kAnchor = torch::zeros({}, torch::requires_grad());
  return kAnchor;
}

EmbeddingTableImpl::EmbeddingTableImpl(int64_t rows, int64_t dim, std::string name,
                                       torch::ScalarType type)
    : table_name(std::move(name)) {
  check(rows > 0 && dim > 0, "embedding table '{}': {} rows of {} values", table_name, rows, dim);
  weight = register_buffer("weight", huge_zeros({rows, dim}, type));
}

torch::Tensor EmbeddingTableImpl::lookup(const SparseTensor& column, const std::string& pooling) {
  return lookup(column, parse_pooling(pooling));
}

void EmbeddingTableImpl::check_ids(const SparseTensor& column) const {
  int64_t highest = column.max_id, lowest = 0;
  if (highest < 0 && column.ids.size(0) > 0) {
    highest = column.ids.max().item<int64_t>();
    lowest = column.ids.min().item<int64_t>();
  }
  if (highest >= weight.size(0) || lowest < 0)
    fail<DataError>(
        "embedding table '{}': id {} is outside its {} rows; the data were made with "
        "another vocabulary than the model",
        table_name, lowest < 0 ? lowest : highest, weight.size(0));
}

torch::Tensor EmbeddingTableImpl::lookup(const SparseTensor& column, Pooling pooling) {
  check_ids(column);
  auto self = std::static_pointer_cast<EmbeddingTableImpl>(shared_from_this());
  return Lookup::apply(table_anchor(), self, column, static_cast<int64_t>(pooling));
}

std::vector<std::pair<std::string, EmbeddingTable>> embedding_tables(torch::nn::Module& module) {
  std::vector<std::pair<std::string, EmbeddingTable>> tables;
  for (const auto& item : module.named_modules("", /*include_self=*/false))
    if (auto table = std::dynamic_pointer_cast<EmbeddingTableImpl>(item.value()))
      tables.emplace_back(item.key(), EmbeddingTable(table));
  return tables;
}

void place_module(torch::nn::Module& root, const std::string& path,
                  std::shared_ptr<torch::nn::Module> child) {
  torch::nn::Module* at = &root;
  std::shared_ptr<torch::nn::Module> made;
  for (size_t begin = 0;;) {
    const size_t dot = path.find('.', begin);
    const std::string part = path.substr(begin, dot - begin);
    if (part.empty()) fail<ConfigError>("'{}': a part of the name is empty", path);
    const auto children = at->named_children();
    const auto* found = children.find(part);
    if (dot == std::string::npos) {
      if (found != nullptr || at->named_buffers(false).contains(part) ||
          at->named_parameters(false).contains(part))
        fail<ConfigError>(
            "'{}': the model already has a part of this name; rename the feature or "
            "its vocabulary",
            path);
      at->register_module(part, std::move(child));
      return;
    }
    made = found != nullptr ? *found
                            : at->register_module(part, std::make_shared<torch::nn::Module>(part));
    at = made.get();
    begin = dot + 1;
  }
}

}  // namespace retort
