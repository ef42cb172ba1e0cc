#include "retort/trainer/score_lists.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "retort/metric/catalogue.h"

namespace retort {
namespace {

template <class T>
torch::Tensor matrix(const std::vector<T>& values, int64_t rows, int64_t columns,
                     torch::ScalarType type, torch::Device device) {
  torch::Tensor host = torch::empty({rows, columns}, type);
  std::copy(values.begin(), values.end(), host.data_ptr<T>());
  return host.to(device);
}

}  // namespace

/// Numbers the items whose vectors a step needs: once each, or once a moment where they move.
struct ScoreLists::Places {
  bool moving;
  std::map<std::pair<int32_t, int64_t>, int64_t> known{};
  std::vector<ItemMoment> items{};

  int64_t of(int32_t item, int64_t time) {
    const auto [at, fresh] =
        known.try_emplace({item, moving ? time : 0}, static_cast<int64_t>(items.size()));
    if (fresh) items.push_back({item, time});
    return at->second;
  }
};

ScoreLists::ScoreLists(const Dataset& dataset, const ScoreStore& store,
                       const ScoreOptions::Lists& options, bool with_rest, torch::Device device)
    : dataset_(dataset),
      store_(store),
      options_(options),
      rest_(with_rest ? options.rest : 0),
      moving_(has_moving_items(dataset.schema())),
      assembler_(dataset),
      device_(device) {}

// Without replacement with probability proportional to exp(-rank / spread): the K largest of
// -rank / spread + Gumbel noise (Efraimidis and Spirakis, 2006).
std::vector<int32_t> ScoreLists::choose(int64_t size, const Rng& draws) const {
  std::vector<int32_t> chosen(static_cast<size_t>(size));
  std::iota(chosen.begin(), chosen.end(), 0);
  const int64_t pool = options_.by_rank && options_.pool > 0 ? std::min(options_.pool, size) : size;
  const auto length = static_cast<size_t>(std::min(options_.length, pool));
  chosen.resize(static_cast<size_t>(pool));
  if (options_.by_rank && length < chosen.size()) {
    std::vector<double> key(chosen.size());
    for (size_t place = 0; place < key.size(); ++place) {
      const double uniform = std::max(draws.uniform(place), 1e-300);
      key[place] = -static_cast<double>(place + 1) / options_.spread - std::log(-std::log(uniform));
    }
    std::partial_sort(chosen.begin(), chosen.begin() + static_cast<int64_t>(length), chosen.end(),
                      [&](int32_t a, int32_t b) {
                        return key[static_cast<size_t>(a)] > key[static_cast<size_t>(b)];
                      });
  }
  chosen.resize(length);
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

/// Different candidates that are not in the user's list, as many as asked for or as there are.
std::vector<int32_t> ScoreLists::draw_rest(int32_t user, const Rng& draws) const {
  const std::span<const int32_t> candidates = dataset_.candidates();
  const Permutation order(candidates.size(), draws);
  std::vector<int32_t> rest;
  for (uint64_t at = 0; at < candidates.size() && std::ssize(rest) < rest_; ++at)
    if (const int32_t item = candidates[order(at)]; store_.rank(user, item) == 0)
      rest.push_back(item);
  return rest;
}

SideTensors ScoreLists::fill(const Batch& batch, const Rng& draws, ScoredInputs& scored) const {
  Places places{moving_};
  const int64_t length = options_.length;
  std::vector<int64_t> rows, list, rest;
  std::vector<float> teacher;
  std::vector<uint8_t> valid, rest_valid;
  std::vector<int64_t> rank;
  for (size_t row = 0; row < batch.item.size(); ++row) {
    const int32_t user = batch.user[row];
    rank.push_back(store_.rank(user, batch.item[row]));
    if (row > 0 && batch.user_of_row[row] == batch.user_of_row[row - 1]) continue;
    const ScoreStore::List whole = store_.list(user);
    if (whole.item.empty()) continue;
    const int64_t time = batch.time[row];
    const Rng own = draws.fork(static_cast<uint64_t>(batch.user_of_row[row]));
    rows.push_back(static_cast<int64_t>(row));
    for (const int32_t at : choose(std::ssize(whole.item), own.fork(0))) {
      list.push_back(places.of(whole.item[static_cast<size_t>(at)], time));
      teacher.push_back(whole.score[static_cast<size_t>(at)]);
    }
    valid.resize(list.size(), 1);
    list.resize(rows.size() * static_cast<size_t>(length), 0);
    teacher.resize(list.size(), 0);
    valid.resize(list.size(), 0);
    if (rest_ == 0) continue;
    for (const int32_t item : draw_rest(user, own.fork(1))) rest.push_back(places.of(item, time));
    rest_valid.resize(rest.size(), 1);
    rest.resize(rows.size() * static_cast<size_t>(rest_), 0);
    rest_valid.resize(rest.size(), 0);
  }
  if (places.items.empty()) places.of(dataset_.candidates().front(), dataset_.end_time());
  const auto lists = static_cast<int64_t>(rows.size());
  scored.list_row = matrix(rows, lists, 1, torch::kInt64, device_).squeeze(1);
  scored.list_places = matrix(list, lists, length, torch::kInt64, device_);
  scored.list_teacher = matrix(teacher, lists, length, torch::kFloat32, device_);
  scored.list_valid = matrix(valid, lists, length, torch::kUInt8, device_).to(torch::kBool);
  scored.rest_places = matrix(rest, lists, rest_, torch::kInt64, device_);
  scored.rest_valid = matrix(rest_valid, lists, rest_, torch::kUInt8, device_).to(torch::kBool);
  scored.rank = matrix(rank, batch.rows(), 1, torch::kInt64, device_).squeeze(1);
  scored.length = length;
  scored.catalogue = std::ssize(dataset_.candidates());
  SideBatch features;
  assembler_.items(places.items, features);
  return to_tensors(features, dataset_.schema().dense_width(Side::kItem), device_);
}

}  // namespace retort
