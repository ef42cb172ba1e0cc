#include "retort/index/faiss_index.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include <dlfcn.h>
#include <faiss/IVFlib.h>
#include <faiss/IndexIVFPQ.h>
#include <faiss/IndexPreTransform.h>
#include <faiss/impl/IDSelector.h>
#include <faiss/impl/io.h>
#include <faiss/index_factory.h>
#include <faiss/index_io.h>
#include <omp.h>

#include "retort/common/error.h"
#include "retort/common/recipe.h"
#include "retort/common/thread_pool.h"
#include "retort/index/exact_index.h"
#include "retort/kernel/dense.h"

namespace retort {
namespace {

constexpr int32_t kPadding = 16;
constexpr int64_t kFewest = 1024;  // items below which nothing is trained

/// Faiss's threads while this lives; OpenBLAS's own are kept at one, as they stall busy machines.
class FaissThreads {
 public:
  explicit FaissThreads(int threads) : before_(omp_get_max_threads()) {
    omp_set_num_threads(threads);
    using SetThreads = void (*)(int);
    if (void* found = ::dlsym(RTLD_DEFAULT, "openblas_set_num_threads"); found && threads > 1)
      reinterpret_cast<SetThreads>(found)(1);
  }
  ~FaissThreads() { omp_set_num_threads(before_); }
  FaissThreads(const FaissThreads&) = delete;

 private:
  int before_;
};

int32_t padded(int32_t dim) { return (dim + kPadding - 1) / kPadding * kPadding; }

std::vector<float> pad(std::span<const float> vectors, int32_t dim) {
  const int64_t rows = std::ssize(vectors) / dim, width = padded(dim);
  std::vector<float> wide(static_cast<size_t>(rows * width));
  for (int64_t row = 0; row < rows; ++row)
    std::copy_n(vectors.data() + row * dim, dim, wide.data() + row * width);
  return wide;
}

std::string factory_of(const FaissOptions& options, int64_t items, int32_t dim) {
  if (options.factory != "auto") return options.factory;
  const auto lists = static_cast<uint64_t>(4 * std::sqrt(static_cast<double>(items)));
  return fmt::format("IVF{},PQ{}x8", std::bit_floor(std::max<uint64_t>(lists, 16)),
                     padded(dim) / 4);
}

}  // namespace

struct FaissIndex::State {
  std::unique_ptr<faiss::Index> index;  // nullptr: too few items
  faiss::IndexIVF* ivf = nullptr;       // of `index`
  const faiss::IndexPreTransform* transform = nullptr;
  ExactIndex exact;
  int32_t dim = 0;
  int64_t items = 0;

  void adopt(faiss::Index* made) {
    index.reset(made);
    ivf = faiss::ivflib::try_extract_index_ivf(made);
    transform = dynamic_cast<const faiss::IndexPreTransform*>(made);
  }
  std::vector<int64_t> candidates(std::span<const float> query, int64_t wanted, int64_t nprobe,
                                  const ItemFilter& filter) const;
};

/// Up to `wanted` allowed items that Faiss ranks best within `nprobe` lists.
std::vector<int64_t> FaissIndex::State::candidates(std::span<const float> query, int64_t wanted,
                                                   int64_t nprobe, const ItemFilter& filter) const {
  const FaissThreads one(1);
  std::vector<float> wide = pad(query, dim);
  faiss::IDSelectorBitmap selector(filter.bits.size() * 8,
                                   reinterpret_cast<const uint8_t*>(filter.bits.data()));
  faiss::SearchParametersIVF parameters;
  parameters.nprobe = static_cast<size_t>(nprobe);
  if (!filter.bits.empty()) parameters.sel = &selector;
  std::vector<float> scores(static_cast<size_t>(wanted));
  std::vector<faiss::Index::idx_t> ids(scores.size(), -1);
  const float* moved = transform == nullptr ? wide.data() : transform->apply_chain(1, wide.data());
  const std::unique_ptr<const float[]> owned(moved == wide.data() ? nullptr : moved);
  ivf->search(1, moved, wanted, scores.data(), ids.data(), &parameters);
  std::erase(ids, -1);
  return {ids.begin(), ids.end()};
}

FaissOptions faiss_options(const Json& json) {
  FaissOptions options;
  Fields fields(json, "");
  fields.read("factory", options.factory);
  fields.read("nprobe", options.nprobe);
  fields.read("refine", options.refine);
  fields.finish();
  const auto within = [](const char* key, int32_t value, int32_t high) {
    if (value < 1 || value > high)
      fail<ConfigError>("index faiss: {} = {}, expected 1 to {}", key, value, high);
  };
  within("nprobe", options.nprobe, 1 << 20);
  within("refine", options.refine, 1000);
  return options;
}

FaissIndex::FaissIndex(FaissOptions options) : options_(std::move(options)) {}
FaissIndex::~FaissIndex() = default;

int64_t FaissIndex::size() const { return state_ == nullptr ? 0 : state_->items; }

int64_t FaissIndex::lists() const {
  return state_ == nullptr || state_->index == nullptr ? 0
                                                       : static_cast<int64_t>(state_->ivf->nlist);
}

std::string FaissIndex::factory() const {
  return lists() == 0 ? options_.factory : factory_of(options_, state_->items, state_->dim);
}

int64_t FaissIndex::bytes() const {
  if (lists() == 0) return 0;
  const auto item = static_cast<int64_t>(state_->ivf->code_size + sizeof(faiss::Index::idx_t));
  return state_->items * item + lists() * state_->ivf->d * static_cast<int64_t>(sizeof(float));
}

void FaissIndex::build(std::span<const float> vectors, int32_t dim) {
  auto state = std::make_unique<State>();
  state->items = check_vectors(vectors, dim);
  state->dim = dim;
  state->exact.build(vectors, dim);
  for (const float value : vectors)
    check(std::isfinite(value), "index faiss: a vector holds {}, which is not finite", value);
  if (state->items >= kFewest) {
    const std::string factory = factory_of(options_, state->items, dim);
    const FaissThreads all(threads());
    try {
      state->adopt(faiss::index_factory(padded(dim), factory.c_str(), faiss::METRIC_INNER_PRODUCT));
      if (state->ivf == nullptr)
        fail<ConfigError>("index faiss: factory '{}' makes no IVF; as in IVF1024,PQ16x8", factory);
      state->ivf->cp.min_points_per_centroid = 1;  // no warnings on standard error
      if (auto* pq = dynamic_cast<faiss::IndexIVFPQ*>(state->ivf)) {
        pq->pq.cp.min_points_per_centroid = 1;
        pq->do_polysemous_training = false;  // minutes, for a search by Hamming distance not used
      }
      const std::vector<float> wide = pad(vectors, dim);
      state->index->train(state->items, wide.data());
      state->index->add(state->items, wide.data());
    } catch (const faiss::FaissException& error) {
      fail<ConfigError>("index faiss: factory '{}' does not fit {} vectors of width {}: {}",
                        factory, state->items, padded(dim), error.msg);
    }
  }
  state_ = std::move(state);
}

std::vector<SearchHit> FaissIndex::search(std::span<const float> query, int32_t k,
                                          const ItemFilter& filter) const {
  check(state_ != nullptr, "index faiss: search before build");
  const State& state = *state_;
  check_search(query, state.dim, k, filter, state.items);
  const int64_t allowed = filter.count(state.items);
  const auto wanted = static_cast<int32_t>(std::min<int64_t>(k, allowed));
  if (wanted == 0) return {};
  const int64_t lists = state.index == nullptr ? 0 : static_cast<int64_t>(state.ivf->nlist);
  const int64_t looked_at = std::min(int64_t{wanted} * options_.refine, allowed);
  // As many allowed items as without a filter.
  for (int64_t nprobe = options_.nprobe * state.items / allowed; nprobe <= lists; nprobe *= 4) {
    const auto found = state.candidates(query, looked_at, nprobe, filter);
    if (std::ssize(found) < wanted) continue;
    TopK best(wanted);
    for (const int64_t item : found)
      best.push(static_cast<int32_t>(item),
                dot(query.data(), state.exact.vector(static_cast<int32_t>(item)), state.dim));
    return best.take();
  }
  return state.exact.search(query, wanted, filter);
}

void FaissIndex::save(const fs::path& path) const {
  check(state_ != nullptr, "index faiss: save before build");
  faiss::VectorIOWriter writer;
  if (state_->index != nullptr) faiss::write_index(state_->index.get(), &writer);
  write_file(path, std::string_view(reinterpret_cast<const char*>(writer.data.data()),
                                    writer.data.size()));
}

void FaissIndex::load(const fs::path& path, std::span<const float> vectors, int32_t dim) {
  auto state = std::make_unique<State>();
  state->items = check_vectors(vectors, dim);
  state->dim = dim;
  state->exact = ExactIndex(vectors, dim);
  const MappedFile file(path);
  if (file.bytes().empty() != (state->items < kFewest))
    fail<DataError>("{}: {} bytes are no index of {} vectors", path.string(), file.bytes().size(),
                    state->items);
  if (state->items >= kFewest) {
    faiss::VectorIOReader reader;
    reader.data.resize(file.bytes().size());
    std::memcpy(reader.data.data(), file.bytes().data(), reader.data.size());
    try {
      state->adopt(faiss::read_index(&reader));
    } catch (const std::exception& error) {  // FaissException, or sizes that no memory holds
      fail<DataError>("{}: {}", path.string(), error.what());
    }
    const faiss::Index& index = *state->index;
    if (state->ivf == nullptr || index.ntotal != state->items || index.d != padded(dim) ||
        index.metric_type != faiss::METRIC_INNER_PRODUCT)
      fail<DataError>("{}: no Faiss IVF of {} vectors of width {}", path.string(), state->items,
                      dim);
    const faiss::InvertedLists& lists = *state->ivf->invlists;
    for (size_t list = 0; list < lists.nlist; ++list) {
      const faiss::InvertedLists::ScopedIds ids(&lists, list);
      for (size_t at = 0; at < lists.list_size(list); ++at)
        if (ids[at] < 0 || ids[at] >= state->items)
          fail<DataError>("{}: list {} holds item {} of {}", path.string(), list, ids[at],
                          state->items);
    }
  }
  state_ = std::move(state);
}

std::unique_ptr<ItemIndex> make_faiss_index(const Json& options) {
  return std::make_unique<FaissIndex>(faiss_options(options));
}

std::unique_ptr<ItemIndex> load_faiss_index(const fs::path& path, std::span<const float> vectors,
                                            int32_t dim, const Json& options) {
  auto index = std::make_unique<FaissIndex>(faiss_options(options));
  index->load(path, vectors, dim);
  return index;
}

}  // namespace retort
